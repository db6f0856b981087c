/** Weights in plain memory, as the plain device and every device that computes noise in TypeScript keep them. */
import { invariant } from "../../schema/errors.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import type { FillNoise, Noise } from "../noise.ts";
import { fillNoise, tensorId } from "../noise.ts";
import type { Stored } from "../update.ts";
import { update } from "../update.ts";
import type { Perturbation, Weight, WeightSpec } from "./device.ts";
import { bytesPerElement, elementCount } from "./device.ts";

/** A weight whose stored elements lie in a typed array. */
export interface StoredWeight extends Weight {
  readonly id: number;
  readonly elements: Stored;
}

export function storeWeight(device: string, spec: WeightSpec, bytes: Uint8Array): StoredWeight {
  const expected = elementCount(spec.shape) * bytesPerElement[spec.dtype];
  invariant(bytes.byteLength === expected, `${spec.name} has ${expected} bytes, not ${bytes.byteLength}`);
  const copy = bytes.slice().buffer;
  const elements = spec.dtype === "F32" ? new Float32Array(copy) : new Uint16Array(copy);
  return { ...spec, device, id: tensorId(spec.name), elements };
}

/** A copy of the stored bytes, little-endian. */
export function storedBytes(weight: StoredWeight): Uint8Array {
  const { buffer, byteOffset, byteLength } = weight.elements;
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

export function updateStored(
  weight: StoredWeight,
  entries: readonly LogEntry[],
  noise: Noise,
  fill: FillNoise = fillNoise,
): void {
  invariant(weight.trainable, `${weight.name} is trainable`);
  update(weight.elements, 0, weight.id, noise, entries, fill);
}

/** The stored values, as float32: the array itself where it is one already. */
export function valuesOf(elements: Stored): Float32Array {
  if (elements instanceof Float32Array) return elements;
  const words = new Uint32Array(elements.length);
  for (let i = 0; i < words.length; i++) words[i] = (elements[i] ?? 0) << 16;
  return new Float32Array(words.buffer);
}

/** fl32(w + e*n) and fl32(w - e*n) of the elements from `first` on, from one draw of the noise. */
export function perturb(
  weight: StoredWeight,
  perturbation: Perturbation,
  first = 0,
  count = weight.elements.length - first,
): [plus: Float32Array, minus: Float32Array] {
  const n = new Int8Array(count);
  fillNoise(n, perturbation.noise, perturbation.seed, weight.id, first);
  const w = valuesOf(weight.elements.subarray(first, first + count));
  const { size } = perturbation;
  const plus = new Float32Array(count);
  const minus = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const step = size * (n[i] ?? 0);
    plus[i] = (w[i] ?? 0) + step;
    minus[i] = (w[i] ?? 0) - step;
  }
  return [plus, minus];
}
