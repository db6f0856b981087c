/**
 * Keys and values of prompts, kept for others that start alike: a system prompt, examples, a question with many labels. They are
 * found by a hash of the model and the tokens up to each multiple of 64. Those used least recently go first.
 */
import { createHash } from "node:crypto";
import type { SequenceCaches } from "./caches.ts";

/** Prompts are kept, and computed, up to multiples of so many tokens: as the work of attention is cut. */
export const pieceTokens = 64;

interface Kept {
  readonly caches: SequenceCaches;
  readonly bytes: number;
  readonly free: () => void;
}

interface Entry extends Kept {
  readonly key: string;
  /** One for each multiple of 64 tokens. */
  readonly hashes: readonly string[];
}

export class KeptPrompts {
  /** In order of use. */
  readonly #entries = new Set<Entry>();
  readonly #byHash = new Map<string, Entry>();
  readonly #keys = new WeakMap<object, string>();
  #models = 0;

  get bytes(): number {
    return [...this.#entries].reduce((total, { bytes }) => total + bytes, 0);
  }

  /** The caches of the longest kept prefix of `tokens`, at most `most` tokens, and its length. */
  find(model: object, tokens: Int32Array, most: number): { caches: SequenceCaches; tokens: number } | null {
    const hashes = prefixHashes(this.#keyOf(model), tokens.subarray(0, most));
    const longest = hashes.findLastIndex((hash) => this.#byHash.has(hash));
    const entry = this.#byHash.get(hashes[longest] ?? "");
    if (!entry) return null;
    this.#entries.delete(entry);
    this.#entries.add(entry);
    return { caches: entry.caches, tokens: (longest + 1) * pieceTokens };
  }

  /** Keeps caches that hold `tokens`, a multiple of 64 of them. What it has of the same start is dropped. */
  keep(model: object, tokens: Int32Array, kept: Kept): void {
    const key = this.#keyOf(model);
    const entry = { ...kept, key, hashes: prefixHashes(key, tokens) };
    for (const hash of entry.hashes) {
      const other = this.#byHash.get(hash);
      this.#byHash.set(hash, entry);
      if (other && !other.hashes.some((one) => this.#byHash.get(one) === other)) this.#drop(other);
    }
    this.#entries.add(entry);
  }

  /** Frees the one that was used least recently; false if there is none. */
  dropOldest(): boolean {
    const [oldest] = this.#entries;
    if (oldest) this.#drop(oldest);
    return oldest !== undefined;
  }

  /** Frees those of a model. */
  forget(model: object): void {
    const key = this.#keyOf(model);
    for (const entry of this.#entries) if (entry.key === key) this.#drop(entry);
  }

  #keyOf(model: object): string {
    const key = this.#keys.get(model) ?? `${(this.#models += 1)}`;
    this.#keys.set(model, key);
    return key;
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry);
    for (const hash of entry.hashes) if (this.#byHash.get(hash) === entry) this.#byHash.delete(hash);
    entry.free();
  }
}

/** What prompts have in common that start alike; null for one of which nothing would be kept. `most` tokens may be. */
export function startOf(tokens: Int32Array, most: number): string | null {
  return prefixHashes("", tokens.subarray(0, Math.min(most, pieceTokens)))[0] ?? null;
}

/** Each covers 64 tokens more than the one before it. */
function prefixHashes(key: string, tokens: Int32Array): string[] {
  const hashes: string[] = [];
  let before = key;
  for (let end = pieceTokens; end <= tokens.length; end += pieceTokens) {
    const block = Buffer.from(tokens.slice(end - pieceTokens, end).buffer);
    before = createHash("sha256").update(before).update(block).digest("base64");
    hashes.push(before);
  }
  return hashes;
}
