/** What the charts of a run draw, tell at a step and save are the values of its steps. */
import { describe, expect, test } from "vitest";
import { leftOut, onLogScale } from "../../dashboard/src/parts/log-scale.ts";
import { valueNear } from "../../dashboard/src/parts/values.ts";
import { csvOf } from "../../dashboard/src/run/chart-csv.ts";
import { chartsOf } from "../../dashboard/src/run/chart-data.ts";
import { addStep, type Point } from "../../dashboard/src/run/points.ts";
import type { Run } from "../../dashboard/src/run/run-state.ts";

const step = (number: number, loss: number | null): Omit<Point, "count"> => ({
  step: number,
  loss,
  projectedGradient: number % 2 === 0 ? -2 : 3,
  learningRate: number * 1e-6,
  seconds: number / 4,
});
const pointsOf = (losses: readonly (number | null)[]): Point[] =>
  losses.map((loss, index) => ({ ...step(index + 1, loss), count: 1 }));

const measured = (kind: Run["evaluations"][number]["kind"], at: number, loss: number) => ({
  kind,
  step: at,
  rows: 10,
  loss,
  accuracy: 1 - loss / 4,
  f1: null,
  exactMatch: null,
});

/** Only what charts are made of. */
const runOf = (steps: number, evaluations: Run["evaluations"] = []) =>
  ({
    evaluations,
    from: null,
    hyperparameters: { bestMetric: "ACCURACY" },
    memory: { weightsBytes: 100, readings: [{ kind: "STEPS", step: 2, residentBytes: 150, peakBytes: 200 }] },
    progress: { step: steps },
  }) as unknown as Run;

const losses = [4, 3, null, 0, 1];
const run = runOf(5, [measured("VALIDATION", 0, 3.5), measured("VALIDATION", 4, 2), measured("TEST", 5, 1.5)]);
const charts = chartsOf(run, pointsOf(losses), 3);
const chartOf = (title: string) => charts.find((one) => one.title === title) ?? expect.unreachable(title);
const seriesOf = (title: string, label: string) =>
  chartOf(title).series.find((one) => one.label === label)?.values ?? expect.unreachable(label);

describe("the charts of a run", () => {
  test("draw each step's values at the step, and evaluations at theirs", () => {
    expect(chartOf("Loss").steps).toEqual([0, 1, 2, 3, 4, 5]);
    expect(seriesOf("Loss", "Each step")).toEqual([null, ...losses]);
    expect(seriesOf("Loss", "Validation")).toEqual([3.5, null, null, null, 2, null]);
    expect(seriesOf("Loss", "Test")).toEqual([null, null, null, null, null, 1.5]);
    expect(seriesOf("Loss", "Base model")).toEqual([3.5, null, null, null, null, 3.5]);
    expect(seriesOf("Learning rate", "Learning rate")).toEqual([1, 2, 3, 4, 5].map((one) => one * 1e-6));
    expect(seriesOf("Projected gradient", "Size")).toEqual([3, 2, 3, 2, 3]);
    expect(seriesOf("Time", "Seconds")).toEqual([0.25, 0.5, 0.75, 1, 1.25]);
    expect(seriesOf("Memory", "Steps (the most)")).toEqual([null, 200, null]);
    expect(
      charts.flatMap(({ steps, series }) => series.filter(({ values }) => values.length !== steps.length)),
    ).toEqual([]);
  });

  test("smooth the losses without lag after a sudden change", () => {
    const jump = pointsOf(Array.from({ length: 400 }, (_, index) => (index < 200 ? 4 : 1)));
    const [loss] = chartsOf(runOf(400), jump, 41);
    const line = loss?.series.find(({ label }) => label === "Smoothed")?.values ?? [];
    // Half of the fall is where the fall is: a line that lags has it half of its window later.
    const half = line.findIndex((value) => (value ?? 9) < 2.5);
    expect(Math.abs((loss?.steps[half] ?? 0) - 200)).toBeLessThanOrEqual(1);
    expect(seriesOf("Loss", "Smoothed").slice(1, 3)).not.toContain(null);
  });

  test("of merged steps are means of them, and say of how many", () => {
    const points: Point[] = [];
    for (let number = 1; number <= 4_001; number += 1) addStep(points, step(number, number % 2 === 0 ? 1 : 3));
    const [loss] = chartsOf(runOf(4_001), points, 1);
    expect(loss?.steps.slice(0, 3)).toEqual([2, 4, 6]);
    expect(loss?.series[0]).toMatchObject({ label: "Mean of up to 2 steps" });
    expect(loss?.series[0]?.values.slice(0, 3)).toEqual([2, 2, 2]);
  });

  test("tell at a step what the step had, and at a gap what was before it", () => {
    const at = chartOf("Loss").steps.indexOf(4);
    const told = chartOf("Loss").series.map(({ label, values }) => [label, valueNear(values, at)]);
    expect(Object.fromEntries(told)).toMatchObject({ "Each step": 0, Validation: 2, Test: 1.5, "Base model": 3.5 });
  });

  test("save what they draw", () => {
    const table = csvOf(chartOf("Loss")).trim().split("\n");
    expect(table[0]).toBe("step,Each step,Smoothed,Validation,Test,Base model");
    const rows = table.slice(1).map((line) => line.split(","));
    expect(rows.map(([number, loss, , validation]) => [number, loss, validation])).toEqual([
      ["0", "", "3.5"],
      ["1", "4", ""],
      ["2", "3", ""],
      ["3", "", ""],
      ["4", "0", "2"],
      ["5", "1", ""],
    ]);
    expect(
      csvOf({ steps: [1], series: [{ ...chartOf("Loss").series[0], label: "Mean of up to 1,024 steps" }] as never }),
    ).toBe('step,"Mean of up to 1,024 steps"\n1,\n');
  });
});

describe("a log scale", () => {
  test("has no place for 0 and below: such values are no part of the line, and counted where they are shown", () => {
    const values = [1, 0, null, -2, 0.5];
    expect(onLogScale(values)).toEqual([1, null, null, null, 0.5]);
    const whole = [1e-9, null, 3];
    expect(onLogScale(whole)).toBe(whole);
    const x = [1, 2, 3, 4, 5];
    expect(leftOut([{ values }, { values: [0, 1, 1, 1, 1] }], x, { min: 1, max: 5 })).toBe(3);
    expect(leftOut([{ values }], x, { min: 3, max: 5 })).toBe(1);
    // What is told at the step is its value all the same.
    expect(valueNear(values, 3)).toBe(-2);
  });
});
