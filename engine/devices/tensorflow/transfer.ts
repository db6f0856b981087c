/** Stored elements to TensorFlow and back, so that the host holds a piece at most, whatever the size of a weight. */
import { closeSync, openSync, readSync } from "node:fs";
import { SteplogError } from "../../../schema/errors.ts";
import { asTrained } from "../../model/files/half.ts";
import type { StoredTensor, WeightDtype } from "../device.ts";
import { bytesPerElement } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";

/** Little-endian elements as a tensor of their own: float32 or bfloat16. */
export function upload(tf: TensorFlow, dtype: WeightDtype, bytes: Uint8Array, shape: readonly number[]): Handle {
  const type = dtype === "F32" ? types.float32 : types.bfloat16;
  return tf.scope(() => {
    const shared = tf.constant(bytes, [...shape, bytesPerElement[dtype]]);
    // Without a GPU, TensorFlow may use the caller's memory itself.
    const own = tf.usesGpu ? shared : tf.next(shared, (x) => tf.unary("DeepCopy", x, types.uint8));
    return tf.bitcast(own, types.uint8, type);
  });
}

/** Bytes that the host holds on the way from a file to a processor without a GPU, unless a row has more. */
const stagedBytes = 2 ** 21;

/**
 * Elements first, first + 1, ... as a matrix, a few rows at a time, and whether one of them is tiny (hasTiny). A GPU takes all
 * rows at once.
 */
export function uploadRows(
  tf: TensorFlow,
  dtype: WeightDtype,
  read: ReadElements,
  first: number,
  [rows, columns]: readonly [rows: number, columns: number],
): { readonly values: Handle; readonly tiny: boolean } {
  const type = dtype === "F32" ? types.float32 : types.bfloat16;
  const size = bytesPerElement[dtype];
  const most = tf.usesGpu ? rows : Math.max(1, Math.floor(stagedBytes / (size * Math.max(1, columns))));
  if (rows <= most) {
    const bytes = read(first, rows * columns);
    return { values: upload(tf, dtype, bytes, [rows, columns]), tiny: hasTiny(dtype, bytes) };
  }
  let tiny = false;
  const values = tf.scope(() => {
    const all = tf.empty([rows, columns], type);
    for (let row = 0; row < rows; row += most) {
      const count = Math.min(most, rows - row);
      const bytes = read(first + row * columns, count * columns);
      tiny ||= hasTiny(dtype, bytes);
      tf.scope(() => {
        const part = tf.bitcast(tf.constant(bytes, [count, columns, size]), types.uint8, type);
        tf.replaceRows(all, tf.constant(Int32Array.from({ length: count }, (_, i) => row + i)), part, type);
        return [];
      });
    }
    return all;
  });
  return { values, tiny };
}

/** The elements of a float32 or bfloat16 tensor, little-endian. */
export function download(tf: TensorFlow, dtype: WeightDtype, values: Handle): Uint8Array {
  const count = values.shape.reduce((product, size) => product * size, 1);
  const { buffer } = dtype === "F32" ? tf.floats(values) : pairsOf(tf, values, count);
  return new Uint8Array(buffer, 0, count * bytesPerElement[dtype]);
}

/** Bfloat16 elements as the halves of float32 numbers, one of the few types that can be read. */
function pairsOf(tf: TensorFlow, values: Handle, count: number): Float32Array {
  const type = types.bfloat16;
  const pairs = tf.scope(() => {
    const flat = tf.reshape(values, [count], type);
    const even = count % 2 === 0 ? flat : tf.concat([flat, tf.slice(flat, 0, 1, type)], 0, type);
    return tf.bitcast(tf.reshape(even, [Math.ceil(count / 2), 2], type), type, types.float32);
  });
  try {
    return tf.floats(pairs);
  } finally {
    tf.free(pairs);
  }
}

/** A typed array of the elements, which shares their memory if it is aligned. */
export function elementsOf(dtype: WeightDtype, bytes: Uint8Array): Float32Array | Uint16Array {
  const aligned = bytes.byteOffset % bytesPerElement[dtype] === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  return dtype === "F32"
    ? new Float32Array(buffer, byteOffset, byteLength / 4)
    : new Uint16Array(buffer, byteOffset, byteLength / 2);
}

/** Elements of a tensor, as `update` needs them: little-endian, in the dtype of training. Valid until the next call. */
export type ReadElements = (first: number, count: number) => Uint8Array;

export function readFrom(bytes: Uint8Array, dtype: WeightDtype): ReadElements {
  const size = bytesPerElement[dtype];
  return (first, count) => bytes.subarray(first * size, (first + count) * size);
}

/** What is read lies here, or memory that the garbage collector has not come to would add up. */
const staging = new Uint8Array(stagedBytes);

/** Calls `use` with a reader of a tensor in a file. @throws MODEL_INVALID if the file ends before the tensor */
export function withFile<T>({ path, offset, dtype }: StoredTensor, use: (read: ReadElements) => T): T {
  const size = dtype === "F32" ? 4 : 2;
  const file = openSync(path, "r");
  try {
    return use((first, count) => {
      const bytes = count * size <= stagedBytes ? staging.subarray(0, count * size) : new Uint8Array(count * size);
      for (let at = 0; at < bytes.length;) {
        const read = readSync(file, bytes, at, bytes.length - at, offset + first * size + at);
        if (read === 0) {
          throw new SteplogError("MODEL_INVALID", `${path} ends before byte ${offset + (first + count) * size}.`);
        }
        at += read;
      }
      return asTrained({ dtype }, bytes);
    });
  } finally {
    closeSync(file);
  }
}

/** Elements other than 0 below this size could lead to subnormal numbers (update.ts). */
export const smallest = 2 ** -64;

/** Whether an element other than 0 is below `smallest`. */
export function hasTiny(dtype: WeightDtype, bytes: Uint8Array): boolean {
  const { buffer, byteOffset, length } = elementsOf(dtype, bytes);
  // The bits of positive floats are in the order of their values; 2^-64 has exponent 63.
  const words =
    dtype === "F32" ? new Uint32Array(buffer, byteOffset, length) : new Uint16Array(buffer, byteOffset, length);
  const [mask, bound] = dtype === "F32" ? [0x7fff_ffff, 63 << 23] : [0x7fff, 63 << 7];
  for (let i = 0; i < words.length; i++) {
    const size = (words[i] ?? 0) & mask;
    if (size !== 0 && size < bound) return true;
  }
  return false;
}
