/**
 * Line numbers by 64 bits of a hash, in typed arrays with open addressing: the two million keys of a million rows take 50 MB,
 * and 75 MB while the table grows, where a Map of them would take several times that.
 */
export class LineTable {
  /** Two words a slot. A slot with line 0 is free. */
  #keys = new Uint32Array(2 * 1024);
  #lines = new Uint32Array(1024);
  #size = 0;

  /** The line that the key was first given with; 0 for a new key, which gets `line` (from 1). */
  put(key: RowKey, line: number): number {
    if (2 * this.#size >= this.#lines.length) this.#grow();
    const slot = this.#slotOf(key);
    const known = this.#lines[slot] ?? 0;
    if (known > 0) return known;
    this.#size += 1;
    this.#set(slot, key, line);
    return 0;
  }

  /** 0 if it has none. */
  get(key: RowKey): number {
    return this.#lines[this.#slotOf(key)] ?? 0;
  }

  #slotOf([high, low]: RowKey): number {
    const mask = this.#lines.length - 1;
    let slot = low & mask;
    while (this.#lines[slot] !== 0 && !(this.#keys[2 * slot] === high && this.#keys[2 * slot + 1] === low)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #set(slot: number, [high, low]: RowKey, line: number): void {
    this.#keys[2 * slot] = high;
    this.#keys[2 * slot + 1] = low;
    this.#lines[slot] = line;
  }

  #grow(): void {
    const [keys, lines] = [this.#keys, this.#lines];
    this.#keys = new Uint32Array(2 * keys.length);
    this.#lines = new Uint32Array(2 * lines.length);
    for (const [slot, line] of lines.entries()) {
      if (line === 0) continue;
      const key = [keys[2 * slot] ?? 0, keys[2 * slot + 1] ?? 0] as const;
      this.#set(this.#slotOf(key), key, line);
    }
  }
}

/** 64 bits of a hash, as two unsigned words. */
export type RowKey = readonly [high: number, low: number];
