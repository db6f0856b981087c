/** The points of the loss chart: steps, merged in pairs when there are too many to show. */

export interface Point {
  /** The last of the merged steps. */
  readonly step: number;
  /** Mean loss of its steps; null when none was finite. */
  readonly loss: number | null;
  readonly count: number;
}

const mostPoints = 2_000;

/** Appends a step; false for one that is there already, as after a stream that resumed too early. */
export function addStep(points: Point[], step: number, loss: number | null): boolean {
  if (step <= lastStep(points)) return false;
  points.push({ step, loss, count: 1 });
  if (points.length > mostPoints) points.splice(0, points.length, ...mergePairs(points));
  return true;
}

export const lastStep = (points: readonly Point[]) => points.at(-1)?.step ?? 0;
export const stepCount = (points: readonly Point[]) => points.reduce((sum, { count }) => sum + count, 0);

function mergePairs(points: readonly Point[]): Point[] {
  return Array.from({ length: Math.ceil(points.length / 2) }, (_, pair) => merge(points.slice(2 * pair, 2 * pair + 2)));
}

function merge(points: readonly Point[]): Point {
  const finite = points.filter((point) => point.loss !== null);
  const weight = stepCount(finite);
  const sum = finite.reduce((total, { loss, count }) => total + (loss ?? 0) * count, 0);
  return { step: lastStep(points), loss: weight > 0 ? sum / weight : null, count: stepCount(points) };
}

/** Steps that a smoothed loss is an average of: a fiftieth of those shown. The line then lags by half of it, 50 steps at most. */
export function smoothingWindow(stepsShown: number): number {
  return Math.round(Math.min(100, Math.max(5, stepsShown / 50)));
}

/**
 * Exponential moving average over a window of steps (its weights have the mean age of a plain average over the window).
 * Points weigh as many steps as they merge, so that merging does not change it. Divided by the accumulated weight, so that it
 * is not biased towards the first value (as Adam's bias correction).
 */
export function smooth(points: readonly Point[], window = smoothingWindow(stepCount(points))): (number | null)[] {
  const keepOne = (window - 1) / (window + 1);
  let sum = 0;
  let weight = 0;
  return points.map(({ loss, count }) => {
    if (loss !== null) {
      const keep = keepOne ** count;
      sum = keep * sum + (1 - keep) * loss;
      weight = keep * weight + (1 - keep);
    }
    return weight > 0 ? sum / weight : null;
  });
}

/** The value at an index of a series, or the closest one before it, or else after it: series have gaps at each other's steps. */
export function valueNear(series: ArrayLike<number | null | undefined>, index: number): number | null {
  const values = Array.from(series);
  const known = (value: number | null | undefined) => value != null;
  return values.slice(0, index + 1).findLast(known) ?? values.slice(index).find(known) ?? null;
}
