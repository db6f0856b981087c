/**
 * Weights as pieces of whole rows, each a TensorFlow tensor on the processor that computes: neither a pass nor an update makes a
 * second copy of a whole weight. Noise and update give the same bits as engine/numbers/noise.ts and engine/replay/update.ts.
 */
import { invariant } from "../../../schema/errors.ts";
import { tensorId } from "../../numbers/noise.ts";
import type { Perturbation, StoredTensor, Weight, WeightSpec } from "../device.ts";
import { bytesPerElement, elementCount, sidesOf as sidesOfPass } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";
import type { NoisePlace, TensorflowNoise } from "./noise.ts";
import { noiseAlignment } from "./noise.ts";
import type { ReadElements } from "./transfer.ts";
import { download, readFrom, uploadRows, withFile } from "./transfer.ts";

/** Whole rows of a weight's matrix, as a tensor of their own. */
export interface WeightPiece extends NoisePlace {
  readonly firstRow: number;
  /** [rows, columns], float32 or bfloat16; replaced by each update. */
  values: Handle;
  /** Whether it has elements so small that TensorFlow could meet subnormal numbers (update.ts). */
  tiny: boolean;
}

export interface TensorflowWeight extends Weight {
  readonly noise: TensorflowNoise;
  readonly elements: number;
  /** Of the weight's matrix; a vector is one row. */
  readonly rows: number;
  readonly columns: number;
  /** In order of their rows. */
  readonly pieces: readonly WeightPiece[];
}

/** What weights are made with. */
export interface WeightMaker {
  readonly tf: TensorFlow;
  readonly noise: TensorflowNoise;
  /** Elements of a piece, at most, unless a few rows have more. */
  readonly pieceElements: number;
}

/** A bound on what an operation copies, yet large enough to keep a processor busy. */
export const pieceElements = 2 ** 22;

export function storeTensorflowWeight(maker: WeightMaker, spec: WeightSpec, bytes: Uint8Array): TensorflowWeight {
  const expected = elementCount(spec.shape) * bytesPerElement[spec.dtype];
  invariant(bytes.byteLength === expected, `${spec.name} has ${expected} bytes, not ${bytes.byteLength}`);
  return makeWeight(maker, spec, readFrom(bytes, spec.dtype));
}

/** Reads the elements from their file, a piece at a time. @throws MODEL_INVALID if the file ends before them */
export function mapTensorflowWeight(maker: WeightMaker, spec: WeightSpec, stored: StoredTensor): TensorflowWeight {
  const fits = stored.dtype === "F16" ? spec.dtype === "F32" : stored.dtype === spec.dtype;
  invariant(fits, `${spec.name} is stored in its dtype of training`);
  return withFile(stored, (read) => makeWeight(maker, spec, read));
}

function makeWeight({ tf, noise, pieceElements: limit }: WeightMaker, spec: WeightSpec, read: ReadElements) {
  const elements = elementCount(spec.shape);
  const id = tensorId(spec.name);
  const rows = spec.shape.length > 1 ? (spec.shape[0] ?? 1) : 1;
  const columns = elements / Math.max(1, rows);
  const pieces: WeightPiece[] = [];
  for (const [firstRow, count] of rowsOfPieces(rows, columns, limit)) {
    const first = firstRow * columns;
    const up = uploadRows(tf, spec.dtype, read, first, [count, columns]);
    pieces.push({ id, firstRow, first, rows: count, columns, ...up, kept: null });
  }
  return { ...spec, device: "tfjs", noise, elements, rows, columns, pieces };
}

/** First row and number of rows of each piece. Each starts at the start of a block of noise. */
function rowsOfPieces(rows: number, columns: number, limit: number): [first: number, count: number][] {
  let step = 1;
  while ((step * columns) % noiseAlignment !== 0) step *= 2;
  const most = step * Math.max(1, Math.floor(limit / Math.max(1, columns) / step));
  const count = Math.max(1, Math.ceil(rows / most));
  return Array.from({ length: count }, (_, i) => [i * most, Math.min(most, rows - i * most)]);
}

export function freeTensorflowWeight(tf: TensorFlow, weight: TensorflowWeight): void {
  for (const piece of weight.pieces) {
    weight.noise.forget(piece);
    tf.free(piece.values);
  }
}

