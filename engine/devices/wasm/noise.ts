/**
 * Keeps the noise of a pass, one byte per element, for the update that usually follows with the same seed, so that a step draws
 * it once instead of twice. For weights beyond the memory budget it is drawn again.
 */
import type { FillNoise, Noise } from "../../numbers/noise.ts";
import { fillNoise } from "../../numbers/noise.ts";
import type { Perturbation } from "../device.ts";
import type { StoredWeight } from "../host-memory.ts";

const budgetBytes = 128 * 2 ** 20;

/** The noise of a whole weight for one seed; `noise` is null before the first draw. */
interface Drawn {
  readonly n: Int8Array;
  seed: bigint;
  noise: Noise | null;
}

export class KeptNoise {
  readonly #drawn = new Map<StoredWeight, Drawn>();
  #bytes = 0;
  #scratch = new Int8Array(0);

  /** n of elements first, ..., first + count - 1; valid until the next call. */
  of(weight: StoredWeight, { noise, seed }: Perturbation, first: number, count: number): Int8Array {
    const drawn = this.#drawn.get(weight) ?? this.#admit(weight);
    if (!drawn) {
      if (this.#scratch.length < count) this.#scratch = new Int8Array(count);
      const n = this.#scratch.subarray(0, count);
      fillNoise(n, noise, seed, weight.id, first);
      return n;
    }
    if (drawn.seed !== seed || drawn.noise !== noise) {
      fillNoise(drawn.n, noise, seed, weight.id, 0);
      drawn.seed = seed;
      drawn.noise = noise;
    }
    return drawn.n.subarray(first, first + count);
  }

  /** fillNoise for a weight, which copies the kept noise if it has the same seed. */
  fillFor(weight: StoredWeight): FillNoise {
    const drawn = this.#drawn.get(weight);
    if (!drawn) return fillNoise;
    return (out, noise, seed, tensor, start) => {
      if (drawn.seed === seed && drawn.noise === noise) out.set(drawn.n.subarray(start, start + out.length));
      else fillNoise(out, noise, seed, tensor, start);
    };
  }

  forget(weight: StoredWeight): void {
    this.#bytes -= this.#drawn.get(weight)?.n.length ?? 0;
    this.#drawn.delete(weight);
  }

  #admit(weight: StoredWeight): Drawn | null {
    const { length } = weight.elements;
    if (this.#bytes + length > budgetBytes) return null;
    const drawn: Drawn = { n: new Int8Array(length), seed: 0n, noise: null };
    this.#drawn.set(weight, drawn);
    this.#bytes += length;
    return drawn;
  }
}
