/** Text continued token by token: keys and values are kept, so that each token is computed once. */
import { invariant } from "../../schema/errors.ts";
import type { Device, KeyValueCache } from "../devices/device.ts";
import type { Architecture, PackedTokens } from "./families/family.ts";

/** A growing sequence, of a causal model. */
export class Continuation {
  readonly #architecture: Architecture;
  readonly #prefixLength: number;
  readonly #device: Device;
  readonly #logits: (tokens: PackedTokens, positions: Int32Array) => Promise<Float32Array>;
  #caches: KeyValueCache[][] = [];
  #ids = new Int32Array();

  /** `prefixLength` is the number of positions that an adapter takes before the sequence. */
  constructor(
    architecture: Architecture,
    prefixLength: number,
    device: Device,
    logits: (tokens: PackedTokens, positions: Int32Array) => Promise<Float32Array>,
  ) {
    invariant(architecture.kind === "causal", "only causal models continue text");
    this.#architecture = architecture;
    this.#prefixLength = prefixLength;
    this.#device = device;
    this.#logits = logits;
  }

  /** Appends tokens and returns the logits of the token after them: [vocab]. */
  next(ids: Int32Array): Promise<Float32Array> {
    const past = this.#ids.length;
    const grown = new Int32Array(past + ids.length);
    grown.set(this.#ids);
    grown.set(ids, past);
    this.#ids = grown;
    const limit = (this.#architecture.cacheLimit ?? Infinity) - this.#prefixLength;
    const stale = past <= limit && grown.length > limit;
    if (past === 0 || stale) this.#startCaches();
    const fresh = stale ? grown : ids;
    const tokens = { ids: fresh, lengths: [fresh.length], past: [grown.length - fresh.length], caches: this.#caches };
    return this.#logits(tokens, Int32Array.of(fresh.length - 1));
  }

  /** Frees its memory. */
  end(): void {
    this.#freeCaches();
    this.#ids = new Int32Array();
  }

  #startCaches(): void {
    this.#freeCaches();
    this.#caches = Array.from({ length: this.#architecture.layers }, () => [this.#device.createCache()]);
  }

  #freeCaches(): void {
    for (const cache of this.#caches.flat()) this.#device.freeCache(cache);
    this.#caches = [];
  }
}
