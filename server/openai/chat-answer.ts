/** Answers of POST /v1/chat/completions, whole or in chunks, from the pieces that a worker wrote. */
import type { FinishReason, Piece, TokenChance, TokenLogprob, Usage } from "../../schema/completion.ts";
import { byChoice, finishOf, finite, headOf, lastFinish, usageOf, type AnswerHead } from "./answer.ts";
import { ToolReader, type ToolCall } from "./tools.ts";

export interface ChatTools {
  readonly names: readonly string[];
  readonly parallel: boolean;
}

export interface ChatOptions {
  readonly tools: ChatTools | null;
  readonly includeUsage: boolean;
  readonly newId: () => string;
}

/** One answer in one object. */
export function chatAnswer(head: AnswerHead, pieces: readonly Piece[], usage: Usage, options: ChatOptions) {
  const choices = byChoice(pieces).map(([index, its]) => choiceOf(index, its, options));
  return { ...headOf(head, "chat.completion"), choices, usage: usageOf(usage) };
}

function choiceOf(index: number, pieces: readonly Piece[], { tools, newId }: ChatOptions) {
  const text = pieces.map((piece) => piece.text).join("");
  const reader = readerOf(tools);
  const before = reader?.add(text) ?? text;
  const { content, calls } = reader?.end() ?? { content: "", calls: [] };
  const said = before + content;
  const called = calls.length > 0;
  return {
    index,
    message: {
      role: "assistant",
      content: called && said === "" ? null : said,
      refusal: null,
      ...(called && { tool_calls: calls.map((call) => callOf(call, newId)) }),
    },
    logprobs: chatLogprobs(pieces),
    finish_reason: finishOf(lastFinish(pieces), called),
  };
}

/** An answer in chunks. Every choice starts with a chunk that says who speaks, and ends with the reason for its end. */
export class ChatChunks {
  readonly #head: () => AnswerHead;
  readonly #options: ChatOptions;
  readonly #readers = new Map<number, ToolReader | null>();

  constructor(head: () => AnswerHead, options: ChatOptions) {
    this.#head = head;
    this.#options = options;
  }

  /** The chunks that a piece becomes. */
  add(piece: Piece): object[] {
    const { choice, text, finish } = piece;
    const first = !this.#readers.has(choice);
    const reader = first ? readerOf(this.#options.tools) : (this.#readers.get(choice) ?? null);
    this.#readers.set(choice, reader);
    const content = reader?.add(text) ?? text;
    const logprobs = chatLogprobs([piece]);
    return [
      ...(first ? [this.#chunk(choice, { role: "assistant", content: "", refusal: null })] : []),
      ...(content !== "" || logprobs ? [this.#chunk(choice, { content }, logprobs)] : []),
      ...(finish === null ? [] : this.#last(choice, reader, finish)),
    ];
  }

  /** What follows the last piece. */
  end(usage: Usage): object[] {
    if (!this.#options.includeUsage) return [];
    return [{ ...headOf(this.#head(), "chat.completion.chunk"), choices: [], usage: usageOf(usage) }];
  }

  #last(choice: number, reader: ToolReader | null, finish: FinishReason): object[] {
    const { content, calls } = reader?.end() ?? { content: "", calls: [] };
    const tool_calls = calls.map((call, index) => ({ index, ...callOf(call, this.#options.newId) }));
    return [
      ...(content === "" ? [] : [this.#chunk(choice, { content })]),
      ...(calls.length === 0 ? [] : [this.#chunk(choice, { tool_calls })]),
      this.#chunk(choice, {}, null, finishOf(finish, calls.length > 0)),
    ];
  }

  #chunk(index: number, delta: object, logprobs: object | null = null, finish_reason: string | null = null): object {
    return {
      ...headOf(this.#head(), "chat.completion.chunk"),
      choices: [{ index, delta, logprobs, finish_reason }],
      ...(this.#options.includeUsage && { usage: null }),
    };
  }
}

function readerOf(tools: ChatTools | null): ToolReader | null {
  return tools && new ToolReader(tools.names, tools.parallel);
}

function callOf(call: ToolCall, newId: () => string) {
  return { id: `call_${newId()}`, type: "function", function: call };
}

function chatLogprobs(pieces: readonly Piece[]) {
  if (pieces.every(({ logprobs }) => logprobs === null)) return null;
  const content = pieces.flatMap(({ logprobs }) => logprobs ?? []).map((token) => logprobOf(token));
  return { content, refusal: null };
}

function logprobOf({ top, ...token }: TokenLogprob) {
  return { ...tokenOf(token), top_logprobs: top.map((other) => tokenOf(other)) };
}

function tokenOf({ text, bytes, logprob }: TokenChance) {
  return { token: text, logprob: finite(logprob), bytes };
}
