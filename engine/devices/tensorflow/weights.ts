/**
 * Weights, noise and update as TensorFlow operations, on the processor that has the weights: the same bits as
 * engine/numbers/noise.ts and engine/replay/update.ts. StatelessRandomUniformFullIntV2 with algorithm 1 is Philox4x32-10, word
 * for word; the rest is exact shifts, bit counts and products, and one rounded subtraction.
 *
 * TensorFlow flushes subnormal numbers to zero, on CPU and GPU. They cannot occur in a weight whose elements are all 0 or at
 * least `smallest` = 2^-64 in size: such elements are multiples of 2^-87, a * n is a multiple of 2^-107, and so is every
 * difference. A weight with smaller elements, from the start or by decay, is updated by engine/replay/update.ts instead.
 */
import { invariant } from "../../../schema/errors.ts";
import type { LogEntries, LogEntry } from "../../../schema/step-log.ts";
import type { Noise } from "../../numbers/noise.ts";
import { streams, tensorId } from "../../numbers/noise.ts";
import type { Stored } from "../../replay/update.ts";
import { update } from "../../replay/update.ts";
import type { Perturbation, Weight, WeightSpec } from "../device.ts";
import { bytesPerElement, elementCount, sidesOf as sidesOfPass } from "../device.ts";
import { valuesOf as float32Values } from "../host-memory.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";

/** Whole rows of a weight's matrix, as a tensor of their own: no operation ever makes a second copy of a whole weight. */
export interface WeightPiece {
  readonly firstRow: number;
  readonly rows: number;
  /** [rows, columns], float32 or bfloat16; replaced by each update. */
  values: Handle;
}

export interface TensorflowWeight extends Weight {
  readonly id: number;
  readonly elements: number;
  /** Of the weight's matrix; a vector is one row. */
  readonly rows: number;
  readonly columns: number;
  /** In order of their rows. */
  readonly pieces: readonly WeightPiece[];
  /** Whether it has elements so small that TensorFlow could meet subnormal numbers. */
  subnormal: boolean;
}

/** Elements of a piece: a bound on what an operation copies, yet large enough to keep a processor busy. */
export const pieceElements = 2 ** 22;

const smallest = 2 ** -64;

/** @param limit elements of a piece, at most, unless a few rows have more */
export function storeTensorflowWeight(
  tf: TensorFlow,
  spec: WeightSpec,
  bytes: Uint8Array,
  limit = pieceElements,
): TensorflowWeight {
  const elements = elementCount(spec.shape);
  const size = bytesPerElement[spec.dtype];
  invariant(bytes.byteLength === elements * size, `${spec.name} has ${elements * size} bytes, not ${bytes.byteLength}`);
  const rows = spec.shape.length > 1 ? (spec.shape[0] ?? 1) : 1;
  const columns = elements / Math.max(1, rows);
  let subnormal = false;
  const pieces = rowsOfPieces(rows, columns, limit).map(([firstRow, count]) => {
    const stored = copyOf(spec, bytes.subarray(firstRow * columns * size, (firstRow + count) * columns * size));
    subnormal ||= hasTiny(stored);
    return { firstRow, rows: count, values: upload(tf, stored, [count, columns]) };
  });
  return { ...spec, device: "tfjs", id: tensorId(spec.name), elements, rows, columns, pieces, subnormal };
}

/** First row and number of rows of each piece. Each starts at the start of a block of noise. */
function rowsOfPieces(rows: number, columns: number, limit: number): [first: number, count: number][] {
  let step = 1;
  while ((step * columns) % noiseAlignment !== 0) step *= 2;
  const most = step * Math.max(1, Math.floor(limit / Math.max(1, columns) / step));
  const count = Math.max(1, Math.ceil(rows / most));
  return Array.from({ length: count }, (_, i) => [i * most, Math.min(most, rows - i * most)]);
}

function copyOf({ dtype }: WeightSpec, bytes: Uint8Array): Stored {
  const { buffer } = bytes.slice();
  return dtype === "F32" ? new Float32Array(buffer) : new Uint16Array(buffer);
}

