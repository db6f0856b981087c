/** One text that grows: picks its tokens, turns them into text, and knows when it ends. */
import type { FinishReason } from "../../schema/completion.ts";
import { invariant } from "../../schema/errors.ts";
import type { TokenLogProbabilities } from "./logprobs.ts";
import { logProbabilities } from "./logprobs.ts";
import type { Choose } from "./sampling.ts";
import { StopStrings } from "./stops.ts";
import type { Decoding } from "./text-stream.ts";
import { TextStream } from "./text-stream.ts";
import { likeliest } from "./top-tokens.ts";

export interface WriterOptions {
  readonly maxTokens: number;
  readonly endOfSequence: readonly number[];
  /** The likeliest token if left out. */
  readonly choose?: Choose;
  /** Null or left out: no text, only tokens. */
  readonly decoding?: Decoding | null;
  /** Texts before which the text ends; they need `decoding`. */
  readonly stop?: readonly string[];
  /** The log-probability of each token, and of so many of the likeliest ones; left out: none. */
  readonly logProbabilities?: number;
}

/** A token of the text. */
export interface Written {
  readonly token: number;
  /** What can be shown now, which may be of earlier tokens too, or nothing yet. */
  readonly text: string;
  readonly logProbabilities: TokenLogProbabilities | null;
  /** Null while the text goes on. */
  readonly finish: FinishReason | null;
}

export class Writer {
  readonly #options: WriterOptions;
  readonly #choose: Choose;
  readonly #stream: TextStream | null;
  readonly #stops: StopStrings;
  readonly #tokens: number[] = [];
  #finish: FinishReason | null = null;

  constructor(options: WriterOptions) {
    const { choose = likeliest, decoding, stop = [] } = options;
    invariant(stop.length === 0 || decoding, "stop strings need text");
    this.#options = options;
    this.#choose = choose;
    this.#stream = decoding ? new TextStream(decoding) : null;
    this.#stops = new StopStrings(stop);
  }

  get maxTokens(): number {
    return this.#options.maxTokens;
  }

  /** All of them, with an end-of-sequence token if there was one. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get finish(): FinishReason | null {
    return this.#finish;
  }

  /** Picks the next token by its logits [vocab]. */
  async take(logits: Float32Array): Promise<Written> {
    const token = this.#choose(logits);
    const { logProbabilities: top } = this.#options;
    return this.#append(token, top === undefined ? null : logProbabilities(logits, token, top));
  }

  /** Appends a token that was picked before. */
  known(token: number): Promise<Written> {
    return this.#append(token, null);
  }

  async #append(token: number, likely: TokenLogProbabilities | null): Promise<Written> {
    invariant(this.#finish === null, "a text that has ended does not grow");
    this.#tokens.push(token);
    const isEnd = this.#options.endOfSequence.includes(token);
    const isLast = isEnd || this.#tokens.length >= this.#options.maxTokens;
    const shown = this.#stops.push(await this.#textOf(token, isEnd, isLast));
    this.#finish = shown.stopped ? "STOP" : isEnd ? "END" : isLast ? "LENGTH" : null;
    const text = this.#finish ? shown.text + this.#stops.end() : shown.text;
    return { token, text, logProbabilities: likely, finish: this.#finish };
  }

  async #textOf(token: number, isEnd: boolean, isLast: boolean): Promise<string> {
    if (!this.#stream) return "";
    const text = isEnd ? "" : await this.#stream.push(token);
    return isLast ? text + (await this.#stream.end()) : text;
  }
}
