/** Products of activations with weights, piece by piece of the weight, so that no second copy of a large weight ever exists. */
import { invariant } from "../../../schema/errors.ts";
import type { Perturbation, WeightLayout } from "../device.ts";
import { sidesOf as sidesOfPass } from "../device.ts";
import type { Block, Cells, Work } from "../recorded.ts";
import type { Handle, Held, TensorFlow } from "./binding.ts";
import type { TensorflowWeight, WeightPiece } from "./weights.ts";
import { sidesOf } from "./weights.ts";

/** What a pass knows of the weights that it reads. */
export interface Reading {
  readonly tf: TensorFlow;
  readonly perturbation: Perturbation | null;
  /** Scores of attention, or of the head, in memory at a time. */
  readonly scoreElements: number;
  readonly transposedRows: number;
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

function heldFor({ tf, perturbation }: Reading, weight: TensorflowWeight, piece: WeightPiece, way: Way, side: number) {
  return tf.hold(() => {
    const made = sidesOf(tf, weight, piece, perturbation, side);
    if (way !== "transposed") return made;
    return made.map((matrix) => {
      const transposed = tf.transpose(matrix, [1, 0]);
      if (matrix !== piece.values) tf.free(matrix);
      return transposed;
    });
  });
}

/** Bytes that a product holds while blocks run through it: a frozen float32 weight is used where it lies. */
export function heldBytes(reading: Reading, weight: TensorflowWeight, way: Way): number {
  const changed = weight.dtype !== "F32" || (reading.perturbation !== null && weight.trainable);
  const copied = changed || way === "transposed";
  return copied ? 4 * weight.elements : 0;
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
      const y = tf.product(x, matrices.of(side), way === "out-in");
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
            if (way === "in-out") add(tf, parts, partial(tf, input, piece, matrix));
            else parts.push(tf.product(input, matrix, way === "out-in"));
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
function partial(tf: TensorFlow, x: Handle, { firstRow, rows }: WeightPiece, matrix: Handle): Handle {
  const inputs = tf.columns(x, firstRow, rows);
  const made = tf.product(inputs, matrix, false);
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
