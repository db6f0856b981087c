/** The tokenizer of a model that answers. Its calls are marked, each with the request that it is made for. */
import { blameModel } from "../../dataset/model-text.ts";
import { tokenTexts } from "../../dataset/token-texts.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { loadOptionalTokenizer } from "../../dataset/tokenizer.ts";
import type { TokenChance, TokenLogprob } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { LogProbability, TokenLogProbabilities } from "../generation/logprobs.ts";
import type { Decoding } from "../generation/text-stream.ts";
import { findHalfCharacter } from "../generation/text-stream.ts";
import type { ForeignCalls } from "../thread/foreign.ts";

export interface ModelTexts {
  /** Null without a tokenizer. */
  readonly decoding: Decoding | null;
  chance(of: TokenLogProbabilities): TokenLogprob;
}

const utf8 = new TextEncoder();

export class ModelTokenizer {
  readonly #tokenizer: Tokenizer | null;
  readonly #name: string;
  readonly #halfCharacter: number | null;

  private constructor(tokenizer: Tokenizer | null, name: string, halfCharacter: number | null) {
    this.#tokenizer = tokenizer;
    this.#name = name;
    this.#halfCharacter = halfCharacter;
  }

  /** @throws MODEL_INVALID */
  static async load(folder: string, name: string, calls: ForeignCalls): Promise<ModelTokenizer> {
    calls.begin();
    try {
      const tokenizer = await loadOptionalTokenizer(folder);
      if (!tokenizer) return new ModelTokenizer(null, name, null);
      const decode = (tokens: readonly number[]) => tokenizer.decode(tokens);
      const half = await findHalfCharacter((text) => tokenizer.encodeMore(text), decode);
      return new ModelTokenizer(tokenizer, name, half);
    } finally {
      calls.end();
    }
  }

  /** For the texts of one request. */
  textsFor(calls: ForeignCalls): ModelTexts {
    const tokenizer = this.#tokenizer;
    if (!tokenizer) return { decoding: null, chance: (of) => withTexts(of, () => ({ text: "", bytes: [] })) };
    const textOf = tokenTexts(tokenizer);
    const readingOf = (token: number): Reading => {
      const text = textOf(token).toWellFormed();
      return { text, bytes: tokenizer.bytesOf(token) ?? [...utf8.encode(text)] };
    };
    const decode = (tokens: readonly number[]) => this.#call(calls, () => tokenizer.decode(tokens));
    return {
      decoding: { decode, halfCharacter: this.#halfCharacter },
      chance: (of) => this.#call(calls, () => withTexts(of, readingOf)),
    };
  }

  /** @throws MODEL_INVALID for whatever the model's files make of it */
  #call<T>(calls: ForeignCalls, work: () => T): T {
    calls.begin();
    try {
      return work();
    } catch (cause) {
      const { code, doing, advice } = blameModel(`Reading tokens with the tokenizer of ${this.#name}`);
      throw new SteplogError(code, `${doing} failed. ${advice}`, [], { cause });
    } finally {
      calls.end();
    }
  }
}

type Reading = Pick<TokenChance, "text" | "bytes">;

function withTexts(of: TokenLogProbabilities, readingOf: (token: number) => Reading): TokenLogprob {
  const chance = ({ token, logProbability: logprob }: LogProbability): TokenChance => {
    return { token, ...readingOf(token), logprob };
  };
  return { ...chance(of), top: of.top.map(chance) };
}
