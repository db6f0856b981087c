/**
 * Weights in another floating-point format, by way of float32: exact where the new format is wider, else rounded to the
 * nearest value, ties to even, subnormal ones included. So the same weights give the same bits everywhere.
 */
import { SteplogError, invariant } from "../../../schema/errors.ts";
import type { OutputDtype } from "../../../schema/output-dtype.ts";
import { asTrained } from "./half.ts";
import type { TensorInfo } from "./safetensors.ts";

/** The names of the formats in safetensors files. */
const stored = { float32: "F32", bfloat16: "BF16", float16: "F16" } as const;

export function storedDtype(dtype: OutputDtype): string {
  return stored[dtype];
}

/**
 * The elements of a tensor in another format. May return the bytes that it was given.
 * @throws INVALID_ARGUMENT naming the tensor, for a finite value that would become infinite
 */
export function converted(tensor: TensorInfo, bytes: Uint8Array, dtype: OutputDtype): Uint8Array {
  if (tensor.dtype === stored[dtype]) return bytes;
  const values = asFloat32(tensor.dtype, bytes);
  if (dtype === "float32") return new Uint8Array(values.buffer);
  const halves = dtype === "bfloat16" ? narrowed(values, toBfloat16) : narrowed(values, toFloat16);
  refuseOverflow(tensor, values, halves, dtype);
  return new Uint8Array(halves.buffer);
}

/** float32 values rounded to the nearest bfloat16. */
export function roundedToBfloat16(values: Float32Array): Uint8Array {
  return new Uint8Array(narrowed(values, toBfloat16).buffer);
}

export function widenedBfloat16(halves: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** A copy, since a piece of a file may begin at any byte of its buffer. */
function asFloat32(dtype: string, bytes: Uint8Array): Float32Array {
  invariant(["F32", "BF16", "F16"].includes(dtype), `${dtype} was accepted when the folder was opened`);
  const own = Uint8Array.from(asTrained({ dtype }, bytes));
  return dtype === "BF16" ? widenedBfloat16(new Uint16Array(own.buffer)) : new Float32Array(own.buffer);
}

function narrowed(values: Float32Array, narrow: (bits: number) => number): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < out.length; i++) out[i] = narrow(bits[i] ?? 0);
  return out;
}

const infinity = 0x7f800000;

/** The bits of a float32 to those of the nearest bfloat16. */
function toBfloat16(bits: number): number {
  if ((bits & 0x7fffffff) > infinity) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The bits of a float32 to those of the nearest float16. */
function toFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > infinity) return sign | 0x7e00;
  if (size < smallestNormal) return sign | toSubnormal(size);
  // The exponent is stored with 15 added instead of 127, and 13 bits of the fraction go.
  const rebased = size - (112 << 23);
  return sign | Math.min(0x7c00, (rebased + 0x0fff + ((rebased >>> 13) & 1)) >>> 13);
}

/** 2^-14, as float32. */
const smallestNormal = 113 << 23;

/** Below 2^-14, float16 has the multiples of 2^-24. */
function toSubnormal(size: number): number {
  const exponent = Math.max(1, size >>> 23);
  const fraction = (size & 0x7fffff) | (size >>> 23 === 0 ? 0 : 0x800000);
  const multiple = fraction * 2 ** (exponent - 150 + 24);
  const below = Math.floor(multiple);
  const rest = multiple - below;
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
}

const largest = { float16: { infinite: 0x7c00, value: 65504 }, bfloat16: { infinite: 0x7f80, value: 3.39e38 } };

/** A weight that is rounded to infinity would make a model that computes nothing, without a word. */
function refuseOverflow(
  { name }: TensorInfo,
  values: Float32Array,
  halves: Uint16Array,
  dtype: keyof typeof largest,
): void {
  const { infinite, value } = largest[dtype];
  for (let i = 0; i < halves.length; i++) {
    if (((halves[i] ?? 0) & 0x7fff) !== infinite || !Number.isFinite(values[i])) continue;
    const message = `tensor ${name} has a value of ${values[i]}, and the largest in ${dtype} is ${value}`;
    const other = dtype === "float16" ? "bfloat16 or float32" : "float32";
    throw new SteplogError("INVALID_ARGUMENT", `The weights do not fit ${dtype}: ${message}. Choose ${other}.`, [
      { field: "dtype", message },
    ]);
  }
}
