/** What parallel coordinates make of runs, and what a form makes of listed values: without a browser. */
import { describe, expect, test } from "vitest";
import { defaultsWith } from "../../schema/hyperparameter-defaults.ts";
import {
  axesOf,
  endsOf,
  filtersAsText,
  filtersIn,
  isKept,
  placeOf,
  rangeBetween,
  rangeInWords,
} from "../../dashboard/src/sweeps/axes.ts";
import { apart, layoutOf } from "../../dashboard/src/sweeps/layout.ts";
import { byMetric, metricOf, type SweptRun } from "../../dashboard/src/sweeps/metric.ts";
import type { RunToCopy } from "../../dashboard/src/new/run-draft.ts";
import { issuesOf, runsOf, suggestionFor, sweepInput, type SweepDraft } from "../../dashboard/src/sweeps/values.ts";

function runOf(settings: Readonly<Record<string, unknown>>, accuracy: number | null = null, loss = 1): SweptRun {
  const best = { step: 100, loss, accuracy, f1: null, exactMatch: null };
  return {
    id: JSON.stringify(settings),
    name: "run",
    status: "SUCCEEDED",
    cancelRequested: false,
    pauseRequested: false,
    loss: 2,
    progress: { step: 100, steps: 100, fraction: 1 },
    bestEvaluation: accuracy === null ? null : best,
    hyperparameters: { ...defaultsWith(settings), ...settings } as unknown as SweptRun["hyperparameters"],
  };
}

describe("the axes of a sweep", () => {
  const runs = [
    runOf({ learningRate: 1e-5, method: "LORA" }, 0.5),
    runOf({ learningRate: 1e-6, method: "FULL" }, 0.9),
    runOf({ learningRate: "AUTO", method: "FULL" }),
  ];
  const axes = axesOf(runs, ["method", "learningRate", "unheard"], metricOf(runs));
  const [method, rate, best] = axes;
  if (!method || !rate || !best) throw new Error("two settings vary, and there is the metric");

  test("have few values at equal distances: choices as listed, numbers by size, AUTO last", () => {
    expect(axes.map(({ title }) => title)).toEqual(["Method", "Learning rate", "Best score"]);
    expect(method.stops.map(({ label, at }) => [label, at])).toEqual([
      ["All weights", 0],
      ["LoRA adapter", 1],
    ]);
    expect(rate.stops.map(({ label, at }) => [label, at])).toEqual([
      ["1e-6", 0],
      ["1e-5", 0.5],
      ["AUTO", 1],
    ]);
    expect(runs.map((run) => placeOf(best, run))).toEqual([0, 1, null]);
  });

  test("with many values are drawn to scale, by powers of ten where they span many", () => {
    const many = Array.from({ length: 20 }, (_, n) => runOf({ learningRate: 10 ** (-7 + n / 5), seed: n * n }));
    const [many10, seeds] = axesOf(many, ["learningRate", "seed"], metricOf(many));
    expect(many10?.stops[10]?.at).toBeCloseTo(10 / 19, 6);
    expect(seeds?.stops[10]?.at).toBeCloseTo(100 / 361, 6);
    expect(seeds?.ticks.map(({ label }) => label)).toEqual(["0", "90", "181", "271", "361"]);
  });

  test("with one value have it in the middle, and what is not finite has no place", () => {
    const alone = [runOf({ seed: 1 }, 0.5), runOf({ seed: 1 }, Number.NaN)];
    const [seed, score] = axesOf(alone, ["seed"], metricOf(alone));
    if (!seed || !score) throw new Error("one setting, and there is the metric");
    expect([seed.stops.map(({ at }) => at), score.stops.map(({ at }) => at)]).toEqual([[0.5], [0.5]]);
    expect(alone.map((run) => placeOf(score, run))).toEqual([0.5, null]);
  });

  test("keep the runs within, and the range is in the address", () => {
    const range = rangeBetween(rate, 0.7, 0.4);
    expect(range).toEqual({ from: 1, to: 1 });
    const filters = new Map([["learningRate", { from: 0, to: 1 }]]);
    expect(runs.map((run) => isKept(axes, filters, run))).toEqual([true, true, false]);
    // A run without a value is in no range.
    expect(isKept(axes, new Map([["best", { from: 0, to: 1 }]]), runs[2] ?? runOf({}))).toBe(false);
    expect(endsOf(rate, { from: 1, to: 2 })).toEqual([1, 2]);
    expect(rangeBetween(rate, 0.3, 0.4)).toEqual({ from: 1, to: 1 });
    expect(rangeBetween(rate, 1, 0.4)).toEqual({ from: 1, to: 2 });
    expect(rangeInWords(rate, { from: 0, to: 1 })).toBe("1e-6 to 1e-5");
    expect(rangeInWords(rate, { from: 2, to: 2 })).toBe("AUTO");
    expect(filtersIn(filtersAsText(filters))).toEqual(filters);
    expect(filtersIn("learningRate:x:1,:0:1,seed")).toEqual(new Map());
  });

  test("the metric is the score, else the loss, else the loss of training; the best comes first", () => {
    expect(byMetric(runs, metricOf(runs)).map((run) => run.hyperparameters.learningRate)).toEqual([1e-6, 1e-5, "AUTO"]);
    const byLoss = [runOf({ bestMetric: "LOSS", seed: 1 }, 0.9, 3), runOf({ bestMetric: "LOSS", seed: 2 }, 0.1, 2)];
    expect([metricOf(byLoss).title, byMetric(byLoss, metricOf(byLoss))[0]?.hyperparameters.seed]).toEqual([
      "Best loss",
      2,
    ]);
    expect(metricOf([runOf({})]).title).toBe("Training loss");
  });

  test("stand upright where there is room, and lie below each other where there is none; labels never touch", () => {
    expect([layoutOf(4, 1200).upright, layoutOf(4, 360).upright, layoutOf(12, 1200).upright]).toEqual([
      true,
      false,
      false,
    ]);
    const ticks = ["Two-sided (SPSA)", "One-sided", "FZOO"].map((label, n) => ({ label, at: n / 2 }));
    expect(apart(ticks, layoutOf(4, 360)).map(({ label }) => label)).toEqual(["Two-sided (SPSA)", "FZOO"]);
    expect(apart(ticks, layoutOf(4, 700))).toHaveLength(3);
    const close = [0, 0.02, 1].map((at) => ({ label: String(at), at }));
    expect(apart(close, layoutOf(4, 1200)).map(({ at }) => at)).toEqual([0, 1]);
    // High values are above low ones, and to the right of them.
    const [low, high] = [0, 1].map((at) => layoutOf(4, 1200).point(1, at)[1]);
    expect(high).toBeLessThan(low ?? 0);
    const [left, right] = [0, 1].map((at) => layoutOf(4, 360).point(1, at)[0]);
    expect(right).toBeGreaterThan(left ?? 0);
  });
});

