/** The head: scores of the vocabulary, some entries and rows at a time. */
import type { HeadOptions } from "../device.ts";
import type { Cells } from "../recorded.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { capped, logSumExp } from "./operations.ts";
import type { Reading } from "./products.ts";
import { heldVector, matricesOf, ofSide, sidesUnder, times } from "./products.ts";
import type { TensorflowWeight, WeightPiece } from "./weights.ts";

export interface Head {
  readonly weight: TensorflowWeight;
  readonly bias: TensorflowWeight | null;
  readonly softcap: HeadOptions["softcap"];
}

/** Some rows of x on one side, and the scores of some entries of the vocabulary there: [rows, count]. */
interface Scores {
  readonly logits: Handle;
  readonly side: number;
  readonly row: number;
  readonly rows: number;
  readonly first: number;
  readonly count: number;
}

type Use = (scores: Scores) => readonly Handle[];

/**
 * Calls `use` with scores, which are freed afterwards; what it returns is kept. They are float32 in any precision: rounded to
 * bfloat16, as TensorFlow's products in it are, a score of 10 is off by up to 0.03 nats, more than the sides of a step differ by.
 * @returns the number of sides
 */
function forScores(given: Reading, x: Cells<Handle>, head: Head, use: Use): number {
  const reading: Reading = { ...given, precision: "float32" };
  const sides = Math.max(x.length, sidesUnder(reading, head.weight, head.bias));
  const most = Math.ceil(reading.scoreElements / Math.max(1, ...head.weight.pieces.map(({ rows }) => rows)));
  const shifts = head.bias && heldVector(reading, head.bias);
  try {
    for (const piece of head.weight.pieces) {
      const matrices = matricesOf(reading, head.weight, piece, "out-in");
      try {
        for (let side = 0; side < sides; side++) {
          const shift = shifts && ofSide(shifts.handles, side);
          forRows(reading.tf, x[Math.min(side, x.length - 1)] ?? [], most, (rows, row) => {
            const logits = scored(reading, rows, matrices.of(side), shift, piece, head.softcap);
            return use({ logits, side, row, rows: rows.shape[0] ?? 0, first: piece.firstRow, count: piece.rows });
          });
        }
      } finally {
        matrices.end();
      }
    }
  } finally {
    shifts?.end();
  }
  return sides;
}

/** Calls `use` with at most `most` rows at a time and the place of the first, in a scope of their own. */
function forRows(
  tf: TensorFlow,
  blocks: readonly Handle[],
  most: number,
  use: (rows: Handle, first: number) => readonly Handle[],
): void {
  let start = 0;
  for (const block of blocks) {
    const [rows = 0] = block.shape;
    for (let first = 0; first < rows; first += most) {
      tf.scope(() => use(tf.slice(block, first, Math.min(most, rows - first)), start + first));
    }
    start += rows;
  }
}

/** Scores [rows, piece.rows]; `shift` is the bias of the whole vocabulary. */
function scored(
  reading: Reading,
  rows: Handle,
  matrix: Handle,
  shift: Handle | null,
  piece: WeightPiece,
  softcap: number | undefined,
): Handle {
  const { tf } = reading;
  let logits = times(reading, rows, matrix, "out-in");
  if (shift) {
    const part = tf.columns(shift, piece.firstRow, piece.rows);
    logits = tf.next(logits, (y) => tf.binary("AddV2", y, part));
  }
  return tf.next(logits, (y) => capped(tf, y, softcap));
}

/** Cross-entropy of each row, [sides, rows]: all that is read from the device, at once. */
export function lossesOf(reading: Reading, x: Cells<Handle>, head: Head, targets: Int32Array): Float32Array {
  const { tf } = reading;
  const losses = tf.scope(() => {
    /** By side and row: the logs of the sums over each piece of the vocabulary. */
    const sums = new Map<string, Handle[]>();
    const picked: Handle[] = [];
    const order = new Int32Array(2 * targets.length);
    let found = 0;
    const sides = forScores(reading, x, head, ({ logits, side, row, rows, first, count }) => {
      const sum = logSumExp(tf, logits);
      const key = `${side} ${row}`;
      sums.set(key, [...(sums.get(key) ?? []), sum]);
      const hits = within(targets.subarray(row, row + rows), first, count);
      if (hits.length === 0) return [sum];
      hits.forEach((hit) => (order[side * targets.length + row + hit] = found++));
      const scores = picks(
        tf,
        logits,
        Int32Array.from(hits, (hit) => hit * count + (targets[row + hit] ?? 0) - first),
      );
      picked.push(scores);
      return [sum, scores];
    });
    const totals = [...sums.values()].map((parts) =>
      parts.length > 1 ? logSumExp(tf, tf.concat(parts, 1)) : parts[0],
    );
    const all = [sides * targets.length];
    const joined = tf.reshape(
      tf.concat(
        totals.filter((total) => total !== undefined),
        0,
      ),
      all,
    );
    return tf.binary("Sub", joined, tf.gather(tf.concat(picked, 0), order.subarray(0, all[0]), 0));
  });
  return read(tf, losses);
}

/** Rows whose targets are entries first, ..., first + count - 1. */
function within(targets: Int32Array, first: number, count: number): number[] {
  return [...targets.keys()].filter((row) => {
    const at = (targets[row] ?? 0) - first;
    return at >= 0 && at < count;
  });
}

/** Elements of x by their place in it: [places]. */
function picks(tf: TensorFlow, x: Handle, places: Int32Array): Handle {
  const flat = tf.reshape(x, [x.shape.reduce((product, size) => product * size, 1)]);
  return tf.next(flat, (y) => tf.gather(y, places, 0));
}

/** Scores of the whole vocabulary: [sides, rows, vocab]. */
export function logitsOf(reading: Reading, x: Cells<Handle>, head: Head): Float32Array {
  const { tf } = reading;
  const vocab = head.weight.rows;
  const rows = (x[0] ?? []).reduce((sum, block) => sum + (block.shape[0] ?? 0), 0);
  const sides = Math.max(x.length, sidesUnder(reading, head.weight, head.bias));
  const all = new Float32Array(sides * rows * vocab);
  forScores(reading, x, head, ({ logits, side, row, rows: some, first, count }) => {
    const values = tf.floats(logits);
    for (let i = 0; i < some; i++) {
      all.set(values.subarray(i * count, (i + 1) * count), (side * rows + row + i) * vocab + first);
    }
    return [];
  });
  return all;
}

function read(tf: TensorFlow, handle: Handle): Float32Array {
  try {
    return tf.floats(handle);
  } finally {
    tf.free(handle);
  }
}
