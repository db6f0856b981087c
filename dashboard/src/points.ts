/** The points of the loss chart: steps, merged in pairs when there are more than a screen can show. */

export interface Point {
  /** The last step of the point. */
  readonly step: number;
  /** Mean loss of its steps; null when none was finite. */
  readonly loss: number | null;
  readonly count: number;
}

const mostPoints = 2_000;

/** Adds a step behind the last one. A step that is there already (a stream that resumed too early) changes nothing. */
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

/**
 * Moving average that forgets exponentially, weighted by the steps of each point, so that merging does not bend it.
 * Divided by the weight it has gathered: the start is not pulled to the first value (Adam's bias correction).
 */
export function smooth(points: readonly Point[]): (number | null)[] {
  const memory = Math.max(8, stepCount(points) / 40);
  let sum = 0;
  let weight = 0;
  return points.map(({ loss, count }) => {
    if (loss !== null) {
      const keep = Math.exp(-count / memory);
      sum = keep * sum + (1 - keep) * loss;
      weight = keep * weight + (1 - keep);
    }
    return weight > 0 ? sum / weight : null;
  });
}