describe("the values of a new sweep", () => {
  const settings = { learningRate: "AUTO", steps: 100 };
  const run = {
    id: "x",
    name: "first",
    pickedRate: 2e-5,
    baseModel: { name: "bytes" },
    from: null,
    dataset: { id: "d", name: "rows", rows: 3, deletedAt: null },
    validationDataset: null,
    testDataset: null,
    labelWords: [],
    calibrationPrompt: null,
    keepWeights: false,
    priority: 0,
    tags: [],
    metadata: [],
    hyperparameters: { ...defaultsWith(settings), ...settings } as unknown as RunToCopy["hyperparameters"],
  } satisfies RunToCopy;
  const draftOf = (listed: SweepDraft["listed"], combination: SweepDraft["combination"] = "grid") => ({
    name: "sweep",
    listed,
    combination,
  });

  test("become a grid, with each value once; every other setting stays that of the run", () => {
    const draft = draftOf([
      { name: "learningRate", text: "1e-6, 1e-5;1e-5" },
      { name: "linearProbe", text: "true, false" },
    ]);
    expect(runsOf(draft)).toBe(4);
    const input = sweepInput(run, draft);
    expect(input?.vary).toEqual({ grid: { learningRate: [1e-6, 1e-5], linearProbe: [true, false] } });
    // A rate that is a number would have brought SPSA and a constant schedule.
    expect(input?.run.hyperparameters).toMatchObject({ estimator: "FZOO", schedule: "LINEAR", steps: 100 });
    expect(input?.run.hyperparameters).not.toHaveProperty("learningRate");
  });

  test("in pairs become a list, and must be as many", () => {
    const even = draftOf(
      [
        { name: "seed", text: "1 2" },
        { name: "batchSize", text: "8 16" },
      ],
      "pairs",
    );
    expect(sweepInput(run, even)?.vary).toEqual({
      list: [
        { seed: 1, batchSize: 8 },
        { seed: 2, batchSize: 16 },
      ],
    });
    expect(issuesOf(even, true)).toEqual([]);
    const uneven = draftOf(
      [
        { name: "seed", text: "1 2" },
        { name: "batchSize", text: "8" },
      ],
      "pairs",
    );
    expect(issuesOf(uneven, false)).toMatchObject([{ field: "list" }]);
  });

  test("leave defaults free that a choice moves", () => {
    const input = sweepInput(run, draftOf([{ name: "method", text: "FULL, LORA" }]));
    expect(input?.run.hyperparameters).not.toHaveProperty("epsilon");
    expect(input?.run.hyperparameters).not.toHaveProperty("loraRank");
    expect(input?.run.hyperparameters).toHaveProperty("batchSize");
  });

  test("are refused where they are no numbers or out of range, and missing only once somebody starts", () => {
    expect(issuesOf(draftOf([{ name: "batchSize", text: "8, x, 0" }]), false)).toEqual([
      { field: "batchSize", message: expect.stringMatching(/it is x; must be .*it is 0$/u) as string },
    ]);
    expect(issuesOf(draftOf([{ name: "batchSize", text: "" }]), false)).toEqual([]);
    expect(issuesOf(draftOf([]), true)).toMatchObject([{ field: "more" }]);
    expect(sweepInput(run, draftOf([{ name: "batchSize", text: " " }]))).toBeNull();
  });

  test("are suggested around those of the run", () => {
    expect(suggestionFor("learningRate", run)).toBe("7e-6, 2e-5, 6e-5");
    expect(suggestionFor("seed", run)).toBe("0, 1, 2");
    expect(suggestionFor("batchSize", run)).toBe("8, 16, 32");
    expect(suggestionFor("method", run)).toBeNull();
    expect(suggestionFor("weightDecay", run)).toBeNull();
  });
});
