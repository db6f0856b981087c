import { readFileSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ChatTemplate } from "../../dataset/chat.ts";
import { encodeRow } from "../../dataset/encode.ts";
import { checkRowsFit } from "../../dataset/fit.ts";
import type { Message } from "../../dataset/message.ts";
import { checkDataset, readRows } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { golden, scratch } from "../support/models.ts";

/** Conversations as rendered by transformers' apply_chat_template (tests/golden/README.md). */
interface Case {
  tokenizer: string;
  name: string;
  template: string;
  messages: Message[];
  text?: string;
  ids?: number[];
  error?: string;
}

const { cases } = JSON.parse(readFileSync(golden("chat-templates.json"), "utf8")) as { cases: Case[] };

/** A tokenizer's folder with a chat template in its config, or in a file of its own. */
async function withTemplate(kind: string, template: unknown, file?: string): Promise<Tokenizer> {
  const folder = join(await scratch(), "model");
  await cp(golden("tokenizers", kind), folder, { recursive: true });
  if (file === undefined) {
    const path = join(folder, "tokenizer_config.json");
    const config = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...config, chat_template: template }));
  } else {
    await writeFile(join(folder, file), typeof template === "string" ? template : JSON.stringify(template));
  }
  return loadTokenizer(folder);
}

describe.each(cases)("$tokenizer, $name", ({ tokenizer: kind, name, template, messages, text, ids, error }) => {
  test("is written, tokenised or refused as transformers does", async () => {
    const tokenizer = await withTemplate(kind, template);
    if (error !== undefined) {
      expect(() => encodeRow(tokenizer, { messages })).toThrow(
        expect.objectContaining({
          code: "DATASET_INVALID",
          message: expect.stringContaining(error) as unknown,
        }) as Error,
      );
      return;
    }
    expect(tokenizer.chat?.write({ messages })).toBe(text);
    const encoded = encodeRow(tokenizer, { messages });
    expect([...encoded.ids]).toStrictEqual(ids);
    const said = messages
      .filter(({ role }) => role === "assistant")
      .map(({ content }) => (typeof content === "string" ? content : ""));
    const scored = [...encoded.targets];
    const plain = scored.filter((id) => !tokenizer.isSpecial(id));
    const trims = name === "headers" || name === "model turns";
    const turns = said.map((content) => (trims ? content.trim() : content));
    // Only the special tokens of the first two families are whole tokens here; and a border is shared in SentencePiece.
    if (kind === "bytelevel-qwen2") expect(tokenizer.decode(plain)).toBe(turns.join(""));
    else for (const turn of turns) expect(tokenizer.decode(plain)).toContain(turn.trim());
    const ends = scored.filter((id) => tokenizer.isSpecial(id));
    const ended = { "bytelevel-qwen2": said.length, "bytelevel-llama3": said.length }[kind];
    if (ended !== undefined) expect(ends).toHaveLength(ended);
  });
});

const chatml = cases.find(({ name }) => name === "chatml")?.template ?? "";
const talk: Message[] = [
  { role: "user", content: "Hello" },
  { role: "assistant", content: "Hi!" },
  { role: "user", content: "And?" },
  { role: "assistant", content: "Hi!" },
];

describe("a conversation", () => {
  const scoredBy = (tokenizer: Tokenizer, messages: Message[]) => {
    const { ids, positions, targets } = encodeRow(tokenizer, { messages });
    expect([...targets]).toStrictEqual(Array.from(positions, (at) => ids[at + 1]));
    return tokenizer.decode([...targets]);
  };

  test("is scored where the assistant speaks, unless a turn has no weight", async () => {
    const tokenizer = await withTemplate("bytelevel-qwen2", chatml);
    expect(scoredBy(tokenizer, talk)).toBe("Hi!Hi!");
    const weighed = talk.map((message, i) => (i === 1 ? { ...message, weight: 0 } : message));
    expect(scoredBy(tokenizer, weighed)).toBe("Hi!");
    const { positions } = encodeRow(tokenizer, { messages: weighed });
    const all = encodeRow(tokenizer, { messages: talk }).positions;
    expect([...positions]).toStrictEqual([...all].slice(all.length / 2));
  });

  test.each([
    [
      "a named list",
      [
        { name: "tool_use", template: "no" },
        { name: "default", template: chatml },
      ],
      undefined,
    ],
    ["chat_template.jinja", chatml, "chat_template.jinja"],
    ["chat_template.json", { chat_template: chatml }, "chat_template.json"],
  ])("can have its template in %s", async (_, template, file) => {
    expect(scoredBy(await withTemplate("bytelevel-qwen2", template, file), talk)).toBe("Hi!Hi!");
  });

  test("needs a template", async () => {
    const tokenizer = await loadTokenizer(golden("tokenizers/bytelevel-qwen2"));
    expect(() => encodeRow(tokenizer, { messages: talk })).toThrow(/no chat template\. Add its chat_template/u);
    expect(() => new ChatTemplate("{% if %}", {})).toThrow(expect.objectContaining({ code: "MODEL_INVALID" }) as Error);
  });

  test("is refused where a turn changes the others", async () => {
    const shouting = "{% for m in messages %}{{ messages[1].content | length }}{{ m.content }}{% endfor %}";
    const tokenizer = await withTemplate("bytelevel-qwen2", `${shouting}{{ messages[1].content }}`);
    expect(() => encodeRow(tokenizer, { messages: talk })).toThrow(
      expect.objectContaining({ code: "MODEL_UNSUPPORTED" }) as Error,
    );
  });

  test("that the template refuses is reported with its line, with other issues", async () => {
    const template = cases.find(({ name }) => name === "model turns")?.template ?? "";
    const tokenizer = await withTemplate("spm-gemma", template);
    const lines = [talk, talk.slice(1), talk].map((messages) => JSON.stringify({ messages })).join("\n");
    const fits = checkRowsFit({
      tokenizer,
      bounds: { contextLength: 999 },
      labelWords: [],
      rows: readRows(chunks(lines)),
    });
    await expect(fits).rejects.toMatchObject({
      code: "DATASET_INVALID",
      issues: [{ line: 2, message: expect.stringContaining("Roles must take turns") as unknown }],
    });
  });

  test("has no label words", async () => {
    const tokenizer = await withTemplate("bytelevel-qwen2", chatml);
    const rows = readRows(chunks(JSON.stringify({ messages: talk })));
    await expect(checkRowsFit({ tokenizer, bounds: { contextLength: 999 }, labelWords: ["a"], rows })).rejects.toThrow(
      /a conversation/u,
    );
  });
});

async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

describe("a row of messages is refused", () => {
  test.each([
    ["without turns", [], "messages"],
    ["with a role that is none", [{ role: "bot", content: "a" }], "messages.0.role"],
    ["with a content that is no text", [{ role: "user", content: ["a"] }], "messages.0.content"],
    [
      "in which the assistant says nothing",
      [
        { role: "user", content: "a" },
        { role: "assistant", content: "" },
      ],
      "messages",
    ],
    ["whose turns have no weight", [{ role: "assistant", content: "a", weight: 0 }], "messages"],
    ["with a weight between", [{ role: "assistant", content: "a", weight: 0.5 }], "messages.0.weight"],
    ["that is no list", "hello", "messages"],
  ])("%s, with line and field", async (_, messages, field) => {
    const lines = `${JSON.stringify({ messages: talk })}\n${JSON.stringify({ messages })}`;
    await expect(checkDataset(chunks(lines))).rejects.toMatchObject({
      code: "DATASET_INVALID",
      issues: [{ line: 2, field }],
    });
  });
});
