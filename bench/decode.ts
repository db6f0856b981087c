/** Sequences decoded together, greedily, with the passes of a worker that serves. */
import type { Device, Precision } from "../engine/devices/device.ts";
import { likeliest } from "../engine/generation/top-tokens.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import type { SequenceCaches } from "../engine/serving/caches.ts";
import { byLayer, copyCaches, createCaches, freeCaches } from "../engine/serving/caches.ts";
import { LoadedBase } from "../engine/serving/loaded-base.ts";

export interface Sequence {
  readonly caches: SequenceCaches;
  /** Tokens in the caches. */
  past: number;
  /** The token after them. */
  next: number;
}

export class Decoding {
  readonly #model: LoadedBase;

  constructor(model: LoadedBase) {
    this.#model = model;
  }

  static async load(folder: ModelFolder, device: Device, precision: Precision): Promise<Decoding> {
    return new Decoding(await LoadedBase.load(folder, device, { precision, beforePart: () => Promise.resolve() }));
  }

  /** A pass over the prompt. */
  async start(prompt: readonly number[]): Promise<Sequence> {
    const { device, folder } = this.#model;
    const caches = createCaches(device, folder.architecture);
    const tokens = { ids: Int32Array.from(prompt), lengths: [prompt.length], past: [0] };
    const packed = { ...tokens, caches: byLayer([caches], folder.architecture) };
    const logits = await this.#model.prompts([]).logits(packed, Int32Array.of(prompt.length - 1));
    return { caches, past: prompt.length, next: likeliest(logits) };
  }

  /** They continue with other tokens than the original. */
  copies({ caches, past, next }: Sequence, count: number): Sequence[] {
    const { device, folder } = this.#model;
    return Array.from({ length: count }, (_, copy) => {
      return {
        caches: copyCaches(device, caches, past),
        past,
        next: (next + 1 + copy) % folder.architecture.vocabulary,
      };
    });
  }

  /** The next token of every sequence. */
  async step(sequences: readonly Sequence[]): Promise<void> {
    const { folder } = this.#model;
    const { architecture } = folder;
    const tokens = {
      ids: Int32Array.from(sequences, ({ next }) => next),
      lengths: sequences.map(() => 1),
      past: sequences.map(({ past }) => past),
      caches: byLayer(
        sequences.map(({ caches }) => caches),
        architecture,
      ),
    };
    const logits = await this.#model.decoding([]).logits(
      tokens,
      Int32Array.from(sequences, (_, row) => row),
    );
    sequences.forEach((sequence, row) => {
      sequence.past += 1;
      sequence.next = likeliest(logits.subarray(row * architecture.vocabulary, (row + 1) * architecture.vocabulary));
    });
  }

  free({ caches }: Sequence): void {
    freeCaches(this.#model.device, caches);
  }
}
