/**
 * How far weights can walk along noise before the model is another one: the linear radius. Along noise z, the loss of a row
 * at distance s has a part that is odd in s, which a gradient explains, and an even one, which it does not:
 *
 *   odd = (L(theta + s z) - L(theta - s z)) / 2        even = (L(theta + s z) + L(theta - s z)) / 2 - L(theta)
 *
 * The even part grows faster. The radius is the distance at which its root mean square over rows is half of the odd part's.
 * Neither the unit of the losses nor their size matters, and weights of twice the size have twice the radius.
 * docs/decisions/0039-auto-from-a-radius.md has measurements.
 */

/** Losses of each row of a batch; no weight changes. */
export interface RowLosses {
  atWeights(batch: number): Promise<readonly number[]>;
  /** On both sides of the weights, `distance` away along the batch's own noise, in its standard deviations. */
  bothSides(batch: number, distance: number): Promise<readonly [readonly number[], readonly number[]]>;
}

const batches = 3;
const evenToOdd = 0.5;
/** Distances that are measured, in units of epsilon. */
const distances = Array.from({ length: 11 }, (_, i) => 2 ** (i - 4));

/** Null where losses never differ. Measures 69 forward passes of a batch. */
export async function linearRadius(losses: RowLosses, epsilon: number): Promise<number | null> {
  const measured: Ratio[] = [];
  const squares = distances.map(() => ({ odd: 0, even: 0 }));
  for (let batch = 0; batch < batches; batch++) {
    const middle = await losses.atWeights(batch);
    for (const [i, sums] of squares.entries()) {
      const [plus, minus] = await losses.bothSides(batch, (distances[i] ?? 0) * epsilon);
      for (const [row, loss] of middle.entries()) {
        const [above = NaN, below = NaN] = [plus[row], minus[row]];
        sums.odd += ((above - below) / 2) ** 2;
        sums.even += ((above + below) / 2 - loss) ** 2;
      }
    }
  }
  for (const [i, { odd, even }] of squares.entries()) {
    if (odd !== 0 || even !== 0) {
      measured.push({ distance: (distances[i] ?? 0) * epsilon, ratio: Math.sqrt(even / odd) });
    }
  }
  return crossing(measured);
}

interface Ratio {
  readonly distance: number;
  /** Even to odd part; NaN if a loss is not finite. */
  readonly ratio: number;
}

/** Where the ratio first reaches a half; between two distances, it is close to a power of the distance. */
function crossing(ratios: readonly Ratio[]): number | null {
  const first = ratios.findIndex(({ ratio }) => !(ratio < evenToOdd));
  if (first < 0) return ratios.at(-1)?.distance ?? null;
  const [below, above] = [ratios[first - 1], ratios[first]];
  if (!above) return null;
  if (!below) return Number.isNaN(above.ratio) ? null : above.distance;
  if (!Number.isFinite(above.ratio) || below.ratio === 0) return below.distance;
  const part = Math.log(evenToOdd / below.ratio) / Math.log(above.ratio / below.ratio);
  return below.distance * (above.distance / below.distance) ** part;
}
