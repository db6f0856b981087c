/** Reading requests of the OpenAI protocol: every field of schema/openai.ts is used, ignored or refused as it says. */
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { packagePath } from "../../../schema/package.ts";
import { openaiFields, type OpenAIRequest } from "../../../schema/openai.ts";
import { readChatRequest } from "../../../server/openai/chat-request.ts";
import { readCompletionRequest } from "../../../server/openai/completion-request.ts";
import { errorAnswer } from "../../../server/openai/errors.ts";

const user = { role: "user", content: "Hello" };
const whole = { chat: { model: "m", messages: [user] }, text: { model: "m", prompt: "Hello" } } as const;
const tool = { type: "function", function: { name: "look", parameters: { type: "object" } } };

function read(request: OpenAIRequest, more: object = {}) {
  const body = Buffer.from(JSON.stringify({ ...whole[request], ...more }));
  return request === "chat" ? readChatRequest(body) : readCompletionRequest(body);
}

/** The answer to a request that is refused. */
function refusal(request: OpenAIRequest, more: object = {}, raw?: string | Uint8Array) {
  try {
    if (raw === undefined) read(request, more);
    else if (request === "chat") readChatRequest(Buffer.from(raw));
    else readCompletionRequest(Buffer.from(raw));
  } catch (error) {
    const { status, body } = errorAnswer(error, pino({ level: "silent" }));
    return { status, ...body.error };
  }
  throw new Error(`accepted: ${JSON.stringify(more)}`);
}

/** A value of each field that is accepted, and one that is not. */
const samples: Readonly<Record<string, { good: unknown; bad: unknown; with?: object; only?: OpenAIRequest }>> = {
  model: { good: "sst2", bad: 7 },
  messages: { good: [user], bad: "Hello" },
  prompt: { good: [1, 2], bad: [] },
  max_tokens: { good: 5, bad: 0 },
  max_completion_tokens: { good: 5, bad: 1.5 },
  temperature: { good: 0, bad: 2.1 },
  top_p: { good: 0.5, bad: 0 },
  n: { good: 8, bad: 9 },
  seed: { good: -1, bad: 2 ** 60 },
  stop: { good: ["a", "b"], bad: ["a", "b", "c", "d", "e"] },
  presence_penalty: { good: -2, bad: 3 },
  frequency_penalty: { good: 2, bad: -3 },
  logit_bias: { good: { 5: -100 }, bad: { x: 1 } },
  top_logprobs: { good: 20, bad: 21, with: { logprobs: true } },
  echo: { good: true, bad: "yes" },
  stream: { good: true, bad: 1 },
  stream_options: { good: { include_usage: true }, bad: { include_all: true }, with: { stream: true } },
  tools: { good: [tool], bad: [{ type: "retrieval" }] },
  tool_choice: { good: "none", bad: "required" },
  parallel_tool_calls: { good: false, bad: "no" },
  response_format: { good: { type: "text" }, bad: { type: "json_object" } },
  store: { good: true, bad: "yes" },
  top_k: { good: 40, bad: 0 },
  min_p: { good: 0.1, bad: 1.1 },
  repetition_penalty: { good: 1.1, bad: 0 },
  user: { good: "u", bad: 1 },
  metadata: { good: { a: "b" }, bad: { a: 1 } },
  safety_identifier: { good: "u", bad: 1 },
  prompt_cache_key: { good: "k", bad: 1 },
  prompt_cache_retention: { good: "24h", bad: 1 },
  service_tier: { good: "auto", bad: "priority" },
  modalities: { good: ["text"], bad: ["text", "audio"] },
  best_of: { good: 1, bad: 3 },
};

const fields = Object.entries(openaiFields).flatMap(([name, { in: requests, use }]) =>
  requests.map((request) => ({ name, request, use })),
);

