/** Prompts to tokens: what a model reads, and what is refused, by the request's field. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { askTokens, type Prompt, type Question } from "../../dataset/ask.ts";
import type { Message } from "../../dataset/message.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { golden, scratch } from "../support/models.ts";

const { cases } = JSON.parse(readFileSync(golden("chat-templates.json"), "utf8")) as {
  cases: { tokenizer: string; name: string; template: string; messages: Message[]; text?: string; error?: string }[];
};
const chatml = cases.find(({ name }) => name === "chatml")?.template ?? "";
const strict = cases.find(({ error }) => error !== undefined);

let folder = "";
beforeEach(async () => {
  folder = await modelWith(chatml);
});

/** A model folder without weights. */
async function modelWith(template: string | null, config: object = { vocab_size: 1_000_000 }): Promise<string> {
  const made = join(await scratch(), "model");
  await cp(golden("tokenizers", "bytelevel-qwen2"), made, { recursive: true });
  const path = join(made, "tokenizer_config.json");
  const known = JSON.parse(await readFile(path, "utf8")) as object;
  await writeFile(path, JSON.stringify({ ...known, chat_template: template ?? undefined }));
  await writeFile(join(made, "config.json"), JSON.stringify(config));
  return made;
}

const silent = { begin: () => {}, progress: () => {} };

function ask(asked: Prompt, more: Partial<Question> = {}) {
  const question = {
    folder,
    model: "m",
    tokenizerKey: more.folder ?? folder,
    words: [],
    room: 1_000,
    named: [],
    texts: false,
  };
  return askTokens({ ...question, prompts: [{ field: "prompt", asked }], ...more }, silent);
}

const hello: Message = { role: "user", content: "Hello" };

test("a text, tokens, and a conversation that ends where the assistant begins", async () => {
  const tokenizer = await loadTokenizer(folder);
  expect((await ask({ text: "Hello" })).prompts).toEqual([tokenizer.encodeStart("Hello")]);
  expect((await ask({ tokens: [7, 8] })).prompts).toEqual([[7, 8]]);
  const { prompts } = await ask({ messages: [hello], tools: null });
  const asked = tokenizer.chat?.ask({ messages: [hello] }) ?? "";
  expect(asked).toBe(`${tokenizer.chat?.write({ messages: [hello] })}<|im_start|>assistant\n`);
  expect(prompts).toEqual([tokenizer.encodeMore(asked)]);
});

test("words are tokenised as what comes after a prompt, and texts of tokens join to the prompt", async () => {
  const tokenizer = await loadTokenizer(folder);
  const words = [" good", "é"].map((asked, index) => ({ field: `labels.${index}`, asked }));
  const answer = await ask({ text: "It was a wonder" }, { words, texts: true });
  expect(answer.words).toEqual(words.map(({ asked }) => tokenizer.encodeMore(asked)));
  expect(answer.texts?.[0]?.join("")).toBe("It was a wonder");
});

test("a text that is far too long is not tokenised whole", async () => {
  const { prompts } = await ask({ text: "wonder ".repeat(200_000) }, { room: 10 });
  expect(prompts).toEqual([null]);
});

const tool = { type: "function", function: { name: "look" } };

test.each<[string, Prompt, Partial<Question>, string, string | null, string]>([
  ["an empty text", { text: "" }, {}, "INVALID_ARGUMENT", "prompt", "has no tokens"],
  ["half a character", { text: "\ud800" }, {}, "INVALID_ARGUMENT", "prompt", "surrogate"],
  ["a token outside the vocabulary", { tokens: [1_000_000] }, {}, "INVALID_ARGUMENT", "prompt", "tokens 0 to 999999"],
  [
    "another named token outside it",
    { tokens: [1] },
    { named: [{ field: "logitBias", asked: [2_000_000] }] },
    "INVALID_ARGUMENT",
    "logitBias",
    "2000000",
  ],
  [
    "an empty label",
    { text: "a" },
    { words: [{ field: "labels.0", asked: "" }] },
    "INVALID_ARGUMENT",
    "labels.0",
    "has no tokens",
  ],
  [
    "tools that the template does not write",
    { messages: [hello], tools: [tool] },
    {},
    "MODEL_UNSUPPORTED",
    "tools",
    "does not write tools",
  ],
  [
    "calls that the template does not write",
    { messages: [hello, { role: "assistant", content: "", tool_calls: [tool] }], tools: null },
    {},
    "INVALID_ARGUMENT",
    "messages.1.tool_calls",
    "does not write calls",
  ],
])("refuses %s", async (_, asked, more, code, field, said) => {
  const refusal = ask(asked, more);
  await expect(refusal).rejects.toMatchObject({ code, message: expect.stringContaining(said) as unknown });
  await expect(refusal).rejects.toMatchObject({ issues: [{ field }] });
});

test("refuses messages that the template refuses, and messages without a template", async () => {
  if (!strict) throw new Error("no case is refused");
  const refusing = await modelWith(strict.template);
  await expect(ask({ messages: strict.messages, tools: null }, { folder: refusing })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining(strict.error ?? "") as unknown,
    issues: [{ field: "prompt" }],
  });
  const bare = await modelWith(null);
  await expect(ask({ messages: [hello], tools: null }, { folder: bare })).rejects.toMatchObject({
    code: "MODEL_UNSUPPORTED",
    issues: [{ field: "prompt" }],
  });
});

test("a model without a tokenizer takes tokens", async () => {
  const bare = await scratch();
  expect((await ask({ tokens: [5] }, { folder: bare })).prompts).toEqual([[5]]);
  await expect(ask({ text: "a" }, { folder: bare })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("Give tokens") as unknown,
  });
});
