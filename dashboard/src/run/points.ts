/** The points of a run's charts: steps, merged in pairs when there are too many to show. */

export interface Point {
  /** The last of the merged steps. */
  readonly step: number;
  /** Mean loss of its steps; null when none was finite. */
  readonly loss: number | null;
  /** Root mean square of the projected gradients; null when none was finite. */
  readonly projectedGradient: number | null;
  /** Of the last step. */
  readonly learningRate: number;
  /** Mean duration of a step. */
  readonly seconds: number;
  readonly count: number;
}

const mostPoints = 4_000;

/** Appends a step; false for one that is there already, as after a stream that resumed too early. */
export function addStep(points: Point[], step: Omit<Point, "count">): boolean {
  if (step.step <= lastStep(points)) return false;
  points.push({ ...step, count: 1 });
  if (points.length > mostPoints) points.splice(0, points.length, ...mergePairs(points));
  return true;
}

export const lastStep = (points: readonly Point[]) => points.at(-1)?.step ?? 0;
export const stepCount = (points: readonly Pick<Point, "count">[]) => points.reduce((sum, { count }) => sum + count, 0);

function mergePairs(points: readonly Point[]): Point[] {
  return Array.from({ length: Math.ceil(points.length / 2) }, (_, pair) => merge(points.slice(2 * pair, 2 * pair + 2)));
}

function merge(points: readonly Point[]): Point {
  const squares = meanOf(points, ({ projectedGradient: one }) => (one === null ? null : one * one));
  return {
    step: lastStep(points),
    loss: meanOf(points, ({ loss }) => loss),
    projectedGradient: squares === null ? null : Math.sqrt(squares),
    learningRate: points.at(-1)?.learningRate ?? 0,
    seconds: meanOf(points, ({ seconds }) => seconds) ?? 0,
    count: stepCount(points),
  };
}

/** Over the steps that have a value; null if none has. */
function meanOf(points: readonly Point[], value: (point: Point) => number | null): number | null {
  let [sum, weight] = [0, 0];
  for (const point of points) {
    const one = value(point);
    if (one === null) continue;
    sum += one * point.count;
    weight += point.count;
  }
  return weight > 0 ? sum / weight : null;
}

/**
 * A mean over a window of steps around each point, so that the line follows what it smooths without lagging. Near an end of
 * the run, where the window is cut off, the line through what is left of it (least squares), at the point: a mean of one side
 * would lag, and a window as short as the way to the end would smooth nothing there. Points weigh as many steps as they merge.
 * @param window in steps; 1 leaves everything as it is
 */
export function smooth(points: readonly Pick<Point, "step" | "loss" | "count">[], window: number): (number | null)[] {
  const [first, last] = [points[0]?.step ?? 0, points.at(-1)?.step ?? 0];
  const sums = sumsOf(points, first);
  const within = (of: Float64Array, from: number, to: number) => (of[to + 1] ?? 0) - (of[from] ?? 0);
  const reach = (window - 1) / 2;
  let [from, to] = [0, 0];
  return points.map(({ step }) => {
    while ((points[from]?.step ?? Infinity) < step - reach) from += 1;
    to = Math.max(to, from);
    while ((points[to + 1]?.step ?? Infinity) <= step + reach) to += 1;
    const w = within(sums.w, from, to);
    if (w === 0) return null;
    const [meanX, meanY] = [within(sums.wx, from, to) / w, within(sums.wy, from, to) / w];
    if (step - reach >= first && step + reach <= last) return meanY;
    const xx = within(sums.wxx, from, to) / w;
    const spread = xx - meanX * meanX;
    // One point has no line, and of a few among very many the sums no longer tell one.
    if (spread <= 1e-9 * xx) return meanY;
    const slope = (within(sums.wxy, from, to) / w - meanX * meanY) / spread;
    return meanY + slope * (step - first - meanX);
  });
}

/** Of weights w, steps x from the first one on, and losses y: up to each point, with a 0 before the first. */
function sumsOf(points: readonly Pick<Point, "step" | "loss" | "count">[], first: number) {
  const sumOf = (term: (w: number, x: number, y: number) => number) => {
    const sums = new Float64Array(points.length + 1);
    points.forEach(({ step, loss, count }, index) => {
      sums[index + 1] = (sums[index] ?? 0) + (loss === null ? 0 : term(count, step - first, loss));
    });
    return sums;
  };
  return {
    w: sumOf((w) => w),
    wx: sumOf((w, x) => w * x),
    wxx: sumOf((w, x) => w * x * x),
    wy: sumOf((w, _x, y) => w * y),
    wxy: sumOf((w, x, y) => w * x * y),
  };
}

/**
 * The mean of the last steps, which says how the run is doing now. It lags by half of the window.
 * @param window in steps
 */
export function recentLoss(points: readonly Point[], window: number): number | null {
  const start = lastStep(points) - window;
  return meanOf(
    points.filter(({ step }) => step > start),
    ({ loss }) => loss,
  );
}

/** Steps that a smoothed loss is a mean of, unless somebody chooses: a twentieth of those shown. */
export const usualWindow = (stepsShown: number) => Math.max(1, Math.round(stepsShown / 20));

/** Of numbers in order; one of the two where it has all of the other's. */
export function union(some: readonly number[], others: readonly number[]): readonly number[] {
  if (some === others || others.length === 0) return some;
  if (some.length === 0) return others;
  const all: number[] = [];
  for (let i = 0, j = 0; i < some.length || j < others.length;) {
    const [one = Infinity, other = Infinity] = [some[i], others[j]];
    all.push(Math.min(one, other));
    if (one <= other) i += 1;
    if (other <= one) j += 1;
  }
  return all.length === some.length ? some : all;
}