export function freeTensorflowWeight(tf: TensorFlow, weight: TensorflowWeight): void {
  for (const piece of weight.pieces) tf.free(piece.values);
}

/** The elements as a tensor. `stored` must not change afterwards. */
function upload(tf: TensorFlow, stored: Stored, shape: readonly number[]): Handle {
  if (stored instanceof Float32Array) return tf.constant(stored, shape);
  return tf.scope(() => {
    const words = tf.constant(Int32Array.from(stored), shape);
    return tf.bitcast(tf.cast(words, types.int32, types.uint16), types.uint16, types.bfloat16);
  });
}

/** Whether an element other than 0 is smaller than `smallest`. */
function hasTiny(stored: Stored): boolean {
  return float32Values(stored).some((value) => value !== 0 && Math.abs(value) < smallest);
}

export function readTensorflowWeight(tf: TensorFlow, weight: TensorflowWeight): Uint8Array {
  const size = bytesPerElement[weight.dtype];
  const bytes = new Uint8Array(weight.elements * size);
  for (const piece of weight.pieces) {
    const { buffer, byteOffset, byteLength } = download(tf, weight, piece);
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), piece.firstRow * weight.columns * size);
  }
  return bytes;
}

function download(tf: TensorFlow, { dtype }: TensorflowWeight, { values }: WeightPiece): Stored {
  if (dtype === "F32") return tf.floats(values);
  const words = tf.scope(() => {
    const halves = tf.bitcast(values, types.bfloat16, types.uint16);
    return tf.cast(halves, types.uint16, types.int32);
  });
  const stored = Uint16Array.from(tf.integers(words));
  tf.free(words);
  return stored;
}

/**
 * A piece on each side of a pass, float32 [rows, columns]: w itself, or w + e*n and (of two sides) w - e*n. The enclosing scope
 * frees what is made; the w of a float32 weight is the stored tensor.
 */
export function sidesOf(
  tf: TensorFlow,
  weight: TensorflowWeight,
  piece: WeightPiece,
  perturbation: Perturbation | null,
): readonly Handle[] {
  if (!perturbation || !weight.trainable) return [valuesOf(tf, weight, piece)];
  return tf.scope(() =>
    perturbed(tf, valuesOf(tf, weight, piece), noiseOfPiece(tf, weight, piece, perturbation), perturbation),
  );
}

/** The rows `ids` of a weight on each side, float32 [ids, columns]; see sidesOf. */
export function rowsOf(
  tf: TensorFlow,
  weight: TensorflowWeight,
  ids: Int32Array,
  perturbation: Perturbation | null,
): readonly Handle[] {
  return tf.scope(() => {
    const w = gatherRows(tf, weight, ids, (piece) => valuesOf(tf, weight, piece));
    if (!perturbation || !weight.trainable) return [w];
    const n = gatherRows(tf, weight, ids, (piece) => noiseOfPiece(tf, weight, piece, perturbation));
    return perturbed(tf, w, n, perturbation);
  });
}

/** Gathers rows of what `make` makes of each piece, whatever piece they are in. */
function gatherRows(
  tf: TensorFlow,
  { pieces }: TensorflowWeight,
  ids: Int32Array,
  make: (piece: WeightPiece) => Handle,
): Handle {
  const order = new Int32Array(ids.length);
  let done = 0;
  const parts: Handle[] = [];
  for (const piece of pieces) {
    const within: number[] = [];
    ids.forEach((id, i) => {
      if (id < piece.firstRow || id >= piece.firstRow + piece.rows) return;
      order[i] = done + within.length;
      within.push(id - piece.firstRow);
    });
    if (within.length === 0) continue;
    parts.push(tf.scope(() => tf.gather(make(piece), Int32Array.from(within), 0)));
    done += within.length;
  }
  const [only] = parts;
  return only && parts.length === 1 ? only : tf.gather(tf.concat(parts, 0), order, 0);
}

