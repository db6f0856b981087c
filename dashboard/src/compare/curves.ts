/** The curves of the runs over one axis, as the charts and the CSV have them. */
import { passesByStep } from "../../../schema/passes.ts";
import type { Range } from "../parts/zoom.ts";
import { scoreOfOne } from "../parts/measure.ts";
import { smooth, stepCount, usualWindow } from "../run/points.ts";
import type { Axis } from "./address.ts";
import type { ComparedRun } from "./use-compared.ts";

export interface CurvePoint {
  readonly step: number;
  readonly passes: number;
  /** Of training, up to this step. */
  readonly seconds: number;
  readonly loss: number | null;
  readonly smoothed: number | null;
}

type Evaluation = ComparedRun["evaluations"][number];

export interface EvaluationPoint extends Evaluation {
  readonly passes: number;
  readonly seconds: number;
  readonly score: number | null;
}

export interface Curve {
  readonly losses: readonly CurvePoint[];
  readonly validations: readonly EvaluationPoint[];
}

export function curveOf({ chart, evaluations, hyperparameters }: ComparedRun): Curve {
  const passes = passesByStep(hyperparameters);
  const passesAt = (step: number) => passes[Math.min(step, passes.length - 1)] ?? 0;
  const smoothed = smooth(chart, usualWindow(stepCount(chart)));
  let seconds = 0;
  const losses = chart.map((point, index) => ({
    step: point.step,
    passes: passesAt(point.step),
    seconds: (seconds += point.seconds * point.count),
    loss: point.loss,
    smoothed: smoothed[index] ?? null,
  }));
  const validations = evaluations
    .filter(({ kind }) => kind === "VALIDATION")
    .map((one) => ({
      ...one,
      passes: passesAt(one.step),
      seconds: secondsAt(losses, one.step),
      score: scoreOfOne(hyperparameters.bestMetric, one),
    }));
  return { losses, validations };
}

/** Between two points of a curve, steps took equally long. */
function secondsAt(losses: readonly CurvePoint[], step: number): number {
  const after = losses.findIndex((point) => point.step >= step);
  const [a, b] = [losses[after - 1] ?? { step: 0, seconds: 0 }, losses[after]];
  if (b === undefined) return losses.at(-1)?.seconds ?? 0;
  return a.seconds + ((b.seconds - a.seconds) * (step - a.step)) / (b.step - a.step);
}

/** Which of the measurements on validation rows are drawn. */
export const measureNames = { score: "Validation score", loss: "Validation loss" } as const;
export type Measure = keyof typeof measureNames;

/** All curves over one axis of their own; where one has no point there is null. */
export interface Aligned {
  readonly x: readonly number[];
  /** One of each curve. */
  readonly values: readonly (readonly (number | null)[])[];
}

interface Drawn {
  readonly x: number;
  readonly y: number | null;
}

const xOf = (axis: Axis, { step, passes, seconds }: CurvePoint | EvaluationPoint) =>
  ({ steps: step, passes, time: seconds })[axis];

export function alignedLosses(curves: readonly Curve[], axis: Axis): Aligned {
  return align(curves.map(({ losses }) => losses.map((point) => ({ x: xOf(axis, point), y: point.smoothed }))));
}

export function alignedValidations(curves: readonly Curve[], axis: Axis, measure: Measure): Aligned {
  return align(curves.map(({ validations }) => validations.map((one) => ({ x: xOf(axis, one), y: one[measure] }))));
}

/** What all charts show unless somebody looks closer, so that one lies below the other. */
export function wholeOf(charts: readonly Aligned[]): Range {
  const min = Math.min(...charts.map(({ x }) => x[0] ?? Infinity));
  const max = Math.max(...charts.map(({ x }) => x.at(-1) ?? -Infinity));
  return Number.isFinite(min) ? { min, max: max > min ? max : min + 1 } : { min: 0, max: 1 };
}

function align(curves: readonly (readonly Drawn[])[]): Aligned {
  const x = [...new Set(curves.flatMap((curve) => curve.map((point) => point.x)))].toSorted((a, b) => a - b);
  const values = curves.map((curve) => {
    const at = new Map(curve.map((point) => [point.x, point.y]));
    return x.map((one) => at.get(one) ?? null);
  });
  return { x, values };
}
