/** The points of the chart keep every step. */
import { describe, expect, test } from "vitest";
import { placeIssues } from "../../dashboard/src/parts/form/field-errors.ts";
import {
  addStep,
  lastStep,
  smooth,
  smoothingWindow,
  stepCount,
  valueNear,
  type Point,
} from "../../dashboard/src/run/points.ts";

describe("the points of the chart", () => {
  test("count every step once, even if a stream repeats some", () => {
    const points: Point[] = [{ step: 10, loss: 2, count: 10 }];
    for (const step of [9, 10, 11, 11, 12]) addStep(points, step, 1);
    expect([lastStep(points), stepCount(points)]).toEqual([12, 12]);
  });

  test("are merged when there are many, and keep their number of steps and mean", () => {
    const points: Point[] = [];
    for (let step = 1; step <= 10_000; step += 1) addStep(points, step, step % 2 === 0 ? 3 : 1);
    expect(points.length).toBeLessThanOrEqual(2_000);
    expect([lastStep(points), stepCount(points)]).toEqual([10_000, 10_000]);
    expect(points[0]?.loss).toBe(2);
  });

  test("exclude losses that are not finite from the mean", () => {
    const points: Point[] = [];
    for (let step = 1; step <= 2_001; step += 1) addStep(points, step, step === 1 ? null : 5);
    expect(points[0]).toEqual({ step: 2, loss: 5, count: 2 });
    expect(smooth(points).at(-1)).toBeCloseTo(5, 12);
  });

  test("have a moving average that starts at the first loss", () => {
    expect(
      smooth([
        { step: 1, loss: null, count: 1 },
        { step: 2, loss: 4, count: 1 },
      ]),
    ).toEqual([null, 4]);
  });

  test("are smoothed over a window of steps, the same when they are merged, that lags 50 steps at most", () => {
    const falling = Array.from({ length: 20_000 }, (_, index) => ({
      step: index + 1,
      loss: 1 - index / 20_000,
      count: 1,
    }));
    const window = smoothingWindow(falling.length);
    const lag = (points: Point[]) => ((smooth(points).at(-1) ?? NaN) - 1 / 20_000) * 20_000;
    expect(window).toBe(100);
    expect(lag(falling)).toBeCloseTo((window - 1) / 2, 1);
    const merged: Point[] = [];
    for (const { step, loss } of falling) addStep(merged, step, loss);
    expect(Math.abs(lag(merged) - lag(falling))).toBeLessThan(10);
    expect([smoothingWindow(0), smoothingWindow(1_000), smoothingWindow(2_000)]).toEqual([5, 20, 40]);
    expect(smooth(falling, 1).at(-1)).toBe(falling.at(-1)?.loss);
  });
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