function perturbed(tf: TensorFlow, w: Handle, n: Handle, perturbation: Perturbation): readonly Handle[] {
  const step = tf.binary("Mul", n, tf.scalar(perturbation.size));
  const plus = tf.binary("AddV2", w, step);
  return sidesOfPass(perturbation) === 2 ? [plus, tf.binary("Sub", w, step)] : [plus];
}

/** The piece as float32 [rows, columns]. */
function valuesOf(tf: TensorFlow, { dtype }: TensorflowWeight, { values }: WeightPiece): Handle {
  return dtype === "F32" ? values : tf.cast(values, types.bfloat16, types.float32);
}

/** n of the piece, float32 [rows, columns]. */
function noiseOfPiece(
  tf: TensorFlow,
  { id, columns }: TensorflowWeight,
  { firstRow, rows }: WeightPiece,
  { seed, noise }: Pick<Perturbation, "seed" | "noise">,
): Handle {
  return tf.scope(() => tf.reshape(noiseOf(tf, noise, seed, id, firstRow * columns, rows * columns), [rows, columns]));
}

/** Noise is drawn from the start of a block: `first` must be a multiple of this. */
export const noiseAlignment = 128;

/** n of the elements first, ..., first + count - 1 as float32 [count]. */
function noiseOf(tf: TensorFlow, noise: Noise, seed: bigint, tensor: number, first: number, count: number): Handle {
  return noise === "normal" ? normal(tf, seed, tensor, first, count) : rademacher(tf, seed, tensor, first, count);
}

/** The number of ones in 16 bits, minus 8. */
function normal(tf: TensorFlow, seed: bigint, tensor: number, first: number, count: number): Handle {
  const halves = halfWords(tf, seed, tensor, streams.normal, first, count);
  const ones = tf.unary("PopulationCount", halves, types.uint16);
  return tf.binary("Sub", tf.cast(ones, types.uint8, types.float32), tf.scalar(8));
}

/** 1 - 2 * bit. */
function rademacher(tf: TensorFlow, seed: bigint, tensor: number, first: number, count: number): Handle {
  const rows = Math.ceil(count / 32);
  const drawn = tf.reshape(words(tf, seed, tensor, streams.rademacher, first / 128, rows), [rows, 1], types.uint32);
  const bitIndexes = unsigned(
    tf,
    Int32Array.from({ length: 32 }, (_, bit) => bit),
  );
  const shifted = tf.binary("RightShift", drawn, bitIndexes, types.uint32);
  const bits = tf.binary("BitwiseAnd", shifted, unsigned(tf, Int32Array.of(1)), types.uint32);
  const doubled = tf.binary("Mul", tf.cast(bits, types.uint32, types.float32), tf.scalar(2));
  return tf.slice(tf.reshape(tf.binary("Sub", tf.scalar(1), doubled), [32 * rows]), 0, count);
}

/** The 16-bit halves of the words, low half first: uint16 [count]. */
function halfWords(tf: TensorFlow, seed: bigint, tensor: number, stream: number, first: number, count: number): Handle {
  const drawn = words(tf, seed, tensor, stream, first / 8, Math.ceil(count / 2));
  const halves = tf.bitcast(drawn, types.uint32, types.uint16);
  return tf.slice(tf.reshape(halves, [2 * (drawn.shape[0] ?? 0)], types.uint16), 0, count, types.uint16);
}

const philox = 1;

/** `count` Philox words, starting at a block: uint32 [count]. Key and counter are uint64, low word first. */
function words(tf: TensorFlow, seed: bigint, tensor: number, stream: number, block: number, count: number): Handle {
  invariant(Number.isInteger(block), "noise is drawn from the first element of a block");
  const low = Number(seed & 0xffff_ffffn) | 0;
  const high = Number((seed >> 32n) & 0xffff_ffffn) | 0;
  const counter = Int32Array.of(block | 0, (block / 2 ** 32) | 0, tensor | 0, stream);
  const inputs = [
    tf.constant(Int32Array.of(count)),
    tf.bitcast(tf.constant(Int32Array.of(low, high), [1, 2]), types.int32, types.uint64),
    tf.bitcast(tf.constant(counter, [2, 2]), types.int32, types.uint64),
    tf.constant(Int32Array.of(philox), []),
  ];
  return tf.run("StatelessRandomUniformFullIntV2", inputs, { dtype: types.uint32, Tshape: types.int32 });
}

