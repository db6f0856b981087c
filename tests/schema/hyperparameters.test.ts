import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hyperparameterEntries, hyperparameterTable } from "../../schema/hyperparameter-table.ts";
import { valueOfAbsence } from "../../schema/hyperparameter-defaults.ts";
import { choiceOf } from "../../schema/setting.ts";
import {
  conflictingHyperparameters,
  hyperparametersSchema,
  settingsOf,
  settingsToStore,
  warmupAfter,
  wrongHyperparameters,
} from "../../schema/hyperparameters.ts";
import { settingsPage } from "../../schema/settings-page.ts";

test("docs/SETTINGS.md is what npm run settings:print writes", () => {
  expect(readFileSync(new URL("../../docs/SETTINGS.md", import.meta.url), "utf8")).toBe(settingsPage());
});

test("what the table says of other settings is about settings that exist, and allows their values", () => {
  for (const [name, one] of hyperparameterEntries) {
    const choices = one.type === "choice" ? Object.keys(one.values).map((value) => choiceOf(one, value)) : [];
    const needed = [one.needs, ...choices.map((choice) => choice?.needs)].flatMap((needs) => Object.keys(needs ?? {}));
    expect({ name, unknown: needed.filter((other) => !(other in hyperparameterTable)) }).toEqual({ name, unknown: [] });
    for (const choice of choices) expect(wrongHyperparameters(choice?.defaults ?? {})).toEqual([]);
    const withNumber = one.type === "number" ? one.defaultsWithNumber : undefined;
    expect(wrongHyperparameters(withNumber ?? {})).toEqual([]);
    expect(wrongHyperparameters({ [name]: valueOfAbsence(one) })).toEqual([]);
  }
});

