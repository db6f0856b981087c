/** Stored elements to TensorFlow and back, a piece at a time, so that the host holds one piece whatever the size of a weight. */
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

/** Calls `use` with a reader of a tensor in a file. @throws MODEL_INVALID if the file ends before the tensor */
export function withFile<T>({ path, offset, dtype }: StoredTensor, use: (read: ReadElements) => T): T {
  const size = dtype === "F32" ? 4 : 2;
  const file = openSync(path, "r");
  let staged = new Uint8Array(0);
  try {
    return use((first, count) => {
      if (staged.length < count * size) staged = new Uint8Array(count * size);
      const bytes = staged.subarray(0, count * size);
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
