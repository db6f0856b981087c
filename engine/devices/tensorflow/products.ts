/** Products of activations with weights, piece by piece of the weight, so that no second copy of a large weight ever exists. */
import { invariant } from "../../../schema/errors.ts";
import type { Perturbation, Precision, WeightLayout } from "../device.ts";
import { sidesOf as sidesOfPass } from "../device.ts";
import type { Block, Cells, Work } from "../recorded.ts";
import type { Handle, Held, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";
import type { TensorflowWeight, WeightPiece } from "./weights.ts";
import { sidesOf } from "./weights.ts";

/** What a pass knows of the weights that it reads. */
export interface Reading {
  readonly tf: TensorFlow;
  readonly perturbation: Perturbation | null;
  /** Of the factors of products. In bfloat16, TensorFlow also rounds the result to it; sums within a product are float32. */
  readonly precision: Precision;
  /** Scores of attention, or of the head, in memory at a time. */
  readonly scoreElements: number;
  readonly transposedRows: number;
  readonly swapsFactors: boolean;
}

/** How a product reads its weight: as it lies, or through a transposed copy, [in, out], of one [out, in]. */
export type Way = WeightLayout | "transposed";

/**
 * Many rows are multiplied by a transposed copy. On a processor, oneDNN copies a weight [out, in] for every block of rows that it
 * is multiplied by, into buffers that the C library then keeps (decision 37).
 */
export function wayOf({ transposedRows }: Reading, rows: number, layout: WeightLayout): Way {
  return layout === "out-in" && rows >= transposedRows ? "transposed" : layout;
}

/** Sides that differ: those of the pass for a weight that it perturbs. */
export function sidesUnder({ perturbation }: Reading, ...weights: readonly (TensorflowWeight | null)[]): 1 | 2 {
  return weights.some((weight) => weight?.trainable) ? sidesOfPass(perturbation) : 1;
}

/** A vector on each side: [1, columns]. */
export function heldVector(reading: Reading, weight: TensorflowWeight): Held {
  const { tf, perturbation } = reading;
  const [piece] = weight.pieces;
  return tf.hold(() => (piece ? sidesOf(tf, weight, piece, perturbation) : []));
}

export function ofSide(handles: readonly Handle[], side: number): Handle {
  const handle = handles[Math.min(side, handles.length - 1)];
  invariant(handle, "every weight has a side");
  return handle;
}

/** The matrix of a product on a side: the side asked for last is the only one that exists. */
export interface Matrices {
  of(side: number): Handle;
  end(): void;
}

/** Normal noise is drawn once for both sides; signs are drawn so fast that they are not kept. */
export function matricesOf(reading: Reading, weight: TensorflowWeight, piece: WeightPiece, way: Way): Matrices {
  const { perturbation } = reading;
  const sides = sidesUnder(reading, weight);
  const release = perturbation && sides > 1 ? weight.noise.borrow(piece, perturbation.noise, perturbation.seed) : null;
  let [at, held]: [number, Held | null] = [-1, null];
  const free = () => {
    held?.end();
    held = null;
  };
  return {
    of(side) {
      const own = Math.min(side, sides - 1);
      if (own !== at || !held) {
        free();
        [at, held] = [own, heldFor(reading, weight, piece, way, own)];
      }
      return ofSide(held.handles, 0);
    },
    end() {
      free();
      release?.();
    },
  };
}

function heldFor(reading: Reading, weight: TensorflowWeight, piece: WeightPiece, way: Way, side: number) {
  const { tf, perturbation, precision } = reading;
  const type = types[precision];
  return tf.hold(() => {
    const own = (matrix: Handle, made: Handle) => {
      if (matrix !== piece.values) tf.free(matrix);
      return made;
    };
    const made = asStored(reading, weight)
      ? [piece.values]
      : sidesOf(tf, weight, piece, perturbation, side).map((matrix) =>
          precision === "float32" ? matrix : own(matrix, tf.cast(matrix, types.float32, type)),
        );
    if (way !== "transposed") return made;
    return made.map((matrix) => own(matrix, tf.transpose(matrix, [1, 0], type)));
  });
}

/** Whether a product can read the weight where it lies: it is not perturbed, and is stored as the factors are. */
function asStored({ perturbation, precision }: Reading, { dtype, trainable }: TensorflowWeight): boolean {
  return (perturbation === null || !trainable) && dtype === (precision === "float32" ? "F32" : "BF16");
}

/** Bytes that a product holds while blocks run through it. */
export function heldBytes(reading: Reading, weight: TensorflowWeight, way: Way): number {
  const size = reading.precision === "float32" ? 4 : 2;
  return asStored(reading, weight) && way !== "transposed" ? 0 : size * weight.elements;
}

/** x times a matrix of this pass's precision, as float32. */
export function times(reading: Reading, x: Handle, matrix: Handle, way: Way): Handle {
  const { tf, precision } = reading;
  if (precision === "float32") return inOrder(reading, x, matrix, way);
  const { float32, bfloat16 } = types;
  const rounded = tf.cast(x, float32, bfloat16);
  const made = tf.next(rounded, (factor) => inOrder(reading, factor, matrix, way));
  return tf.next(made, (y) => tf.cast(y, bfloat16, float32));
}

/**
 * With some rows, a processor multiplies the matrix by them: oneDNN copies the second factor of a product if it is transposed,
 * and the rows are less to copy than a weight (decision 37).
 */
function inOrder({ tf, precision, swapsFactors }: Reading, x: Handle, matrix: Handle, way: Way): Handle {
  const type = types[precision];
  const transposed = way === "out-in";
  if (!transposed || !swapsFactors || x.shape[0] === 1) return tf.product(x, matrix, transposed, type);
  return tf.next(tf.product(matrix, x, true, type), (y) => tf.transpose(y, [1, 0], type));
}

/** x times a weight of one piece, plus bias, block by block. */
export function product(
  reading: Reading,
  weight: TensorflowWeight,
  bias: TensorflowWeight | null,
  way: Way,
): Work<Handle> {
  const { tf } = reading;
  const [piece] = weight.pieces;
  invariant(piece, `${weight.name} has a piece`);
  const matrices = matricesOf(reading, weight, piece, way);
  const shifts = bias && heldVector(reading, bias);
  return {
    block({ side }, [x]) {
      invariant(x, "a product has an input");
      const y = times(reading, x, matrices.of(side), way);
      return shifts ? tf.next(y, (z) => tf.binary("AddV2", z, ofSide(shifts.handles, side))) : y;
    },
    end() {
      matrices.end();
      shifts?.end();
    },
  };
}

/** The same for a weight of several pieces: all blocks go through one piece before the next is made. */
export function productByPieces(reading: Reading, weight: TensorflowWeight, bias: TensorflowWeight | null, way: Way) {
  return ([x = []]: readonly Cells<Handle>[], blocks: readonly Block[]): Handle[][] => {
    const sides = Math.max(x.length, sidesUnder(reading, weight, bias));
    const sums = Array.from({ length: sides }, () => blocks.map((): Handle[] => []));
    const { tf } = reading;
    for (const piece of weight.pieces) {
      const matrices = matricesOf(reading, weight, piece, way);
      try {
        sums.forEach((side, s) =>
          side.forEach((parts, block) => {
            const input = ofSide(x[Math.min(s, x.length - 1)] ?? [], block);
            const matrix = matrices.of(s);
            if (way === "in-out") add(tf, parts, partial(reading, input, piece, matrix));
            else parts.push(times(reading, input, matrix, way));
          }),
        );
      } finally {
        matrices.end();
      }
    }
    const shifts = bias && heldVector(reading, bias);
    const joined = sums.map((side, s) =>
      side.map((parts) => {
        const whole = tf.concat(parts, 1);
        if (parts.length > 1) parts.forEach((part) => tf.free(part));
        return shifts ? tf.next(whole, (y) => tf.binary("AddV2", y, ofSide(shifts.handles, s))) : whole;
      }),
    );
    shifts?.end();
    return joined;
  };
}

/** The inputs that a piece of a weight [in, out] takes, times it. */
function partial(reading: Reading, x: Handle, { firstRow, rows }: WeightPiece, matrix: Handle): Handle {
  const { tf } = reading;
  const inputs = tf.columns(x, firstRow, rows);
  const made = times(reading, inputs, matrix, "in-out");
  if (inputs !== x) tf.free(inputs);
  return made;
}

/** Adds to the only part. */
function add(tf: TensorFlow, parts: Handle[], more: Handle): void {
  const [sum] = parts;
  if (!sum) parts.push(more);
  else {
    parts[0] = tf.next(more, (y) => tf.binary("AddV2", y, sum));
    tf.free(sum);
  }
}
