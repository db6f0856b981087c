/** The losses of a run's steps, in a bounded number of points: neighbours are merged whenever there are too many. */
import type { Point } from "./plot.ts";

interface Merged {
  /** The last of the merged steps. */
  readonly step: number;
  /** Steps whose loss was finite. */
  readonly count: number;
  readonly sum: number;
}

/** More than a terminal has dots in a line. */
export const mostPoints = 2_000;

export class Losses {
  #points: Merged[] = [];

  /** @param loss mean of `count` steps, of which `step` is the last; null if none was finite */
  add(step: number, loss: number | null, count = 1): void {
    if (loss === null) return;
    this.#points.push({ step, count, sum: loss * count });
    if (this.#points.length > mostPoints) this.#points = inPairs(this.#points);
  }

  points(): Point[] {
    return this.#points.map(({ step, count, sum }) => ({ x: step, y: sum / count }));
  }
}

function inPairs(points: readonly Merged[]): Merged[] {
  return Array.from({ length: Math.ceil(points.length / 2) }, (_, pair) =>
    points
      .slice(2 * pair, 2 * pair + 2)
      .reduce((one, other) => ({ step: other.step, count: one.count + other.count, sum: one.sum + other.sum })),
  );
}
