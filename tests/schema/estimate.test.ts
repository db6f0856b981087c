/** The seconds of a run, from what it does and how fast a worker does it. */
import { expect, test } from "vitest";
import type { PlannedEvaluation, RunCounts } from "../../schema/estimate.ts";
import { secondsOf } from "../../schema/estimate.ts";

const rows = { rows: 10, tokens: 100, scored: 10, longest: 20 };

function countsWith(evaluations: readonly PlannedEvaluation[]): RunCounts {
  return {
    training: rows,
    validation: rows,
    test: rows,
    steps: { passes: 200, tokens: 10_000 },
    probes: { passes: 20, tokens: 1_000 },
    evaluations,
    logEntries: 100,
    logBytes: 200,
    checkpoints: 3,
    weightsBytes: 4,
    exact: true,
    why: null,
  };
}

const speeds = { start: 5, stepToken: 0.001, evaluationToken: { VALIDATION: 0.002, TEST: 0.004 }, checkpoint: 0.25 };

test("are those of its start, its passes and its checkpoints", () => {
  expect(secondsOf(countsWith([]), speeds)).toStrictEqual({ start: 5, steps: 11, evaluations: 0, total: 16.75 });
});

test("count a checkpoint for each evaluation between its steps, which may be the best so far", () => {
  const validation = { kind: "VALIDATION", times: 6, passes: 60, tokens: 600 } as const;
  const last = { kind: "TEST", times: 2, passes: 20, tokens: 200 } as const;
  const { evaluations, total } = secondsOf(countsWith([validation, last]), speeds);
  expect(evaluations).toBeCloseTo(2, 9);
  // Three that are planned, and four of evaluations: neither the first nor the last is between steps.
  expect(total).toBeCloseTo(5 + 11 + 2 + 7 * 0.25, 9);
});
