/** Rows as a model sees them. */
import { readFileSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseRows } from "../../dataset/jsonl.ts";
import type { PreviewOptions, PreviewRow } from "../../dataset/preview.ts";
import { previewRows } from "../../dataset/preview.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { golden, scratch } from "../support/models.ts";

async function* bytes(lines: readonly (object | string)[]): AsyncGenerator<Uint8Array> {
  yield Buffer.from(lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
}

const preview = (
  tokenizer: Tokenizer | null,
  lines: readonly (object | string)[],
  options: Partial<PreviewOptions> = {},
) =>
  previewRows({
    tokenizer,
    bounds: { contextLength: 64 },
    rows: parseRows(bytes(lines)),
    labelWords: [],
    show: 5,
    count: 100,
    ...options,
  });

const textOf = ({ tokens }: PreviewRow) => tokens.map(({ text }) => text).join("");
const scoredOf = ({ tokens }: PreviewRow) =>
  tokens
    .filter(({ scored }) => scored)
    .map(({ text }) => text)
    .join("");

async function withTemplate(kind: string, template: string): Promise<Tokenizer> {
  const folder = join(await scratch(), "model");
  await cp(golden("tokenizers", kind), folder, { recursive: true });
  const path = join(folder, "tokenizer_config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as object;
  await writeFile(path, JSON.stringify({ ...config, chat_template: template }));
  return loadTokenizer(folder);
}

describe.each(["bytelevel-gpt2", "spm-llama", "bytelevel-qwen2"])("with the tokenizer %s", async (kind) => {
  const tokenizer = await loadTokenizer(golden("tokenizers", kind));

  test("the texts of tokens are the row's text, and the scored ones its completion", async () => {
    const row = { prompt: "The soup was stale.\nIt was", completion: " terrible" };
    const { rows, tokens, counted, refused, notes } = await preview(tokenizer, [row]);
    const [shown] = rows;
    if (!shown) throw new Error("expected a row");
    expect(shown).toMatchObject({ line: 1, text: `${row.prompt}${row.completion}`, issues: [] });
    expect(textOf(shown)).toContain("soup was stale.\nIt was");
    expect(scoredOf(shown).trim()).toBe("terrible");
    // SentencePiece's tokenizer puts a space of its own before the completion.
    const told = kind === "spm-llama" ? [expect.stringMatching(/Write "terrible"\.$/u)] : [];
    expect({ counted, refused, notes }).toStrictEqual({ counted: 1, refused: 0, notes: told });
    const { length, scored } = shown;
    expect(tokens).toStrictEqual({ total: length, scored, min: length, max: length, mean: length });
    expect(shown.tokens).toHaveLength(length);
  });
});

test("refused rows say why, others are counted, and no more are read than asked for", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers/bytelevel-gpt2"));
  const row = (words: number) => ({ prompt: "a ".repeat(words), completion: " b" });
  const lines = ["nonsense", row(100), row(1), { prompt: "a" }, row(4), row(1), row(1)];
  const { rows, ...seen } = await preview(tokenizer, lines, { show: 3, count: 6 });
  expect(rows.map(({ line, length, issues }) => [line, length > 0, issues.length])).toStrictEqual([
    [1, false, 1],
    [2, true, 1],
    [3, true, 0],
  ]);
  expect(seen).toMatchObject({ counted: 6, refused: 3 });
  expect(seen.issues.map(({ line }) => line)).toStrictEqual([1, 2, 4]);
  const { total, min, max, mean } = seen.tokens;
  expect(min).toBeLessThan(max);
  expect(total).toBe(2 * min + max);
  expect(mean).toBeCloseTo(total / 3);
});

test("label words are asked for as in a run", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers/bytelevel-gpt2"));
  const { refused } = await preview(tokenizer, [{ prompt: "a", completion: " b" }], { labelWords: [" c", " d"] });
  expect(refused).toBe(1);
});

test("rows of tokens need no tokenizer, and have numbers instead of texts", async () => {
  const { rows } = await preview(null, [{ input_ids: [5, 6, 7], labels: [-100, 6, 7] }]);
  expect(rows[0]?.text).toBeNull();
  expect(rows[0]?.tokens).toStrictEqual([
    { id: 5, text: null, scored: false, target: null },
    { id: 6, text: null, scored: true, target: null },
    { id: 7, text: null, scored: true, target: null },
  ]);
});

test("a masked model's mask shows the word that belongs there", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers", "bytelevel-roberta"));
  const bounds = { contextLength: 64, kind: "masked" as const };
  const { rows } = await preview(tokenizer, [{ prompt: "the crane was<mask> .", completion: " read" }], { bounds });
  expect(rows[0]?.tokens.filter(({ scored }) => scored)).toMatchObject([{ text: "<mask>", target: " read" }]);
});

describe("a conversation", () => {
  const { cases } = JSON.parse(readFileSync(golden("chat-templates.json"), "utf8")) as {
    cases: { name: string; template: string }[];
  };
  const chatml = cases.find(({ name }) => name === "chatml")?.template ?? "";
  const talk = {
    messages: [
      { role: "user", content: "How was the soup?" },
      { role: "assistant", content: "Stale." },
    ],
  };

  test("is shown as the template writes it, with the end of the turn scored", async () => {
    const { rows, notes } = await preview(await withTemplate("bytelevel-qwen2", chatml), [talk]);
    const [shown] = rows;
    if (!shown) throw new Error("expected a row");
    expect(shown.text).toContain("<|im_start|>assistant\nStale.<|im_end|>");
    expect(textOf(shown)).toBe(shown.text);
    expect(scoredOf(shown)).toBe("Stale.<|im_end|>");
    expect(notes).toStrictEqual([]);
  });

  test("whose turns end without a special token is noted: the model would never learn to stop", async () => {
    const plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}";
    const tokenizer = await withTemplate("bytelevel-qwen2", plain);
    const { notes } = await preview(tokenizer, [talk, { prompt: "a", completion: " b" }]);
    expect(notes).toStrictEqual([expect.stringMatching(/will not learn to stop/u)]);
    expect((await preview(tokenizer, [{ prompt: "a", completion: " b" }])).notes).toStrictEqual([]);
  });
});
