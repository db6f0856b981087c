/** What a run that has ended says of what it learned. */
import { expect, test } from "vitest";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { type Measured, hardlyMoved, stepsCompared } from "../../worker/jobs/learning.ts";

/** A hundred losses around `centre`, as far from it as `noise`. */
const losses = (centre: number, noise: number) =>
  Array.from({ length: 100 }, (_, step) => centre + (step % 2 === 0 ? noise : -noise));
const judged = (...accuracies: number[]) => accuracies.map((accuracy) => ({ rows: 256, accuracy, f1: null }));

function verdict(changes: Partial<Measured>, settings: object = { learningRate: 1e-6 }): string | null {
  const level = { firstLosses: losses(2, 0.2), lastLosses: losses(1.99, 0.2), steps: 400, zeroSteps: 0 };
  return hardlyMoved({ ...level, validations: [], ...changes }, hyperparametersSchema.parse(settings));
}

test("a run whose loss stays within its noise, or falls by less than a tenth, is told what to try", () => {
  expect(verdict({})).toBe(
    "The training loss hardly moved: a mean of 2.00 over the first 100 steps, 1.99 over the last 100. " +
      "Try learningRate AUTO, more steps, objective CLASSIFICATION where answers are choices, estimator FZOO; docs/LEARNING_RATE.md explains.",
  );
  // The demo at a rate of 1e-6: clear of the noise, and nothing learned.
  const demo = { firstLosses: losses(13.67, 0.12), lastLosses: losses(12.64, 0.16), validations: judged(0.488, 0.594) };
  expect(verdict(demo)).toContain("hardly moved");
  expect(verdict({ lastLosses: losses(1.7, 2) })).toContain("hardly moved");
  expect(verdict({}, { learningRate: "AUTO", estimator: "FZOO", objective: "ACCURACY" })).toContain(
    "Try 3 times the rate that AUTO chose, more steps, more estimates;",
  );
});

test("a run in most of whose steps no loss differed is told so, and to try what makes them differ", () => {
  expect(verdict({ zeroSteps: 400 }, { learningRate: "AUTO", objective: "ACCURACY", method: "PREFIX" })).toBe(
    "The training loss hardly moved: a mean of 2.00 over the first 100 steps, 1.99 over the last 100. " +
      "No loss differed in 400 of 400 steps, so they changed nothing. " +
      "Try objective CLASSIFICATION or LOSS, a larger epsilon, a larger batch; docs/LEARNING_RATE.md explains.",
  );
  expect(verdict({ zeroSteps: 200 })).toContain("200 of 400 steps, so they changed nothing. Try a larger epsilon, a");
  expect(verdict({ zeroSteps: 199 })).toContain("Try learningRate AUTO");
});

test("a run whose loss or score clearly moved is told nothing", () => {
  expect(verdict({ lastLosses: losses(1.5, 0.2) })).toBeNull();
  expect(verdict({ validations: judged(0.5, 0.7) })).toBeNull();
  expect(
    verdict({
      validations: [
        { rows: 100, accuracy: 0.5, f1: 0.1 },
        { rows: 100, accuracy: 0.5, f1: 0.6 },
      ],
    }),
  ).toBeNull();
});

test("a loss that fell while the score stayed is told, too", () => {
  const fallen = { firstLosses: losses(13.6, 1), lastLosses: losses(0.73, 0.1) };
  expect(verdict({ ...fallen, validations: judged(0.488, 0.9, 0.5) })).toMatch(
    /^The training loss fell, but the accuracy of the validation rows hardly moved: 48\.8 % before, 50\.0 % after\. Try/u,
  );
  expect(verdict({ ...fallen, validations: judged(0.5) })).toBeNull();
});

test("nothing is said of a run that was good before, or too short to tell", () => {
  expect(verdict({ firstLosses: losses(0.05, 0.01), lastLosses: losses(0.05, 0.01) })).toBeNull();
  expect(verdict({ validations: judged(0.95, 0.95) })).toBeNull();
  expect(verdict({ firstLosses: [2, 2, 2], lastLosses: [2, 2, 2] })).toBeNull();
  expect(verdict({ firstLosses: losses(2, 0.2).map(() => null) })).toBeNull();
  expect([stepsCompared(1), stepsCompared(40), stepsCompared(1e6)]).toEqual([0, 10, 100]);
});
