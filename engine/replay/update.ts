/**
 * The update, the only code that changes a stored weight: training and replay both call it. One rounded subtraction per weight,
 * as docs/STEP_LOG.md defines under "Update". Every faster kernel is tested against this plain version.
 */
import type { LogEntries, LogEntry } from "../../schema/step-log.ts";
import type { FillNoise, Noise } from "../numbers/noise.ts";
import { fillNoise, fillRounding } from "../numbers/noise.ts";

/** Weights as they are stored: float32 values, or the upper 16 bits of float32 (bfloat16). */
export type Stored = Float32Array | Uint16Array;

/** Elements updated with all entries before the next ones: a block fits in the first-level cache. */
const blockElements = 4096;

/**
 * Applies `entries` in order to the elements first, first + 1, ... of the tensor with id `tensor`.
 * a * n is exact, and the double difference rounds to float32 as one IEEE 754 single subtraction would (53 >= 2 * 24 + 2).
 * A device that has kept the noise of its last pass passes it as `fill`.
 */
export function update(
  weights: Stored,
  first: number,
  tensor: number,
  noise: Noise,
  entries: LogEntries,
  fill: FillNoise = fillNoise,
): void {
  for (let at = 0; at < weights.length; at += blockElements) {
    const block = weights.subarray(at, at + blockElements);
    const n = integers.subarray(0, block.length);
    for (const entry of entries) {
      fill(n, noise, entry.seed, tensor, first + at);
      if (block instanceof Float32Array) updateFloat32(block, n, entry);
      else updateBfloat16(block, n, first + at, tensor, entry);
    }
  }
}

const integers = new Int8Array(blockElements);
const roundingBits = new Uint16Array(blockElements);

function updateFloat32(block: Float32Array, n: Int8Array, entry: LogEntry): void {
  if (entry.decay !== undefined) for (let i = 0; i < block.length; i++) block[i] = (block[i] ?? 0) * entry.decay;
  const a = entry.scalar;
  for (let i = 0; i < block.length; i++) block[i] = (block[i] ?? 0) - a * (n[i] ?? 0);
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function updateBfloat16(block: Uint16Array, n: Int8Array, first: number, tensor: number, entry: LogEntry): void {
  const r = roundingBits.subarray(0, block.length);
  fillRounding(r, entry.seed, tensor, first);
  const { scalar, decay } = entry;
  for (let i = 0; i < block.length; i++) {
    bits[0] = (block[i] ?? 0) << 16;
    if (decay !== undefined) float[0] = (float[0] ?? 0) * decay;
    float[0] = (float[0] ?? 0) - scalar * (n[i] ?? 0);
    block[i] = ((bits[0] ?? 0) + (r[i] ?? 0)) >>> 16;
  }
}
