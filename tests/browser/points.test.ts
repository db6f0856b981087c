/** The points of the chart keep every step. */
import { describe, expect, test } from "vitest";
import { addStep, lastStep, smooth, stepCount, type Point } from "../../dashboard/src/points.ts";

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
});
