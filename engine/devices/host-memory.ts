/** Weights, caches and pieces in typed arrays, for devices that compute noise in TypeScript. */
import { invariant } from "../../schema/errors.ts";
import type { LogEntries } from "../../schema/step-log.ts";
import type { FillNoise, Noise } from "../numbers/noise.ts";
import { fillNoise, tensorId } from "../numbers/noise.ts";
import type { Stored } from "../replay/update.ts";
import { update } from "../replay/update.ts";
import { checkCopy } from "./checks.ts";
import type { KeyValueCache, Perturbation, TensorPiece, Weight, WeightDtype, WeightSpec } from "./device.ts";
import { bytesPerElement, elementCount } from "./device.ts";

/** The objects that a device has made, by the handles it returned for them. */
export class Owned<Handle extends object, Made extends Handle> {
  readonly #made = new Map<Handle, Made>();

  add(made: Made): Made {
    this.#made.set(made, made);
    return made;
  }

  find(handle: Handle): Made {
    const found = this.#made.get(handle);
    invariant(found, `${"name" in handle ? String(handle.name) : "the cache"} belongs to this device`);
    return found;
  }

  free(handle: Handle): void {
    this.find(handle);
    this.#made.delete(handle);
  }

  all(): Made[] {
    return [...this.#made.values()];
  }

  clear(): void {
    this.#made.clear();
  }
}

/** A weight whose stored elements are in a typed array. */
export interface StoredWeight extends Weight {
  readonly id: number;
  readonly elements: Stored;
}

export function storeWeight(device: string, spec: WeightSpec, bytes: Uint8Array): StoredWeight {
  const expected = elementCount(spec.shape) * bytesPerElement[spec.dtype];
  invariant(bytes.byteLength === expected, `${spec.name} has ${expected} bytes, not ${bytes.byteLength}`);
  return { ...spec, device, id: tensorId(spec.name), elements: elementsOf(spec.dtype, bytes) };
}

/** A copy of the stored bytes, little-endian. */
export function storedBytes(weight: StoredWeight): Uint8Array {
  const { buffer, byteOffset, byteLength } = weight.elements;
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

export function updateStored(
  weight: StoredWeight,
  entries: LogEntries,
  noise: Noise,
  fill: FillNoise = fillNoise,
): void {
  invariant(weight.trainable, `${weight.name} is trainable`);
  update(weight.elements, 0, weight.id, noise, entries, fill);
}

/** Device.replay with the plain update. */
export function replayPiece(piece: TensorPiece, entries: LogEntries, noise: Noise): Promise<void> {
  // A copy, since the elements in the piece's own buffer may be unaligned.
  const elements = elementsOf(piece.dtype, piece.bytes);
  update(elements, piece.first, tensorId(piece.name), noise, entries);
  piece.bytes.set(new Uint8Array(elements.buffer));
  return Promise.resolve();
}

/** A copy of stored little-endian bytes. */
function elementsOf(dtype: WeightDtype, bytes: Uint8Array): Stored {
  const copy = new Uint8Array(bytes).buffer;
  return dtype === "F32" ? new Float32Array(copy) : new Uint16Array(copy);
}

/** The stored values as float32; the array itself if it is float32 already. */
export function valuesOf(elements: Stored): Float32Array {
  if (elements instanceof Float32Array) return elements;
  const words = new Uint32Array(elements.length);
  for (let i = 0; i < words.length; i++) words[i] = (elements[i] ?? 0) << 16;
  return new Float32Array(words.buffer);
}

/** fl32(w + e*n) and fl32(w - e*n) for the elements from `first` on, from the same noise. */
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

/** Rows of one sequence, in memory that doubles when it is full. */
class GrowingRows {
  #values: Float32Array;
  #length: number;
  #columns: number;

  constructor(values = new Float32Array(), columns = 1) {
    this.#values = values;
    this.#length = values.length;
    this.#columns = columns;
  }

  /** All rows so far, including the new ones, [rows, columns]; valid until the next call. */
  append(rows: Float32Array, columns: number): Float32Array {
    this.#columns = columns;
    const length = this.#length + rows.length;
    if (length > this.#values.length) {
      const grown = new Float32Array(Math.max(length, 2 * this.#values.length));
      grown.set(this.#values.subarray(0, this.#length));
      this.#values = grown;
    }
    this.#values.set(rows, this.#length);
    this.#length = length;
    return this.#values.subarray(0, length);
  }

  /** A copy of the first rows. */
  first(rows: number): GrowingRows {
    checkCopy(rows, this.#length / this.#columns);
    return new GrowingRows(this.#values.slice(0, rows * this.#columns), this.#columns);
  }
}

/** Keys and values [tokens, keyColumns]. */
export interface StoredCache extends KeyValueCache {
  readonly keys: GrowingRows;
  readonly values: GrowingRows;
}

export function createStoredCache(device: string): StoredCache {
  return { device, keys: new GrowingRows(), values: new GrowingRows() };
}

/** The first rows of a cache, as a cache of their own. */
export function copyStoredCache({ device, keys, values }: StoredCache, rows: number): StoredCache {
  return { device, keys: keys.first(rows), values: values.first(rows) };
}