describe("hyperparameters", () => {
  test("take the defaults of their method and estimator", () => {
    expect(hyperparametersSchema.parse({})).toMatchObject({ method: "FULL", learningRate: "AUTO", epsilon: 1e-3 });
    expect(hyperparametersSchema.parse({ method: "LORA" })).toMatchObject({ learningRate: "AUTO", epsilon: 1e-2 });
    const fzoo = hyperparametersSchema.parse({ method: "LORA", estimator: "FZOO", epsilon: 0.5 });
    expect(fzoo).toMatchObject({ estimates: 8, learningRate: "AUTO", epsilon: 0.5 });
    expect(hyperparametersSchema.parse({ estimator: "SPSA" })).toMatchObject({ estimates: 1, schedule: "LINEAR" });
  });

  test("are MeZO's own beside a learning rate of one's own", () => {
    const usual = { estimator: "FZOO", estimates: 8, schedule: "LINEAR" };
    const published = { estimator: "SPSA", estimates: 1, schedule: "CONSTANT" };
    expect(hyperparametersSchema.parse({})).toMatchObject(usual);
    expect(hyperparametersSchema.parse({ learningRate: "AUTO" })).toMatchObject(usual);
    expect(hyperparametersSchema.parse({ learningRate: 1e-4 })).toMatchObject(published);
    const chosen = { learningRate: 1e-2, estimator: "FZOO", schedule: "COSINE" };
    expect(hyperparametersSchema.parse(chosen)).toMatchObject({ ...chosen, estimates: 8 });
    // As older releases stored runs: without what they did not know, whatever their rate.
    expect(settingsOf({ hyperparameters: { learningRate: "AUTO" }, lateSettings: null })).toMatchObject(published);
    expect(settingsOf({ hyperparameters: { learningRate: 1e-4 }, lateSettings: null })).toMatchObject(published);
  });

  test("that the first release stored still parse", () => {
    const stored = {
      steps: 5,
      batchSize: 2,
      learningRate: 1e-4,
      epsilon: 1e-3,
      weightDecay: 0,
      noise: "NORMAL",
      seed: 1,
    } as const;
    const hyperparameters = { ...stored, evaluateEvery: 0, checkpointEvery: 0 } as const;
    expect(settingsOf({ hyperparameters, lateSettings: null })).toMatchObject({
      ...stored,
      estimator: "SPSA",
      estimates: 1,
      tensors: [],
      linearProbe: false,
    });
  });

  test.each([
    [{ loraAlpha: 0 }, "loraAlpha", "must be a number above 0 and up to 1000; it is 0"],
    [{ noise: "PINK" }, "noise", 'must be NORMAL or RADEMACHER; it is "PINK"'],
    [{ whenDiverged: "LATER" }, "whenDiverged", 'must be END, GO_BACK or GO_ON; it is "LATER"'],
    [{ steps: 1.5 }, "steps", "must be a whole number from 1 to 1000000; it is 1.5"],
    [{ learningRate: "FAST" }, "learningRate", 'must be a number above 0 and up to 10, or AUTO; it is "FAST"'],
    [{ truncate: "MIDDLE" }, "truncate", 'must be REFUSE, START or END; it is "MIDDLE"'],
    [{ linearProbe: "yes" }, "linearProbe", 'must be true or false; it is "yes"'],
    [{ tensors: ["a", ""] }, "tensors", 'must be at most 64 names of 1 to 200 characters; it is ["a",""]'],
  ])("%j is refused with what is allowed", (given, name, message) => {
    const [issue, ...more] = wrongHyperparameters(given);
    expect([issue?.path[0], issue?.message, more]).toEqual([name, message, []]);
  });

  test("with unknown names are refused, and the message lists the known names", () => {
    const [issue] = wrongHyperparameters({ momentum: 0.9 });
    expect(issue?.path).toEqual(["momentum"]);
    expect(issue?.message).toMatch(/^is not a hyperparameter\. There are method, .*checkpointEvery$/u);
  });

  test("that do not go together name the one to change", () => {
    const conflicts = (given: object, validated = true) =>
      conflictingHyperparameters(hyperparametersSchema.parse(given), validated).map(({ path }) => path.join("."));
    expect(conflicts({ estimator: "FZOO" })).toEqual([]);
    expect(conflicts({ estimator: "FZOO", estimates: 1 })).toEqual(["estimates"]);
    expect(conflicts({ estimator: "FZOO", estimatesAtEnd: 1 })).toEqual(["estimatesAtEnd"]);
    expect(conflicts({ patience: 1 })).toEqual(["evaluateEvery"]);
    expect(conflicts({ patience: 1, evaluateEvery: 5, linearProbe: true }, false)).toEqual(["patience", "linearProbe"]);
    expect(conflicts({ objective: "F1", bestMetric: "F1", answerTokens: 8 })).toEqual([]);
    expect(conflicts({ steps: 10, warmupSteps: 10 })).toEqual([]);
    expect(conflicts({ steps: 10, warmupSteps: 11 })).toEqual(["warmupSteps"]);
  });
});

test("a run that goes on has no warm-up, unless that was not over: then a new one, within its steps", () => {
  expect([0, 9, 10, 11].map((done) => warmupAfter(done, { warmupSteps: 10 }, 30))).toEqual([10, 10, 0, 0]);
  expect([warmupAfter(4, { warmupSteps: 10 }, 5), warmupAfter(0, { warmupSteps: 0 }, 5)]).toEqual([5, 0]);
});

test("settings that the release before does not know are stored beside the others, and read back", () => {
  const settings = hyperparametersSchema.parse({ whenDiverged: "GO_ON", steps: 7 });
  const { whenDiverged, truncate: _truncate, maxSeconds: _maxSeconds, ...known } = settings;
  expect(settingsToStore(settings)).toStrictEqual({ hyperparameters: known, lateSettings: { whenDiverged } });
  expect(settingsOf({ hyperparameters: known, lateSettings: { whenDiverged } })).toEqual(settings);
  const usual = hyperparametersSchema.parse({});
  expect(settingsToStore(usual)).not.toHaveProperty("lateSettings");
  // As an older release stored it, and as a newer one would.
  const then = { ...usual, estimator: "SPSA", estimates: 1, schedule: "CONSTANT" };
  expect(settingsOf({ hyperparameters: { steps: 7 }, lateSettings: null })).toEqual({ ...then, steps: 7 });
  expect(settingsOf({ hyperparameters: known, lateSettings: { unheardOf: 1 } })).toEqual({ ...usual, steps: 7 });
});
