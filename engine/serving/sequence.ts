/**
 * One choice being generated: its text, and its caches, which may lag behind the text. Every token gets a decoding pass of its
 * own, even if an earlier worker or a failed pass already sampled it, so that an interrupted sequence resumes bit for bit.
 */
import { invariant } from "../../schema/errors.ts";
import type { Written, Writer } from "../generation/writer.ts";
import type { SequenceCaches } from "./caches.ts";
import type { LoadedModel } from "./loaded-base.ts";

/** What somebody asked for, as far as a pass is concerned. */
export interface Asker {
  readonly model: LoadedModel;
  /** Whether an answer is still wanted. */
  readonly isOpen: boolean;
  /** It ends without an answer. */
  fail(error: unknown): void;
}

export interface SequenceParts {
  readonly asker: Asker;
  readonly prompt: Int32Array;
  /** It may have tokens already. */
  readonly writer: Writer;
  /** Told of each new token, and which of the text it is. */
  readonly hear: (written: Written, index: number) => void;
}

export class Sequence {
  readonly asker: Asker;
  readonly prompt: Int32Array;
  readonly #writer: Writer;
  readonly #hear: SequenceParts["hear"];
  #caches: SequenceCaches = [];
  #length = 0;

  constructor({ asker, prompt, writer, hear }: SequenceParts) {
    this.asker = asker;
    this.prompt = prompt;
    this.#writer = writer;
    this.#hear = hear;
  }

  get caches(): SequenceCaches {
    return this.#caches;
  }

  /** Tokens in the caches. */
  get length(): number {
    return this.#length;
  }

  get ended(): boolean {
    return this.#writer.finish !== null;
  }

  /** The token that the next pass takes in. */
  get next(): number {
    const token = this.#writer.tokens[this.#length - this.prompt.length];
    invariant(token !== undefined, "a sequence has the token after those in its caches");
    return token;
  }

  /** Prompt and text, up to the token that the next pass takes in. */
  get tokens(): Int32Array {
    const text = this.#writer.tokens.slice(0, this.#length + 1 - this.prompt.length);
    return Int32Array.from([...this.prompt, ...text]);
  }

  /** Its caches hold the first `length` tokens now. */
  startWith(caches: SequenceCaches, length: number): void {
    this.#caches = caches;
    this.#length = length;
  }

  /** A pass has taken in `next`. */
  grow(): void {
    this.#length += 1;
  }

  /** The caches leave the sequence. */
  release(): SequenceCaches {
    const caches = this.#caches;
    this.startWith([], 0);
    return caches;
  }

  /** Takes the logits [vocab] after the tokens in the caches: picks the next token, unless it is known. */
  async take(logits: Float32Array): Promise<void> {
    const index = this.#length - this.prompt.length;
    if (index < this.#writer.tokens.length) return;
    this.#hear(await this.#writer.take(logits), index);
  }
}
