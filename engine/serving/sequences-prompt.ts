/** A prompt from which sequences go on: the n choices of a request, or one that starts again. */
import type { Device } from "../devices/device.ts";
import type { SequenceCaches } from "./caches.ts";
import { copyCaches, freeCaches } from "./caches.ts";
import type { PromptUse } from "./prompt-pieces.ts";
import type { Asker, Sequence } from "./sequence.ts";

export class SequencesPrompt implements PromptUse {
  readonly asker: Asker;
  readonly tokens: Int32Array;
  readonly targets = null;
  readonly #device: Device;
  readonly #sequences: readonly Sequence[];
  readonly #onReuse: (tokens: number) => void;
  #logits: Float32Array = new Float32Array();

  constructor(
    asker: Asker,
    device: Device,
    tokens: Int32Array,
    sequences: readonly Sequence[],
    onReuse: (tokens: number) => void = () => {},
  ) {
    this.asker = asker;
    this.tokens = tokens;
    this.#device = device;
    this.#sequences = sequences;
    this.#onReuse = onReuse;
  }

  get wantedFrom(): number {
    return this.tokens.length - 1;
  }

  reused(tokens: number): void {
    this.#onReuse(tokens);
  }

  hear(logits: Float32Array): void {
    this.#logits = logits;
  }

  async end(caches: SequenceCaches): Promise<readonly Sequence[]> {
    const rows = this.tokens.length;
    try {
      for (const [i, sequence] of this.#sequences.entries())
        sequence.startWith(i === 0 ? caches : copyCaches(this.#device, caches, rows), rows);
      for (const sequence of this.#sequences) await sequence.take(this.#logits);
    } catch (error) {
      for (const sequence of this.#sequences) freeCaches(this.#device, sequence.release());
      throw error;
    }
    return this.#sequences;
  }
}
