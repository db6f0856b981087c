/** Answers of the OpenAI protocol, whole and in chunks, and calls of tools in them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { GivenTools, Piece, TokenLogprob } from "../../../schema/completion.ts";
import { chatAnswer, ChatChunks } from "../../../server/openai/chat-answer.ts";
import { completionAnswer, CompletionChunks } from "../../../server/openai/completion-answer.ts";
import { ToolReader } from "../../../server/openai/tools.ts";

const head = { id: "chatcmpl-1", created: 7, model: "m", fingerprint: "fp_1" };
const usage = { promptTokens: 3, cachedTokens: 2, completionTokens: 4 };
const weather: GivenTools = { names: ["weather"], parallel: true };

const piece = (text: string, more: Partial<Piece> = {}): Piece => ({
  choice: 0,
  firstToken: 0,
  tokens: [1],
  text,
  logprobs: null,
  finish: null,
  ...more,
});

const logged = (text: string, logprob = -0.5): TokenLogprob => {
  const chance = { token: 1, text, bytes: [...Buffer.from(text)], logprob };
  return { ...chance, top: [{ ...chance, text: "other", logprob: -Infinity }] };
};

const options = (tools: GivenTools | null = null, includeUsage = false) => ({
  tools,
  includeUsage,
});

interface Delta {
  readonly content?: string;
  readonly tool_calls?: readonly object[];
}
interface Chunk {
  readonly choices: readonly { index: number; delta: Delta; finish_reason: string | null; logprobs: object | null }[];
  readonly usage?: object | null;
}

function chunksOf(pieces: readonly Piece[], tools: GivenTools | null, includeUsage = false): Chunk[] {
  const chunks = new ChatChunks(() => head, options(tools, includeUsage));
  return [...pieces.flatMap((its) => chunks.add(its)), ...chunks.end(usage)] as Chunk[];
}

test("a chat answer has its choices in order, whatever order their pieces came in", () => {
  const pieces = [piece("b", { choice: 1, finish: "LENGTH" }), piece("a"), piece("!", { finish: "STOP" })];
  expect(chatAnswer(head, pieces, usage, options())).toEqual({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 7,
    model: "m",
    system_fingerprint: "fp_1",
    choices: [
      { index: 0, message: { role: "assistant", content: "a!", refusal: null }, logprobs: null, finish_reason: "stop" },
      {
        index: 1,
        message: { role: "assistant", content: "b", refusal: null },
        logprobs: null,
        finish_reason: "length",
      },
    ],
    usage: {
      prompt_tokens: 3,
      completion_tokens: 4,
      total_tokens: 7,
      prompt_tokens_details: { cached_tokens: 2 },
    },
  });
});

test("chunks: the role first, an end with its reason, and usage if it is wanted", () => {
  const chunks = chunksOf([piece("a"), piece(""), piece("b", { finish: "END" })], null, true);
  expect(chunks.map(({ choices }) => choices.map(({ delta, finish_reason }) => [delta, finish_reason]))).toEqual([
    [[{ role: "assistant", content: "", refusal: null }, null]],
    [[{ content: "a" }, null]],
    [[{ content: "b" }, null]],
    [[{}, "stop"]],
    [],
  ]);
  expect(chunks.map((chunk) => chunk.usage === null)).toEqual([true, true, true, true, false]);
});

test("log-probabilities of a token with no chance are a number, as JSON needs", () => {
  const pieces = [piece("é", { logprobs: [logged("é")], finish: "END" })];
  const { choices } = chatAnswer(head, pieces, usage, options());
  expect(JSON.parse(JSON.stringify(choices[0]?.logprobs))).toEqual({
    content: [
      {
        token: "é",
        logprob: -0.5,
        bytes: [195, 169],
        top_logprobs: [{ token: "other", logprob: -9999, bytes: [195, 169] }],
      },
    ],
    refusal: null,
  });
});

test("special tokens before a prompt take no place in the text", () => {
  const echo = { text: "ab", tokens: [{ text: "</s>", logprob: null }, logged("a"), logged("b")] };
  const pieces = [piece("c", { logprobs: [logged("c")], finish: "END" })];
  const offsets = [0, 0, 1, 2];
  expect(completionAnswer(head, pieces, usage, () => echo).choices[0]?.logprobs?.text_offset).toEqual(offsets);
  const chunks = new CompletionChunks(
    () => head,
    false,
    () => echo,
  );
  expect(chunks.add(piece("c", { logprobs: [logged("c")] }))).toMatchObject([
    { choices: [{ text: "abc", logprobs: { text_offset: offsets } }] },
  ]);
  expect(chunks.add(piece("d", { logprobs: [logged("d")] }))).toMatchObject([
    { choices: [{ logprobs: { text_offset: [3] } }] },
  ]);
});

test("a completion says where its tokens are in the text, after the prompt that it echoes", () => {
  const echo = { text: "ab", tokens: [{ text: "a", logprob: null }, logged("b")] };
  const pieces = [piece("c", { logprobs: [logged("c")] }), piece("d", { logprobs: [logged("d")], finish: "LENGTH" })];
  const [choice] = completionAnswer(head, pieces, usage, () => echo).choices;
  expect(choice).toMatchObject({ text: "abcd", finish_reason: "length" });
  expect(choice?.logprobs).toMatchObject({
    tokens: ["a", "b", "c", "d"],
    token_logprobs: [null, -0.5, -0.5, -0.5],
    text_offset: [0, 1, 2, 3],
  });
  const chunks = new CompletionChunks(
    () => head,
    false,
    () => echo,
  );
  const parts = pieces.flatMap((its) => chunks.add(its)) as { choices: (typeof choice)[] }[];
  expect(parts.map(({ choices: [part] }) => [part?.text, part?.logprobs?.text_offset])).toEqual([
    ["abc", [0, 1, 2]],
    ["d", [3]],
  ]);
});

const called = '{"name": "weather", "arguments": {"city": "Bern"}}';
const call = { name: "weather", arguments: '{"city":"Bern"}' };

test.each([
  ["Hermes and Qwen", `<tool_call>\n${called}\n</tool_call>`, "", [call]],
  [
    "several, with words before",
    `Look:\n<tool_call>${called}</tool_call>\n<tool_call>${called}</tool_call>`,
    "Look:",
    [call, call],
  ],
  ["one that the model did not close", `<tool_call>${called}`, "", [call]],
  ["Mistral", `[TOOL_CALLS] [${called}]`, "", [call]],
  ["Mistral without its special token", ` [${called}]`, "", [call]],
  [
    "arguments as text",
    '<tool_call>{"name": "weather", "arguments": "{}"}</tool_call>',
    "",
    [{ name: "weather", arguments: "{}" }],
  ],
  ["no JSON", "<tool_call>rain</tool_call>", "<tool_call>rain</tool_call>", []],
  ["another tool", '<tool_call>{"name": "other"}</tool_call>', '<tool_call>{"name": "other"}</tool_call>', []],
  ["a list that calls nothing", "[1, 2]", "[1, 2]", []],
  ["what only begins like a call", "a <tool", "a <tool", []],
  ["text", " two  words \n", " two  words \n", []],
])("calls of tools: %s", (_, text, content, calls) => {
  const whole = new ToolReader(["weather"], true);
  const before = whole.add(text);
  const end = whole.end();
  expect({ content: before + end.content, calls: end.calls }).toEqual({ content, calls });
  // However the text is cut.
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 4 }), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
      const reader = new ToolReader(["weather"], true);
      const sent = places.slice(1).map((at, index) => reader.add(text.slice(places[index], at)));
      const last = reader.end();
      expect({ content: sent.join("") + last.content, calls: last.calls }).toEqual({ content, calls });
    }),
    { numRuns: 20 },
  );
});

test("a call is an own delta and the reason for the end; without parallel calls there is one", () => {
  const text = `<tool_call>${called}</tool_call><tool_call>${called}</tool_call>`;
  const pieces = [piece(text.slice(0, 30)), piece(text.slice(30), { finish: "END" })];
  const deltas = chunksOf(pieces, { ...weather, parallel: false }).flatMap(({ choices }) => choices);
  expect(deltas.map(({ delta }) => delta).slice(1)).toEqual([
    {
      tool_calls: [
        { index: 0, id: expect.stringMatching(/^call_[0-9a-f]{24}$/u) as unknown, type: "function", function: call },
      ],
    },
    {},
  ]);
  expect(deltas.at(-1)?.finish_reason).toBe("tool_calls");
  const { choices } = chatAnswer(head, pieces, usage, options(weather));
  expect(choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } });
  expect(choices[0]?.message.tool_calls).toHaveLength(2);
});
