/** Answers of POST /v1/completions, whole or in chunks, from the pieces that a worker wrote. */
import type { Piece, TokenLogprob, Usage } from "../../schema/completion.ts";
import { byChoice, finishOf, finite, headOf, lastFinish, usageOf, type AnswerHead } from "./answer.ts";

/** A token and its log-probability; null for the first token of a prompt, before which there is nothing. */
export type LoggedToken = TokenLogprob | { readonly text: string; readonly logprob: null };

/** The prompt of a choice, before its text. */
export interface Echo {
  readonly text: string;
  /** Null unless log-probabilities are wanted. */
  readonly tokens: readonly LoggedToken[] | null;
}

/** @param echoOf the prompt before a choice; null where it is not wanted */
export function completionAnswer(
  head: AnswerHead,
  pieces: readonly Piece[],
  usage: Usage,
  echoOf: (choice: number) => Echo | null,
) {
  const choices = byChoice(pieces).map(([index, its]) => {
    const echo = echoOf(index);
    const tokens = its.some(({ logprobs }) => logprobs) ? its.flatMap(({ logprobs }) => logprobs ?? []) : null;
    const logged = echo?.tokens || tokens ? [...(echo?.tokens ?? []), ...(tokens ?? [])] : null;
    return {
      index,
      text: (echo?.text ?? "") + its.map(({ text }) => text).join(""),
      logprobs: logged && logprobsOf(logged, -unseen(echo)),
      finish_reason: finishOf(lastFinish(its)),
    };
  });
  return { ...headOf(head, "text_completion"), choices, usage: usageOf(usage) };
}

/** An answer in chunks. The first of each choice has its prompt before it, if that is wanted. */
export class CompletionChunks {
  readonly #head: () => AnswerHead;
  readonly #includeUsage: boolean;
  readonly #echoOf: (choice: number) => Echo | null;
  /** Characters of each choice so far. */
  readonly #lengths = new Map<number, number>();

  constructor(head: () => AnswerHead, includeUsage: boolean, echoOf: (choice: number) => Echo | null) {
    this.#head = head;
    this.#includeUsage = includeUsage;
    this.#echoOf = echoOf;
  }

  /** The chunks that a piece becomes. */
  add({ choice, text, logprobs, finish }: Piece): object[] {
    const first = !this.#lengths.has(choice);
    const echo = first ? this.#echoOf(choice) : null;
    const start = this.#lengths.get(choice) ?? -unseen(echo);
    const tokens = echo?.tokens || logprobs ? [...(echo?.tokens ?? []), ...(logprobs ?? [])] : null;
    const whole = (echo?.text ?? "") + text;
    if (whole === "" && !tokens && finish === null) return [];
    const logged = tokens && logprobsOf(tokens, start);
    this.#lengths.set(choice, start + (tokens ? lengthOf(tokens) : whole.length));
    return [
      {
        ...headOf(this.#head(), "text_completion"),
        choices: [{ index: choice, text: whole, logprobs: logged, finish_reason: finishOf(finish) }],
        ...(this.#includeUsage && { usage: null }),
      },
    ];
  }

  /** What follows the last piece. */
  end(usage: Usage): object[] {
    if (!this.#includeUsage) return [];
    return [{ ...headOf(this.#head(), "text_completion"), choices: [], usage: usageOf(usage) }];
  }
}

/** Characters of a prompt's tokens that are not in its text: those of special tokens before it. */
function unseen(echo: Echo | null): number {
  return echo?.tokens ? Math.max(0, lengthOf(echo.tokens) - echo.text.length) : 0;
}

/** @param start characters of the text before the first token; below 0 where special tokens come before the text */
function logprobsOf(tokens: readonly LoggedToken[], start: number) {
  let offset = start;
  const offsets = tokens.map(({ text }) => Math.max(0, (offset += text.length) - text.length));
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => (logprob === null ? null : finite(logprob))),
    top_logprobs: tokens.map((token) => (token.logprob === null ? null : topOf(token))),
    text_offset: offsets,
  };
}

/** The likeliest tokens, and the one that was picked. */
function topOf({ top, text, logprob }: TokenLogprob): Record<string, number> {
  return Object.fromEntries([...top, { text, logprob }].map((token) => [token.text, finite(token.logprob)]));
}

function lengthOf(tokens: readonly LoggedToken[]): number {
  return tokens.reduce((length, { text }) => length + text.length, 0);
}
