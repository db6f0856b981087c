/** The numbers of the log: bfloat16 scalars and the perturbation size (docs/STEP_LOG.md, "Scalars"). */
import type { Noise } from "./noise.ts";
import { sigma } from "./noise.ts";

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);
const smallest = 2 ** -100;

/** `value` as the nearest bfloat16, ties to even; 0 if it is smaller than 2^-100 in size. */
export function toBfloat16(value: number): number {
  if (Math.abs(value) < smallest) return 0;
  float[0] = toFloat32OddRounded(value);
  const word = bits[0] ?? 0;
  bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return float[0];
}

/**
 * float32 rounded to odd: if `value` is not a float32, the neighbour whose last bit is 1. Rounding that to bfloat16 gives the
 * same result as rounding `value` directly; the nearest float32 could be rounded twice the wrong way.
 */
function toFloat32OddRounded(value: number): number {
  float[0] = value;
  const nearest = float[0];
  if (nearest === value || !Number.isFinite(nearest)) return nearest;
  const word = bits[0] ?? 0;
  if (word & 1) return nearest;
  bits[0] = Math.abs(nearest) > Math.abs(value) ? word - 1 : word + 1;
  return float[0];
}

/**
 * The size e of the perturbation w +- e * n: epsilon / sigma as float32 with the low four mantissa bits cleared, so that e * n
 * is exact for |n| <= 8.
 */
export function perturbationSize(epsilon: number, noise: Noise): number {
  float[0] = epsilon / sigma[noise];
  bits[0] = (bits[0] ?? 0) & 0xfffffff0;
  return float[0];
}
