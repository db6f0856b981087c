/** Key-value caches: rows in memory that doubles when it is full, written in place, so that a token costs its own rows. */
import { checkCopy } from "../checks.ts";
import type { KeyValueCache } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";

export interface TensorflowCache extends KeyValueCache {
  readonly keys: GrowingRows;
  readonly values: GrowingRows;
}

export function createTensorflowCache(tf: TensorFlow, device: string): TensorflowCache {
  return { device, keys: new GrowingRows(tf), values: new GrowingRows(tf) };
}

/** The first rows of a cache, as a cache of their own. */
export function copyTensorflowCache(tf: TensorFlow, cache: TensorflowCache, rows: number): TensorflowCache {
  checkCopy(rows, cache.keys.length);
  const copy = createTensorflowCache(tf, cache.device);
  copy.keys.appendFirst(cache.keys, rows);
  copy.values.appendFirst(cache.values, rows);
  return copy;
}

export function freeTensorflowCache({ keys, values }: TensorflowCache): void {
  keys.free();
  values.free();
}

export class GrowingRows {
  readonly #tf: TensorFlow;
  /** [capacity, columns]; rows from #length on are not initialised. */
  #memory: Handle | null = null;
  #length = 0;

  constructor(tf: TensorFlow) {
    this.#tf = tf;
  }

  get length(): number {
    return this.#length;
  }

  append(rows: Handle): void {
    const [count = 0, columns = 0] = rows.shape;
    this.#reserve(this.#length + count, columns);
    this.#write(rows);
    this.#length += count;
  }

  /** Appends the first rows of another. */
  appendFirst(other: GrowingRows, count: number): void {
    const rows = count === 0 ? null : other.rows(count);
    if (!rows) return;
    this.append(rows);
    this.#tf.free(rows);
  }

  /** All rows so far, or the first of them, sharing the memory: to be freed before the next call. */
  rows(count = this.#length): Handle | null {
    const memory = this.#memory;
    return memory && this.#tf.part(memory, [0, 0], [count, memory.shape[1] ?? 0]);
  }

  free(): void {
    if (this.#memory) this.#tf.free(this.#memory);
    this.#memory = null;
    this.#length = 0;
  }

  #reserve(length: number, columns: number): void {
    const [capacity = 0] = this.#memory?.shape ?? [];
    if (length <= capacity) return;
    const before = this.rows();
    const full = this.#memory;
    const { handles } = this.#tf.hold(() => [this.#tf.empty([Math.max(length, 2 * capacity), columns])]);
    this.#memory = handles[0] ?? null;
    if (before) {
      const copied = this.#length;
      this.#length = 0;
      this.#write(before);
      this.#length = copied;
      this.#tf.free(before);
    }
    if (full) this.#tf.free(full);
  }

  /** Writes rows from #length on. */
  #write(rows: Handle): void {
    const tf = this.#tf;
    const [count = 0] = rows.shape;
    const memory = this.#memory;
    if (!memory) return;
    tf.scope(() => {
      const index = tf.constant(Int32Array.from({ length: count }, (_, row) => this.#length + row));
      tf.replaceRows(memory, index, rows);
      return [];
    });
  }
}