export function readTensorflowWeight(tf: TensorFlow, weight: TensorflowWeight): Uint8Array {
  const size = bytesPerElement[weight.dtype];
  const bytes = new Uint8Array(weight.elements * size);
  for (const piece of weight.pieces) bytes.set(download(tf, weight.dtype, piece.values), piece.first * size);
  return bytes;
}

/**
 * A piece on each side of a pass, or on `only` one, as float32 [rows, columns]: w itself, or w + e*n and (of two sides) w - e*n.
 * The enclosing scope frees what is made; an unperturbed w that is stored as float32 is the stored tensor.
 */
export function sidesOf(
  tf: TensorFlow,
  weight: TensorflowWeight,
  piece: WeightPiece,
  perturbation: Perturbation | null,
  only?: number,
): readonly Handle[] {
  const { dtype, noise } = weight;
  if (!perturbation || !weight.trainable) return [widened(tf, dtype, piece.values)];
  return tf.scope(() => {
    const w = widened(tf, dtype, piece.values);
    noise.keep(piece, perturbation.noise, perturbation.seed);
    const step = noise.scaled(piece, perturbation.noise, perturbation.seed, perturbation.size);
    return apart(tf, w, step, only === undefined ? sidesIn(perturbation) : [only]);
  });
}

/** The rows `ids` of a weight on each side, float32 [ids, columns]; see sidesOf. */
export function rowsOf(
  tf: TensorFlow,
  weight: TensorflowWeight,
  ids: Int32Array,
  perturbation: Perturbation | null,
): readonly Handle[] {
  const { dtype, noise } = weight;
  // A GPU has kernels that gather float32, but none for bytes (docs/GPU.md).
  const narrow = !tf.usesGpu;
  return tf.scope(() => {
    const type = narrow && dtype === "BF16" ? types.bfloat16 : types.float32;
    const stored = gatherRows(tf, weight, ids, type, (piece) =>
      narrow ? piece.values : widened(tf, dtype, piece.values),
    );
    const w = type === types.bfloat16 ? tf.cast(stored, type, types.float32) : stored;
    if (!perturbation || !weight.trainable) return [w];
    const { seed, size, noise: kind } = perturbation;
    if (kind === "rademacher" || !narrow) {
      const steps = gatherRows(tf, weight, ids, types.float32, (piece) => noise.scaled(piece, kind, seed, size));
      return apart(tf, w, steps, sidesIn(perturbation));
    }
    const ones = gatherRows(tf, weight, ids, types.uint8, (piece) => {
      noise.keep(piece, kind, seed);
      return noise.ones(piece, seed);
    });
    return apart(tf, w, noise.scaledOnes(ones, size), sidesIn(perturbation));
  });
}

/** Gathers rows of what `of` gives for each piece, whatever piece they are in. The rows exist twice at most. */
function gatherRows(
  tf: TensorFlow,
  { pieces }: TensorflowWeight,
  ids: Int32Array,
  type: (typeof types)[keyof typeof types],
  of: (piece: WeightPiece) => Handle,
): Handle {
  return tf.scope(() => {
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
      parts.push(tf.scope(() => tf.gather(of(piece), Int32Array.from(within), 0, type)));
      done += within.length;
    }
    const [only] = parts;
    if (only && parts.length === 1) return only;
    const all = tf.concat(parts, 0, type);
    parts.forEach((part) => tf.free(part));
    return tf.gather(all, order, 0, type);
  });
}

/** w + step on side 0, w - step on side 1. */
function apart(tf: TensorFlow, w: Handle, step: Handle, sides: readonly number[]): readonly Handle[] {
  return sides.map((side) => tf.binary(side === 0 ? "AddV2" : "Sub", w, step));
}

function sidesIn(perturbation: Perturbation): readonly number[] {
  return sidesOfPass(perturbation) === 2 ? [0, 1] : [0];
}

/** Stored values as float32: the same tensor if that is how they are stored. */
function widened(tf: TensorFlow, dtype: Weight["dtype"], values: Handle): Handle {
  return dtype === "F32" ? values : tf.cast(values, types.bfloat16, types.float32);
}
