/**
 * Which rows a step measures: without replacement within an epoch, each epoch in a different order. Both depend on the
 * seed and the step alone, so a run that resumes after a crash sees the rows it would have seen.
 */
import { Philox } from "../numbers/noise.ts";

/** Philox stream of row orders; the noise uses 0 to 2. */
const orderStream = 3;

/** The rows of step t (from 0): numbers t*B to t*B + B - 1 of the epochs' orders, one epoch after the other. */
export function batchRows<Row>(rows: readonly Row[], batchSize: number, seed: number, t: number): Row[] {
  return batchIndices(rows.length, batchSize, seed, t).map((index) => {
    const row = rows[index];
    if (row === undefined) throw new RangeError("a batch needs at least one row");
    return row;
  });
}

/** The same as indices into `count` rows. */
export function batchIndices(count: number, batchSize: number, seed: number, t: number): number[] {
  const orders = new Map<number, Uint32Array>();
  const orderOf = (epoch: number): Uint32Array => {
    const order = orders.get(epoch) ?? cachedOrder(count, seed, epoch);
    orders.set(epoch, order);
    return order;
  };
  return Array.from({ length: batchSize }, (_, i) => {
    const drawn = t * batchSize + i;
    return orderOf(Math.floor(drawn / count))[drawn % count] ?? 0;
  });
}

let cached: { length: number; seed: number; epoch: number; order: Uint32Array } | undefined;

/** Keeps the last order: that of a large dataset is computed once an epoch, not once a step. */
function cachedOrder(length: number, seed: number, epoch: number): Uint32Array {
  if (cached?.length !== length || cached.seed !== seed || cached.epoch !== epoch) {
    cached = { length, seed, epoch, order: epochOrder(length, seed, epoch) };
  }
  return cached.order;
}

/** A permutation of 0 ... length - 1 (Fisher and Yates). */
export function epochOrder(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, index) => index);
  const words = new Uint32Array(4 * length);
  new Philox(BigInt(seed), epoch, orderStream).blocks(0, length, words);
  for (let last = length - 1; last > 0; last--) {
    // 53 random bits, scaled down: the bias towards one row is below 2^-32.
    const fraction = ((words[4 * last] ?? 0) * 2 ** 21 + ((words[4 * last + 1] ?? 0) >>> 11)) * 2 ** -53;
    const other = Math.floor(fraction * (last + 1));
    const kept = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = kept;
  }
  return order;
}