describe("every field of the table", () => {
  test.each(fields)("$request: $name is $use", ({ name, request, use }) => {
    if (use === "refused") {
      const { status, param, code, message } = refusal(request, { [name]: { a: "value" } });
      expect({ status, param, code }).toEqual({ status: 400, param: name, code: "unsupported_parameter" });
      expect(message).toContain(`'${name}'. ${openaiFields[name]?.says ?? ""}`);
      return;
    }
    if (name === "logprobs") return;
    const sample = samples[name];
    if (!sample) throw new Error(`no sample of ${name}`);
    read(request, { ...sample.with, [name]: sample.good });
    const { status, param, code } = refusal(request, { ...sample.with, [name]: sample.bad });
    expect({ status, field: param?.split(/[.[]/u)[0] }).toEqual({ status: 400, field: name });
    expect(code).toMatch(/^(?:invalid_value|unknown_parameter)$/u);
  });

  test.each(fields.filter(({ use, name }) => use !== "used" || !["model", "messages", "prompt"].includes(name)))(
    "$request: $name may be null, which is as if left out",
    ({ name, request }) => expect(read(request, { [name]: null })).toEqual(read(request)),
  );

  test.each(["messages", "prompt", "model"])("%s has to be there", (name) => {
    const request = name === "prompt" ? "text" : "chat";
    expect(refusal(request, { [name]: undefined })).toMatchObject({ status: 400, param: name });
  });
});

test("docs/SERVING.md shows the table", () => {
  const rows = readFileSync(packagePath("docs/SERVING.md"), "utf8")
    .split("\n")
    .flatMap((line) => (line.startsWith("| `") ? [line.split(/ *\| */u).slice(1, -1)] : []));
  const shown = rows.filter(([, , use]) => ["used", "ignored", "refused"].includes(use ?? ""));
  const names = { chat: "chat", text: "completions" };
  expect(shown).toEqual(
    Object.entries(openaiFields).map(
      ([
        name,
        {
          in: [first = "chat", ...more],
          use,
          says,
        },
      ]) => [`\`${name}\``, more.length > 0 ? "both" : names[first], use, says],
    ),
  );
});

describe("what the table cannot say", () => {
  test.each([
    ["chat", { max_token: 5 }, "max_token", "Unknown parameter: 'max_token'."],
    ["chat", { prompt: "x" }, "prompt", "It is a field of completions."],
    ["text", { messages: [user] }, "messages", "It is a field of chat completions."],
    ["chat", { constructor: 1 }, "constructor", "Unknown parameter"],
    ["chat", { max_tokens: 5, max_completion_tokens: 6 }, "max_tokens", "is 5, but max_completion_tokens"],
    ["chat", { top_logprobs: 3 }, "top_logprobs", "needs logprobs"],
    ["chat", { stream_options: {} }, "stream_options", "needs stream"],
    ["chat", { logprobs: 3 }, "logprobs", "expected boolean"],
    ["text", { logprobs: true }, "logprobs", "expected number"],
    ["text", { logprobs: 6 }, "logprobs", "<=5"],
    ["text", { max_tokens: 0 }, "max_tokens", "at least 1, unless echo and logprobs"],
    ["text", { prompt: ["a", ""] }, "prompt[1]", ">=1 characters"],
    ["text", { prompt: ["a", [1]] }, "prompt", "a list of up to 64 of either"],
    ["chat", { stop: "" }, "stop", "1 to 64 characters"],
    ["chat", { stop: "\ud800" }, "stop", "1 to 64 characters"],
    ["chat", { tool_choice: { type: "function", function: { name: "look" } } }, "tool_choice", "cannot be forced"],
    ["chat", { response_format: { type: "json_schema", json_schema: {} } }, "response_format.type", "not constrained"],
  ] as const)("%s %j", (request, more, param, said) => {
    const answer = refusal(request, more);
    expect(answer).toMatchObject({ status: 400, param, type: "invalid_request_error" });
    expect(answer.message).toContain(said);
  });

  test.each([
    [[{ role: "robot", content: "x" }], "messages[0].role"],
    [[{ role: "user", content: [{ type: "image_url", image_url: {} }] }], "messages[0].content[0].type"],
    [[{ role: "user", content: [{ type: "text", text: "x", cache: 1 }] }], "messages[0].content[0].cache"],
    [[{ role: "user", content: [{ type: "text" }] }], "messages[0].content[0].text"],
    [[user, { role: "user" }], "messages[1].content"],
    [[{ role: "user", content: "x", weight: 1 }], "messages[0].weight"],
    [[{ role: "user", content: "\ud800" }], "messages[0].content"],
    [[{ role: "user", content: "x", tool_calls: [{ id: "a", ...callOf("{}") }] }], "messages[0].tool_calls"],
    [
      [{ role: "assistant", tool_calls: [{ id: "a", ...callOf("[]") }] }],
      "messages[0].tool_calls[0].function.arguments",
    ],
    [[{ role: "tool", content: "x" }], "messages[0].tool_call_id"],
    [[], "messages"],
  ])("messages %j", (messages, param) => {
    expect(refusal("chat", { messages })).toMatchObject({ status: 400, param });
  });

  test.each([
    ["{", "not valid JSON"],
    ["[]", "must be a JSON object"],
    [Uint8Array.of(0x22, 0xff, 0x22), "not valid JSON in UTF-8"],
  ])("the body %s", (raw, said) => {
    const answer = refusal("chat", {}, raw);
    expect(answer).toMatchObject({ status: 400, code: "invalid_json", param: null });
    expect(answer.message).toContain(said);
  });
});

test("an answer that a client sends back is read as it was given, with arguments as an object", () => {
  const answered = {
    role: "assistant",
    content: null,
    refusal: null,
    annotations: [],
    parsed: null,
    tool_calls: [{ id: "a", index: 0, ...callOf('{"b":1}') }],
  };
  const { messages } = readChatRequest(Buffer.from(JSON.stringify({ ...whole.chat, messages: [user, answered] })));
  expect(messages[1]).toEqual({
    role: "assistant",
    content: "",
    tool_calls: [{ id: "a", type: "function", function: { name: "look", arguments: { b: 1 } } }],
  });
});

test("defaults, and a seed below 0", () => {
  expect(read("chat")).toMatchObject({ maxTokens: null, n: 1, seed: null, logprobs: null, store: false, tools: null });
  expect(read("text")).toMatchObject({ maxTokens: 16, prompts: ["Hello"], echo: false });
  expect(read("chat", { seed: -1 }).seed).toBe(2 ** 53 - 1);
  expect(read("chat", { tools: [tool], tool_choice: "none" })).toMatchObject({ tools: null });
  expect(read("text", { prompt: [[1], [2, 3]] })).toMatchObject({ prompts: [[1], [2, 3]] });
});

function callOf(args: string) {
  return { type: "function", function: { name: "look", arguments: args } };
}
