/** What the trace of a job has, however long the job lasts. */
import { expect, test } from "vitest";
import type { EngineMessage } from "../../engine/thread/messages.ts";
import type { Attributes, Span, SpanOptions, Tracing } from "../../schema/tracing.ts";
import { JobTrace, mostParts } from "../../worker/job-trace.ts";

interface Told {
  readonly name: string;
  attributes: Attributes;
  failed?: string;
  ended: boolean;
}

/** Keeps spans as they are told. */
function telling() {
  const spans: Told[] = [];
  const start = (name: string, { attributes = {} }: SpanOptions = {}): Span => {
    const told: Told = { name, attributes, ended: false };
    spans.push(told);
    return {
      traceparent: "",
      set: (more) => (told.attributes = { ...told.attributes, ...more }),
      failed: (code) => (told.failed = code),
      end: () => (told.ended = true),
    };
  };
  const tracing: Tracing = { start, within: (_span, work) => work(), current: () => null };
  return { spans, tracing };
}

const job = {
  id: 1,
  token: 1,
  kind: "FINE_TUNE",
  subject: "run",
  payload: {},
  needs: {},
  attempts: 1,
  lastError: null,
  createdAt: new Date(),
  traceparent: null,
} as const;

const step = (number: number): EngineMessage => ({
  type: "step",
  step: number,
  entries: [],
  loss: 1,
  projectedGradient: 0,
  learningRate: 1,
  skipped: null,
  seconds: 0,
  tokens: 1,
});
const evaluation = { type: "evaluation", kind: "VALIDATION", rows: 2 } as EngineMessage;

test("it has a bounded number of spans, which count every step", () => {
  const { spans, tracing } = telling();
  const trace = new JobTrace(tracing, job);
  for (let round = 0; round < 1_000; round++) {
    for (const number of [1, 2, 3]) trace.heard(step(round * 3 + number));
    trace.heard(evaluation);
  }
  trace.end("DIVERGED");
  expect(spans.length).toBeLessThanOrEqual(mostParts + 3);
  const steps = spans.reduce((sum, { attributes }) => sum + Number(attributes["steplog.steps"] ?? 0), 0);
  expect(steps).toBe(3_000);
  expect(spans[0]).toMatchObject({ name: "job FINE_TUNE", failed: "DIVERGED" });
  expect(spans.every(({ ended }) => ended)).toBe(true);
});

test("a job that is claimed again tells of a replay, and not of its first wait", () => {
  const { spans, tracing } = telling();
  const trace = new JobTrace(tracing, { ...job, token: 3 });
  trace.heard({ type: "began", headerBytes: new Uint8Array(), pickedRate: null, replaySeconds: 0.001 });
  trace.end();
  expect(spans.map(({ name }) => name)).toEqual(["job FINE_TUNE", "load", "replay", "finish"]);
});
