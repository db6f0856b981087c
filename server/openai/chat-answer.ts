/** Answers of POST /v1/chat/completions, whole or in chunks, from the pieces that a worker wrote. */
import { createHash } from "node:crypto";
import type { FinishReason, GivenTools, Piece, TokenChance, TokenLogprob, Usage } from "../../schema/completion.ts";
import { byChoice, finishOf, finite, headOf, lastFinish, usageOf, type AnswerHead } from "./answer.ts";
import { ToolReader, type ToolCall } from "./tools.ts";

export interface ChatOptions {
  readonly tools: GivenTools | null;
  readonly includeUsage: boolean;
}

/** One answer in one object. */
export function chatAnswer(
  head: AnswerHead,
  pieces: readonly Piece[],
  usage: Usage,
  { tools }: Pick<ChatOptions, "tools">,
) {
  const choices = byChoice(pieces).map(([index, its]) => choiceOf(head, index, its, tools));
  return { ...headOf(head, "chat.completion"), choices, usage: usageOf(usage) };
}

function choiceOf({ id }: AnswerHead, index: number, pieces: readonly Piece[], tools: GivenTools | null) {
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
      ...(called && { tool_calls: calls.map((call, at) => callOf(call, [id, index, at])) }),
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
    const tool_calls = calls.map((call, index) => ({ index, ...callOf(call, [this.#head().id, choice, index]) }));
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

function readerOf(tools: GivenTools | null): ToolReader | null {
  return tools && new ToolReader(tools.names, tools.parallel);
}

/** @param place of the call: the answer, the choice, and its number there. An answer that is read again has the same ids. */
function callOf(call: ToolCall, place: readonly [string, number, number]) {
  const id = createHash("sha256").update(place.join(" ")).digest("hex").slice(0, 24);
  return { id: `call_${id}`, type: "function", function: call };
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
