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
import type { Weight, WeightSpec } from "../device.ts";
import { bytesPerElement, elementCount } from "../device.ts";
import { valuesOf as float32Values } from "../host-memory.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";

export interface TensorflowWeight extends Weight {
  readonly id: number;
  readonly elements: number;
  /** [elements], float32 or bfloat16; replaced by each update. */
  values: Handle;
  /** Whether it has elements so small that TensorFlow could meet subnormal numbers. */
  subnormal: boolean;
}

const smallest = 2 ** -64;

export function storeTensorflowWeight(tf: TensorFlow, spec: WeightSpec, bytes: Uint8Array): TensorflowWeight {
  const elements = elementCount(spec.shape);
  const expected = elements * bytesPerElement[spec.dtype];
  invariant(bytes.byteLength === expected, `${spec.name} has ${expected} bytes, not ${bytes.byteLength}`);
  const copy = bytes.slice().buffer;
  const stored = spec.dtype === "F32" ? new Float32Array(copy) : new Uint16Array(copy);
  const id = tensorId(spec.name);
  return { ...spec, device: "tfjs", id, elements, values: upload(tf, stored), subnormal: hasTiny(stored) };
}

/** The elements as a tensor [elements]. `stored` must not change afterwards. */
function upload(tf: TensorFlow, stored: Stored): Handle {
  if (stored instanceof Float32Array) return tf.constant(stored);
  return tf.scope(() => {
    const words = tf.constant(Int32Array.from(stored));
    return tf.bitcast(tf.cast(words, types.int32, types.uint16), types.uint16, types.bfloat16);
  });
}

/** Whether an element other than 0 is smaller than `smallest`. */
function hasTiny(stored: Stored): boolean {
  return float32Values(stored).some((value) => value !== 0 && Math.abs(value) < smallest);
}

export function readTensorflowWeight(tf: TensorFlow, weight: TensorflowWeight): Uint8Array {
  const { buffer, byteOffset, byteLength } = download(tf, weight);
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

function download(tf: TensorFlow, { dtype, values }: TensorflowWeight): Stored {
  if (dtype === "F32") return tf.floats(values).slice();
  const words = tf.scope(() => {
    const halves = tf.bitcast(values, types.bfloat16, types.uint16);
    return tf.cast(halves, types.uint16, types.int32);
  });
  const stored = Uint16Array.from(tf.integers(words));
  tf.free(words);
  return stored;
}

/** Elements first, ..., first + count - 1 as float32 [count]. */
export function valuesOf(tf: TensorFlow, weight: TensorflowWeight, first: number, count: number): Handle {
  if (weight.dtype === "F32") return tf.slice(weight.values, first, count);
  return tf.cast(tf.slice(weight.values, first, count, types.bfloat16), types.bfloat16, types.float32);
}

/** Noise is drawn from the start of a block: `first` must be a multiple of this. */
export const noiseAlignment = 128;

/** n of the elements first, ..., first + count - 1 as float32 [count]. */
export function noiseOf(
  tf: TensorFlow,
  noise: Noise,
  seed: bigint,
  tensor: number,
  first: number,
  count: number,
): Handle {
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
    replace(
      tf,
      weight,
      tf.scope(() => updated(tf, weight, entry, noise)),
    );
    if (entry.decay !== undefined) weight.subnormal = leastOf(tf, weight) < smallest;
  }
}

/** The smallest size of an element other than 0, or 1. */
function leastOf(tf: TensorFlow, weight: TensorflowWeight): number {
  const least = tf.scope(() => {
    const sizes = tf.unary("Abs", valuesOf(tf, weight, 0, weight.elements));
    const zeros = tf.cast(tf.binary("Equal", sizes, tf.scalar(0)), types.bool, types.float32);
    return tf.reduce("Min", tf.binary("AddV2", sizes, zeros));
  });
  const [value = 1] = tf.floats(least);
  tf.free(least);
  return value;
}

function updateInPlainMemory(tf: TensorFlow, weight: TensorflowWeight, entries: LogEntries, noise: Noise): void {
  const stored = download(tf, weight);
  update(stored, 0, weight.id, noise, entries);
  replace(tf, weight, upload(tf, stored));
  weight.subnormal = hasTiny(stored);
}

function replace(tf: TensorFlow, weight: TensorflowWeight, values: Handle): void {
  tf.free(weight.values);
  weight.values = values;
}

function updated(tf: TensorFlow, weight: TensorflowWeight, { seed, scalar, decay }: LogEntry, noise: Noise): Handle {
  const { id, elements, dtype } = weight;
  let w = valuesOf(tf, weight, 0, elements);
  if (decay !== undefined) w = tf.binary("Mul", w, tf.scalar(decay));
  const n = noiseOf(tf, noise, seed, id, 0, elements);
  const t = tf.binary("Sub", w, tf.binary("Mul", tf.scalar(scalar), n));
  if (dtype === "F32") return t;
  const rounding = tf.cast(halfWords(tf, seed, id, streams.rounding, 0, elements), types.uint16, types.uint32);
  const sum = tf.binary("AddV2", tf.bitcast(t, types.float32, types.uint32), rounding, types.uint32);
  const upper = tf.binary("RightShift", sum, unsigned(tf, Int32Array.of(16)), types.uint32);
  return tf.bitcast(tf.cast(upper, types.uint32, types.uint16), types.uint16, types.bfloat16);
}
