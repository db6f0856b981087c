/** What is counted before a run is what the run then does: passes and tokens as its device sees them. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Device, Pass, Perturbation, Precision } from "../../engine/devices/device.ts";
import { sidesOf } from "../../engine/devices/device.ts";
import { countRun } from "../../engine/estimate/count.ts";
import { measureRun } from "../../engine/estimate/measure.ts";
import { PassCounter } from "../../engine/estimate/counting-model.ts";
import type { EngineMessage, FineTuneRequest } from "../../engine/thread/messages.ts";
import { unwatchedCalls } from "../../engine/thread/foreign.ts";
import { runFineTune } from "../../engine/train/run.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { passesByStep, passesOfRun } from "../../schema/passes.ts";
import { scratch } from "../support/models.ts";
import type { Changes } from "../worker/run.ts";
import { demo, device, ofType, requestOf } from "../worker/run.ts";

/** Batches straddle the 7 rows' epochs; nothing diverges. */
const usual = { steps: 5, batchSize: 4, learningRate: 1e-6, seed: 3 } as const;

/** The first rows of a file of the demo. */
async function rowsOf(name: string, count: number): Promise<string> {
  const path = join(await scratch(), name);
  const lines = (await readFile(demo(name), "utf8")).split("\n").slice(0, count);
  await writeFile(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

async function counts(settings: Partial<Hyperparameters>, changes: Changes = {}) {
  const request = await requestOf(
    { ...usual, ...settings },
    {
      datasetPath: await rowsOf("train.jsonl", 7),
      validationPath: await rowsOf("validation.jsonl", 5),
      ...changes,
    },
  );
  return { counted: await countRun(request, { progress() {} }), seen: await watched(request) };
}

/** What a run asks of its device, by what it then says. */
async function watched(request: FineTuneRequest) {
  const total = new PassCounter();
  const parts = new Map<string, { passes: number; tokens: number; times: number }>();
  const messages: EngineMessage[] = [];
  let before = { passes: 0, tokens: 0 };
  for await (const message of runFineTune(request, watching(device, total), () => false)) {
    messages.push(message);
    // It comes between the passes of a best evaluation and its message, and has none.
    if (message.type === "checkpoint") continue;
    const key = message.type === "evaluation" ? message.kind : message.type;
    const part = parts.get(key) ?? { passes: 0, tokens: 0, times: 0 };
    const { passes, tokens } = total;
    parts.set(key, {
      passes: part.passes + passes - before.passes,
      tokens: part.tokens + tokens - before.tokens,
      times: part.times + 1,
    });
    before = { passes, tokens };
  }
  return { parts, messages, total };
}

/** The device, whose passes are counted: tokens are the rows of the first table of the model that a pass looks up. */
function watching(inner: Device, total: PassCounter): Device {
  return bound(inner, {
    begin(perturbation: Perturbation | null, precision?: Precision) {
      const pass = inner.begin(perturbation, precision);
      let tokens: number | null = null;
      return bound<Pass>(pass, {
        embed(table, ids) {
          const ofAdapter = table.name.includes("prompt");
          if (tokens === null && !ofAdapter) total.add(sidesOf(perturbation), (tokens = ids.length));
          return pass.embed(table, ids);
        },
      });
    },
  });
}

function bound<T extends object>(target: T, changed: Partial<T>): T {
  return new Proxy(target, {
    get(of, name) {
      const member: unknown = Reflect.get(changed, name) ?? Reflect.get(of, name, of);
      return typeof member === "function" ? (member.bind(of) as unknown) : member;
    },
  });
}

const cases: [string, Partial<Hyperparameters>, Changes?][] = [
  ["FULL", {}],
  ["FULL with weight decay and accumulated batches", { weightDecay: 0.1, accumulate: 3 }],
  ["HEAD, AUTO", { method: "HEAD", learningRate: "AUTO" }],
  ["LORA", { method: "LORA", evaluateEvery: 2, checkpointEvery: 2 }],
  ["PREFIX", { method: "PREFIX" }],
  ["several estimates, more at the end", { estimates: 2, estimatesAtEnd: 5 }],
  ["ONE_SIDED", { estimator: "ONE_SIDED", estimates: 3, learningRate: "AUTO" }],
  ["FZOO", { estimator: "FZOO", estimates: 4, learningRate: "AUTO" }],
  ["CLASSIFICATION", { objective: "CLASSIFICATION" }],
  ["CLASSIFICATION, calibrated", { objective: "CLASSIFICATION", estimator: "FZOO" }, { calibrationPrompt: "It was" }],
  ["ACCURACY", { objective: "ACCURACY", learningRate: "AUTO" }],
  ["baselines", { inContextRows: 3, linearProbe: true, evaluateEvery: 3 }],
  ["only a loss", { evaluateEvery: 1 }, { labelWords: [] }],
  ["no evaluation", {}, { validationPath: null }],
];

test.each(cases)("counted is what is done: %s", async (...[, settings, changes]) => {
  const { counted, seen } = await counts(settings, changes);
  const nothing = { passes: 0, tokens: 0, times: 0 };
  expect(counted).toMatchObject({ exact: true, why: null });
  expect({ ...counted.probes, times: 1 }).toStrictEqual(seen.parts.get("began"));
  expect({ ...counted.steps, times: usual.steps }).toStrictEqual(seen.parts.get("step"));
  for (const kind of ["VALIDATION", "IN_CONTEXT", "LINEAR_PROBE"] as const) {
    const { kind: _kind, ...planned } = counted.evaluations.find((one) => one.kind === kind) ?? { kind, ...nothing };
    expect(planned).toStrictEqual(seen.parts.get(kind) ?? nothing);
  }
  const { hyperparameters } = await requestOf({ ...usual, ...settings }, changes);
  expect([passesOfRun(hyperparameters), passesByStep(hyperparameters).at(-1)]).toEqual([
    counted.steps.passes,
    counted.steps.passes,
  ]);
  const entries = ofType(seen.messages, "step").flatMap((step) => step.entries);
  expect(counted.logEntries).toBe(entries.length);
  expect(counted.logBytes).toBe(entries.reduce((bytes, { decay }) => bytes + (decay === undefined ? 2 : 6), 0));
});

test.each([
  ["SPSA", { objective: "F1", answerTokens: 3 }],
  ["ONE_SIDED", { objective: "EXACT_MATCH", answerTokens: 3, estimator: "ONE_SIDED", estimates: 2 }],
] as const)("answers are counted at their longest: %s", async (_, settings) => {
  const { counted, seen } = await counts({ ...settings, steps: 2 });
  expect(counted).toMatchObject({ exact: false, why: "answers may end before their longest" });
  const validation = counted.evaluations.find(({ kind }) => kind === "VALIDATION");
  for (const [planned, done] of [
    [counted.steps, seen.parts.get("step")],
    [validation, seen.parts.get("VALIDATION")],
  ] as const) {
    expect(done?.passes).toBeGreaterThan(0);
    expect(done?.passes).toBeLessThanOrEqual(planned?.passes ?? 0);
    expect(done?.tokens).toBeLessThanOrEqual(planned?.tokens ?? 0);
  }
});

test("a long run is counted on some of its steps, and nearly right", async () => {
  const request = await requestOf({ ...usual, steps: 1_000_000, batchSize: 64, estimates: 4, estimatesAtEnd: 8 });
  const counted = await countRun(request, { progress() {} });
  expect(counted.exact).toBe(false);
  expect(counted.logEntries).toBe(6_000_000);
  expect(Math.abs(counted.steps.passes / 12_000_000 - 1)).toBeLessThan(0.01);
  const aRow = counted.training.tokens / counted.training.rows;
  expect(counted.steps.tokens / (12_000_000 * 64 * aRow)).toBeGreaterThan(0.9);
});

test("speeds are those of the run's own steps and rows; asked to stop, it says so", async () => {
  const request = await requestOf(
    { ...usual, estimator: "FZOO", estimates: 2, estimatesAtEnd: 3, inContextRows: 2, linearProbe: true },
    // More rows of validation than are measured at first.
    { datasetPath: await rowsOf("train.jsonl", 7), validationPath: await rowsOf("validation.jsonl", 40) },
  );
  const measured = async (stopping: () => boolean) => {
    const messages: EngineMessage[] = [];
    const budget = { steps: 0.05, evaluation: 0 };
    for await (const message of measureRun(
      { run: request, startedAt: process.hrtime.bigint() },
      device,
      stopping,
      unwatchedCalls,
      budget,
    ))
      messages.push(message);
    return messages;
  };
  const messages = await measured(() => false);
  const last = messages.at(-1);
  if (last?.type !== "measured") throw new Error("a measurement ends with speeds");
  const { start, stepToken, evaluationToken, checkpoint } = last.speeds;
  expect(Object.keys(evaluationToken)).toStrictEqual(["VALIDATION", "IN_CONTEXT", "LINEAR_PROBE"]);
  for (const speed of [start, stepToken, checkpoint, ...Object.values(evaluationToken)]) {
    expect(speed).toBeGreaterThan(0);
    expect(speed).toBeLessThan(5);
  }
  expect(ofType(messages, "step").length).toBeGreaterThan(1);
  expect(await measured(() => true)).toStrictEqual([{ type: "stopped" }]);
});

test("rows that are measured sooner than there is time for are measured again", async () => {
  const request = await requestOf(usual, {
    datasetPath: await rowsOf("train.jsonl", 7),
    validationPath: await rowsOf("validation.jsonl", 5),
  });
  const passes = async (budget: { readonly steps: number; readonly evaluation: number }) => {
    const total = new PassCounter();
    const measuring = { run: request, startedAt: process.hrtime.bigint() };
    const messages: EngineMessage[] = [];
    for await (const message of measureRun(measuring, watching(device, total), () => false, unwatchedCalls, budget))
      messages.push(message);
    // Two sides of each step.
    return total.passes - 2 * ofType(messages, "step").length;
  };
  const once = await passes({ steps: 0, evaluation: 0 });
  expect(once).toBeGreaterThan(0);
  expect(await passes({ steps: 0, evaluation: 1 })).toBeGreaterThan(2 * once);
});
