import { expect, test } from "vitest";
import { BestSoFar, isBetter } from "../../schema/best-evaluation.ts";

const evaluated = (step: number, loss: number, accuracy: number | null = null) => ({
  entries: step,
  step,
  loss,
  accuracy,
});

test("accuracy decides, then the loss; a loss that is not a number never wins", () => {
  expect(isBetter(evaluated(1, 9, 0.6), evaluated(0, 1, 0.5))).toBe(true);
  expect(isBetter(evaluated(1, 1, 0.5), evaluated(0, 9, 0.6))).toBe(false);
  expect(isBetter(evaluated(1, 0.9, 0.5), evaluated(0, 1, 0.5))).toBe(true);
  expect(isBetter(evaluated(1, 1), evaluated(0, 1))).toBe(false);
  expect(isBetter(evaluated(1, NaN), evaluated(0, 1))).toBe(false);
});

test("an evaluation of a run that has diverged is worse than any other, whatever its scores, and is replaced", () => {
  for (const loss of [NaN, Infinity]) {
    expect(isBetter(evaluated(1, loss, 0.9), evaluated(0, 9, 0.1))).toBe(false);
    expect(isBetter(evaluated(1, 9, 0.1), evaluated(0, loss, 0.9))).toBe(true);
    expect(isBetter(evaluated(1, loss), evaluated(0, NaN))).toBe(false);
    const best = new BestSoFar();
    expect([loss, 5, NaN, 4, Infinity].map((one, step) => best.add(evaluated(step, one)))).toStrictEqual([
      true,
      true,
      false,
      true,
      false,
    ]);
    expect([best.best?.loss, best.since]).toStrictEqual([4, 1]);
  }
});

test("a metric that was chosen decides alone, and of equal ones the loss", () => {
  const of = (loss: number, accuracy: number, f1: number, exactMatch: number) => ({
    entries: 0,
    step: 0,
    loss,
    accuracy,
    f1,
    exactMatch,
  });
  const [one, other] = [of(1, 0.5, 0.5, 0.5), of(2, 0.6, 0.4, 0.7)];
  const better = (["AUTO", "LOSS", "ACCURACY", "F1", "EXACT_MATCH"] as const).map((metric) =>
    isBetter(other, one, metric),
  );
  expect(better).toStrictEqual([false, false, true, false, true]);
  expect(isBetter(of(1, 0.5, 0, 0), of(2, 0.5, 1, 1), "ACCURACY")).toBe(true);
  expect(isBetter(evaluated(1, 1), evaluated(0, 2), "F1")).toBe(true);
  const best = new BestSoFar("LOSS");
  for (const next of [of(3, 0.1, 0, 0), of(1, 0, 0, 0), of(2, 1, 1, 1)]) best.add(next);
  expect(best.best?.loss).toBe(1);
  expect(best.since).toBe(1);
});

test("counts the evaluations since the best", () => {
  const best = new BestSoFar();
  expect(best.best).toBeNull();
  expect([3, 2, 4, 2, 1].map((loss, step) => [best.add(evaluated(step, loss)), best.since])).toStrictEqual([
    [true, 0],
    [true, 0],
    [false, 1],
    [false, 2],
    [true, 0],
  ]);
  expect(best.best?.step).toBe(4);
});
