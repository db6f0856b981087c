/**
 * The entries of a log. A long one has hundreds of millions, so they stay packed, two bytes a scalar, and an entry becomes
 * an object only while it is used.
 */
import { invariant } from "./errors.ts";

/** One entry. `scalar` is a bfloat16 value and `decay` a float32 value, both as numbers. */
export interface LogEntry {
  readonly seed: bigint;
  readonly scalar: number;
  readonly decay?: number;
}

/** Entries in order: an array, or packed. */
export interface LogEntries extends Iterable<LogEntry> {
  readonly length: number;
  slice(from?: number, to?: number): LogEntries;
}

/** Packed numbers of entries. */
export interface PackedNumbers {
  /** bfloat16, two bytes each, little-endian. */
  readonly scalars: Uint8Array;
  /** float32, four bytes each, little-endian; null when the run has no weight decay. */
  readonly decays: Uint8Array | null;
}

/** Entries from the first of a run's log on, whose seeds follow the rule. It survives a structured clone. */
export interface RuledEntries extends PackedNumbers {
  /** The run seed of the log's header. */
  readonly seed: number;
}

export function ruleSeed(runSeed: number, entry: number): bigint {
  return BigInt.asUintN(64, (BigInt(runSeed) << 32n) + BigInt(entry));
}

/** Seeds of the entries from number `start` on: `first`, and one more for each further entry. */
export interface SeedRuns {
  readonly starts: Uint32Array;
  readonly firsts: BigUint64Array;
}

export class PackedEntries implements LogEntries {
  readonly #numbers: PackedNumbers;
  readonly #seeds: SeedRuns;
  readonly #from: number;
  readonly length: number;

  constructor(numbers: PackedNumbers, seeds: SeedRuns, from = 0, to = numbers.scalars.length / 2) {
    invariant(seeds.starts[0] === 0 || to === 0, "the first run of seeds starts at the first entry");
    this.#numbers = numbers;
    this.#seeds = seeds;
    this.#from = from;
    this.length = to - from;
  }

  static ofRule({ seed, ...numbers }: RuledEntries): PackedEntries {
    return new PackedEntries(numbers, { starts: Uint32Array.of(0), firsts: BigUint64Array.of(ruleSeed(seed, 0)) });
  }

  *[Symbol.iterator](): Generator<LogEntry, undefined> {
    const { scalars, decays } = this.#numbers;
    const { starts, firsts } = this.#seeds;
    const decay = decays && viewOf(decays);
    let run = this.#runOf(this.#from);
    for (let k = this.#from; k < this.#from + this.length; k++) {
      while ((starts[run + 1] ?? Infinity) <= k) run++;
      bits[0] = ((scalars[2 * k] ?? 0) << 16) | ((scalars[2 * k + 1] ?? 0) << 24);
      const seed = BigInt.asUintN(64, (firsts[run] ?? 0n) + BigInt(k - (starts[run] ?? 0)));
      const scalar = float[0] ?? NaN;
      yield decay ? { seed, scalar, decay: decay.getFloat32(4 * k, true) } : { seed, scalar };
    }
  }

  /** As of an array: negative numbers are not counted from the end. */
  slice(from = 0, to = this.length): PackedEntries {
    const end = this.#from + Math.min(to, this.length);
    return new PackedEntries(this.#numbers, this.#seeds, Math.min(this.#from + from, end), end);
  }

  /** The last run that starts at entry k or before. */
  #runOf(k: number): number {
    const { starts } = this.#seeds;
    let [low, high] = [0, starts.length];
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? Infinity) <= k) low = middle;
      else high = middle;
    }
    return low;
  }
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The entries in parts of at most `most`, in order. */
export function* partsOf(entries: LogEntries, most: number): Generator<LogEntries> {
  for (let at = 0; at < entries.length; at += most) yield entries.slice(at, at + most);
}

/** Entries of one log that more are added to. */
export class GrowingEntries {
  readonly #seed: number;
  #scalars: Uint8Array;
  #decays: Uint8Array | null;
  #length: number;

  constructor({ seed, scalars, decays }: RuledEntries) {
    this.#seed = seed;
    this.#scalars = scalars;
    this.#decays = decays;
    this.#length = scalars.length / 2;
  }

  /** The next entries, whose seeds follow the rule. */
  add(entries: readonly LogEntry[]): void {
    const length = this.#length + entries.length;
    this.#reserve(length);
    for (const { seed, scalar, decay } of entries) {
      const k = this.#length++;
      invariant(seed === ruleSeed(this.#seed, k), `the seed of entry ${k} follows the rule`);
      float[0] = scalar;
      viewOf(this.#scalars).setUint16(2 * k, (bits[0] ?? 0) >>> 16, true);
      if (decay !== undefined) this.#decays ??= ones(this.#scalars.length / 2);
      if (this.#decays) viewOf(this.#decays).setFloat32(4 * k, decay ?? 1, true);
    }
  }

  first(count: number): PackedEntries {
    invariant(count <= this.#length, `the log has its first ${count} entries`);
    const numbers = { scalars: this.#scalars, decays: this.#decays };
    return PackedEntries.ofRule({ seed: this.#seed, ...numbers }).slice(0, count);
  }

  /** Doubles, so that a log of n entries is copied about once. */
  #reserve(length: number): void {
    const room = this.#scalars.length / 2;
    if (length <= room) return;
    const more = Math.max(length, 2 * room, 1024);
    this.#scalars = grown(this.#scalars, new Uint8Array(2 * more));
    if (this.#decays) this.#decays = grown(this.#decays, ones(more));
  }
}

function grown(bytes: Uint8Array, larger: Uint8Array): Uint8Array {
  larger.set(bytes);
  return larger;
}

/** Decays that change nothing. */
export function ones(count: number): Uint8Array {
  return new Uint8Array(new Float32Array(count).fill(1).buffer);
}