function unsigned(tf: TensorFlow, values: Int32Array): Handle {
  return tf.bitcast(tf.constant(values), types.int32, types.uint32);
}

/** Applies the entries in order; docs/STEP_LOG.md, "Update". */
export function updateTensorflowWeight(
  tf: TensorFlow,
  weight: TensorflowWeight,
  entries: LogEntries,
  noise: Noise,
): void {
  invariant(weight.trainable, `${weight.name} is trainable`);
  let at = 0;
  for (const entry of entries) {
    // A single decay below 0.5 could take elements from 2^-64 to subnormal numbers.
    if (weight.subnormal || (entry.decay !== undefined && Math.abs(entry.decay) < 0.5)) {
      updateInPlainMemory(tf, weight, entries.slice(at), noise);
      return;
    }
    at += 1;
    for (const piece of weight.pieces) {
      replace(
        tf,
        piece,
        tf.scope(() => updated(tf, weight, piece, entry, noise)),
      );
    }
    if (entry.decay !== undefined) {
      weight.subnormal = weight.pieces.some((piece) => leastOf(tf, weight, piece) < smallest);
    }
  }
}

/** The smallest size of an element other than 0, or 1. */
function leastOf(tf: TensorFlow, weight: TensorflowWeight, piece: WeightPiece): number {
  const least = tf.scope(() => {
    const sizes = tf.unary("Abs", valuesOf(tf, weight, piece));
    const zeros = tf.cast(tf.binary("Equal", sizes, tf.scalar(0)), types.bool, types.float32);
    return tf.reduce("Min", tf.reshape(tf.binary("AddV2", sizes, zeros), [piece.rows * weight.columns]));
  });
  const [value = 1] = tf.floats(least);
  tf.free(least);
  return value;
}

function updateInPlainMemory(tf: TensorFlow, weight: TensorflowWeight, entries: LogEntries, noise: Noise): void {
  weight.subnormal = false;
  for (const piece of weight.pieces) {
    const stored = download(tf, weight, piece);
    update(stored, piece.firstRow * weight.columns, weight.id, noise, entries);
    weight.subnormal ||= hasTiny(stored);
    replace(tf, piece, upload(tf, stored, [piece.rows, weight.columns]));
  }
}

function replace(tf: TensorFlow, piece: WeightPiece, values: Handle): void {
  tf.free(piece.values);
  piece.values = values;
}

function updated(
  tf: TensorFlow,
  weight: TensorflowWeight,
  piece: WeightPiece,
  { seed, scalar, decay }: LogEntry,
  noise: Noise,
): Handle {
  const { id, dtype, columns } = weight;
  const shape = [piece.rows, columns];
  let w = valuesOf(tf, weight, piece);
  if (decay !== undefined) w = tf.binary("Mul", w, tf.scalar(decay));
  const n = noiseOfPiece(tf, weight, piece, { seed, noise });
  const t = tf.binary("Sub", w, tf.binary("Mul", tf.scalar(scalar), n));
  if (dtype === "F32") return t;
  const halves = halfWords(tf, seed, id, streams.rounding, piece.firstRow * columns, piece.rows * columns);
  const rounding = tf.reshape(tf.cast(halves, types.uint16, types.uint32), shape, types.uint32);
  const sum = tf.binary("AddV2", tf.bitcast(t, types.float32, types.uint32), rounding, types.uint32);
  const upper = tf.binary("RightShift", sum, unsigned(tf, Int32Array.of(16)), types.uint32);
  return tf.bitcast(tf.cast(upper, types.uint32, types.uint16), types.uint16, types.bfloat16);
}
