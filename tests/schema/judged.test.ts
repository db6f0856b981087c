import { expect, test } from "vitest";
import { BestSoFar, isBetter } from "../../schema/judged.ts";

const judged = (step: number, loss: number, accuracy: number | null = null) => ({
  entries: step,
  step,
  loss,
  accuracy,
});

test("accuracy decides, then the loss; a loss that is not a number never wins", () => {
  expect(isBetter(judged(1, 9, 0.6), judged(0, 1, 0.5))).toBe(true);
  expect(isBetter(judged(1, 1, 0.5), judged(0, 9, 0.6))).toBe(false);
  expect(isBetter(judged(1, 0.9, 0.5), judged(0, 1, 0.5))).toBe(true);
  expect(isBetter(judged(1, 1), judged(0, 1))).toBe(false);
  expect(isBetter(judged(1, NaN), judged(0, 1))).toBe(false);
});

test("counts the evaluations since the best", () => {
  const best = new BestSoFar();
  expect(best.best).toBeNull();
  expect([3, 2, 4, 2, 1].map((loss, step) => [best.add(judged(step, loss)), best.since])).toStrictEqual([
    [true, 0],
    [true, 0],
    [false, 1],
    [false, 2],
    [true, 0],
  ]);
  expect(best.best?.step).toBe(4);
});
