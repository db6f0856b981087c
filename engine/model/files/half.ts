/** IEEE 754 binary16 (float16): read from base models and never written, since such tensors are trained as float32. */
import type { WeightDtype } from "../../devices/device.ts";

/** The dtype in which a stored tensor is trained. */
export function trainedDtype({ dtype }: { readonly dtype: string }): WeightDtype {
  return dtype === "BF16" ? "BF16" : "F32";
}

/** The elements of a stored tensor in the dtype of training. */
export function asTrained({ dtype }: { readonly dtype: string }, bytes: Uint8Array): Uint8Array {
  return dtype === "F16" ? widenHalf(bytes) : bytes;
}

/** Little-endian float16 values as little-endian float32 values. Exact. */
function widenHalf(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float32Array(bytes.byteLength / 2);
  for (let i = 0; i < out.length; i++) out[i] = halfToNumber(view.getUint16(i * 2, true));
  return new Uint8Array(out.buffer);
}

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
