/** The points of the charts keep every step, and the smoothed line follows them. */
import { describe, expect, test } from "vitest";
import { placeIssues } from "../../dashboard/src/parts/form/field-errors.ts";
import { plainTick, valueNear } from "../../dashboard/src/parts/values.ts";
import { addStep, lastStep, recentLoss, smooth, stepCount, union, type Point } from "../../dashboard/src/run/points.ts";

const measured = { projectedGradient: 3, learningRate: 1e-6, seconds: 0.5 };
const pointsOf = (losses: readonly (number | null)[]): Point[] =>
  losses.map((loss, index) => ({ step: index + 1, loss, ...measured, count: 1 }));

describe("the points of the charts", () => {
  test("count every step once, even if a stream repeats some", () => {
    const points: Point[] = [{ step: 10, loss: 2, ...measured, count: 10 }];
    for (const step of [9, 10, 11, 11, 12]) addStep(points, { step, loss: 1, ...measured });
    expect([lastStep(points), stepCount(points)]).toEqual([12, 12]);
  });

  test("are merged when there are many, and keep their number of steps and means", () => {
    const points: Point[] = [];
    for (let step = 1; step <= 10_000; step += 1)
      addStep(points, { ...measured, step, loss: step % 2 === 0 ? 3 : 1, projectedGradient: step % 2 === 0 ? 4 : 0 });
    expect(points.length).toBeLessThanOrEqual(4_000);
    expect([lastStep(points), stepCount(points)]).toEqual([10_000, 10_000]);
    expect(points[0]).toMatchObject({ loss: 2, learningRate: 1e-6, seconds: 0.5 });
    expect(points[0]?.projectedGradient).toBeCloseTo(Math.sqrt(8), 12);
  });

  test("exclude losses that are not finite from the mean", () => {
    const points: Point[] = [];
    for (let step = 1; step <= 4_001; step += 1) addStep(points, { ...measured, step, loss: step === 1 ? null : 5 });
    expect(points[0]).toMatchObject({ step: 2, loss: 5, count: 2 });
    expect(recentLoss(points, 10)).toBeCloseTo(5, 12);
  });
});

describe("the smoothed line", () => {
  const smoothed = (losses: readonly (number | null)[], window: number) => smooth(pointsOf(losses), window);

  test("follows what it smooths: a straight fall stays where it is, at its ends too", () => {
    const falling = Array.from({ length: 20_000 }, (_, index) => 1 - index / 20_000);
    smoothed(falling, 999).forEach((value, index) => expect(value).toBeCloseTo(falling[index] ?? NaN, 9));
  });

  test("is as smooth at its ends, where the window is cut off", () => {
    const noisy = Array.from({ length: 1_000 }, (_, index) => 3 - index / 1_000 + (index % 2 === 0 ? 1 : -1));
    smoothed(noisy, 101).forEach((value, index) => {
      expect(Math.abs((value ?? NaN) - (3 - index / 1_000))).toBeLessThan(0.1);
    });
    // Far from the first step a short window has no line that the sums could tell: the mean of what is left.
    const far = [1, 2, 4].map((loss, index) => ({ step: index === 0 ? 1 : 10_000_000 + index, loss, count: 1 }));
    expect(smooth(far, 3).at(-1)).toBeCloseTo(3, 6);
  });

  test("is the mean around each step, without losses that are not finite", () => {
    expect(smoothed([1, 2, 6, null, 4], 3)).toEqual([1, 3, 4, 5, 4]);
    expect(smoothed([null, 4], 1)).toEqual([null, 4]);
    expect(smoothed([1, 2, 6], 1)).toEqual([1, 2, 6]);
  });

  test("is the same when points are merged, up to the width of a point", () => {
    const wave = Array.from({ length: 20_000 }, (_, index) => Math.sin(index / 2_000));
    const merged: Point[] = [];
    wave.forEach((loss, index) => addStep(merged, { ...measured, step: index + 1, loss }));
    const whole = smoothed(wave, 401);
    const coarse = smooth(merged, 401);
    merged.forEach(({ step, count }, index) => {
      if (step > 400 && step < 19_600)
        expect(Math.abs((coarse[index] ?? 0) - (whole[step - 1] ?? 0))).toBeLessThan(count / 2_000);
    });
  });
});

test("the axis of a chart has the steps of all its parts once, in order", () => {
  const points = [1, 2, 3, 4];
  expect(union(points, [0, 2, 5])).toEqual([0, 1, 2, 3, 4, 5]);
  expect(union([2], [1, 2, 3])).toEqual([1, 2, 3]);
  // The same array, so that nothing is made anew when no part has other steps.
  expect(union(points, [2, 4])).toBe(points);
  expect(union([], points)).toBe(points);
});

test("a series has a value in the legend where it has a gap: the one before, or the first", () => {
  const series = [null, 3, null, undefined, 4];
  expect(series.map((_, index) => valueNear(series, index))).toEqual([3, 3, 3, 3, 4]);
  expect(valueNear([null], 0)).toBeNull();
});

test("issues are placed at the fields that their paths name; those of lines and of no field are left", () => {
  const issues = [
    { field: "input.hyperparameters.steps", message: "must be at least 1" },
    { field: "input.labelWords.0", message: "is empty" },
    { field: "input.labelWords.2", message: "is a number" },
    { field: "prompt", line: 3, message: "is missing" },
    { field: "input.from", message: "is unknown" },
  ];
  const { fields, rest } = placeIssues(issues, new Set(["steps", "labelWords", "prompt"]));
  expect([...fields]).toEqual([
    ["steps", "must be at least 1"],
    ["labelWords", "is empty; is a number"],
  ]);
  expect(rest.map(({ field }) => field)).toEqual(["prompt", "input.from"]);
});

test("a number beside an axis is never wider than its room", () => {
  const shown = [2e11, 175_000_000_000, 1_000_000, 123_456, 13.66514, 0.0068, 0, 1.234e-5].map(plainTick);
  expect(shown).toEqual(["2e11", "1.75e11", "1e6", "123500", "13.67", "0.0068", "0", "1.2e-5"]);
});
