/** What a run's page computes without a browser. */
import { describe, expect, test } from "vitest";
import { formatSentence } from "../../dashboard/src/format.ts";
import { inputOf } from "../../dashboard/src/run/input.ts";
import type { Run } from "../../dashboard/src/run/run-state.ts";
import { hyperparameterPair, settingsForked } from "../../dashboard/src/parts/form/settings.ts";
import { measureOf, scoreOf } from "../../dashboard/src/parts/measure.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";

const defaults = hyperparametersSchema.parse({});
const measured = { step: 4, rows: 3, loss: 0.25, accuracy: 0.5, f1: null, exactMatch: 0.75 };

describe("a run is judged", () => {
  test.each([
    ["AUTO", "accuracy", 0.5],
    ["ACCURACY", "accuracy", 0.5],
    ["EXACT_MATCH", "exact match", 0.75],
    ["LOSS", "validation loss", 0.25],
    ["F1", "validation loss", 0.25],
  ] as const)("with bestMetric %s by %s", (metric, name, value) => {
    const measure = measureOf(metric, [measured]);
    expect([measure.name, measure.of(measured)]).toEqual([name, value]);
  });

  test("by the loss: a score is shown beside it, where there is one", () => {
    expect(scoreOf("LOSS", [measured])?.name).toBe("accuracy");
    expect(scoreOf("EXACT_MATCH", [measured])?.name).toBe("exact match");
    expect(scoreOf("AUTO", [{ ...measured, accuracy: null, exactMatch: null }])).toBeNull();
  });
});

describe("the copy of a run's creation", () => {
  test("names what differs from the defaults", () => {
    const hyperparameters = { ...defaults, steps: 7 };
    const input = inputOf(runWith({ hyperparameters }));
    expect(input).toEqual({ name: "first", baseModel: "bytes", dataset: "rows", hyperparameters: { steps: 7 } });
  });

  test("leaves out what the run has and does not use, which would be refused", () => {
    const hyperparameters = { ...defaults, steps: 7, evaluateEvery: 2, answerTokens: 4, loraRank: 4 };
    expect(inputOf(runWith({ hyperparameters })).hyperparameters).toEqual({ steps: 7 });
    const validationDataset = runWith({}).dataset;
    const copied = inputOf(runWith({ hyperparameters, validationDataset })).hyperparameters;
    expect(copied).toEqual({ steps: 7, evaluateEvery: 2, answerTokens: 4 });
  });

  test("of a fork starts from its checkpoint, and names all that it may differ in", () => {
    const from = { id: "checkpoint", step: 4, fineTune: { id: "other", name: "other" } };
    const { hyperparameters, ...input } = inputOf(runWith({ from }));
    expect(input).toEqual({ name: "first", from: "checkpoint", dataset: "rows", labelWords: [], keepWeights: false });
    expect(hyperparameters).toMatchObject({ steps: defaults.steps, seed: defaults.seed });
    expect(hyperparameters).not.toHaveProperty("method");
  });
});

describe("a fork", () => {
  test("names what differs from its run: what is empty stays, and a switch says no by its absence", () => {
    const form = new FormData();
    for (const [name, text] of [
      ["steps", "7"],
      ["learningRate", ""],
      ["objective", "LOSS"],
      ["schedule", "COSINE"],
      ["method", "LORA"],
    ] as const)
      form.set(name, text);
    const run = { ...defaults, linearProbe: true };
    expect(settingsForked(form, run)).toEqual({ steps: 7, schedule: "COSINE", linearProbe: false });
    form.set("linearProbe", "on");
    expect(settingsForked(form, run)).toEqual({ steps: 7, schedule: "COSINE" });
  });
});

test("numbers of settings are written as numbers, a seed as a name", () => {
  const settings = { ...defaults, steps: 34_720, seed: 34_720, learningRate: 0.000_12 };
  const written = (["steps", "seed", "learningRate"] as const).map(
    (name) => hyperparameterPair(name, settings, null)[1],
  );
  expect(written).toEqual(["34,720", "34720", "1.2e-4"]);
});

test.each([
  ["Finished after 34720 steps.", "Finished after 34,720 steps."],
  [
    "It rose from 0.31 (steps 1201 to 1264) at step 9999; 12 rows.",
    "It rose from 0.31 (steps 1,201 to 1,264) at step 9,999; 12 rows.",
  ],
  ["No worker has gpu-12345, or 12345; run1234 steps on.", "No worker has gpu-12345, or 12345; run1234 steps on."],
])("a sentence of the service: %s", (text, written) => {
  expect(formatSentence(text)).toBe(written);
});

/** As far as these functions read it. */
function runWith(change: Partial<Run>): Run {
  const run: Partial<Run> = {
    name: "first",
    baseModel: { name: "bytes", family: "opt", bytes: 4 },
    dataset: { id: "rows", name: "rows", rows: 3 },
    validationDataset: null,
    testDataset: null,
    labelWords: [],
    calibrationPrompt: null,
    keepWeights: false,
    from: null,
    hyperparameters: defaults,
    ...change,
  };
  return run as Run;
}
