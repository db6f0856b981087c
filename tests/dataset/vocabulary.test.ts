/** Folders with vocab.json and merges.txt alone: their tokenizers are those that transformers builds. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadOptionalTokenizer, loadTokenizer } from "../../dataset/tokenizer.ts";
import { tokenizerOfVocabulary } from "../../dataset/vocabulary.ts";
import { golden, scratch } from "../support/models.ts";

interface Case {
  readonly files: Record<string, unknown>;
  readonly tokenizer: { readonly model: object };
  readonly ids: number[][];
}

const known = JSON.parse(readFileSync(golden("vocabularies.json"), "utf8")) as {
  vocabulary: Record<string, number>;
  merges: string[];
  texts: string[];
  cases: Record<string, Case>;
};

async function folderOf(files: Record<string, unknown>): Promise<string> {
  const folder = await scratch();
  await writeFile(join(folder, "vocab.json"), JSON.stringify(known.vocabulary));
  await writeFile(join(folder, "merges.txt"), ["#version: 0.2", ...known.merges, ""].join("\n"));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

describe.each(Object.entries(known.cases))("%s", (_, { files, tokenizer, ids }) => {
  test("is the tokenizer of transformers", async () => {
    const merges = known.merges.map((merge) => merge.split(" "));
    const built = await tokenizerOfVocabulary(await folderOf(files));
    expect(built?.tokenizer).toStrictEqual({
      ...tokenizer,
      model: { ...tokenizer.model, vocab: known.vocabulary, merges },
    });
  });

  test("has its tokens", async () => {
    const loaded = await loadTokenizer(await folderOf(files));
    expect(known.texts.map((text) => loaded.encodeWhole(text))).toStrictEqual(ids);
    const masks = JSON.stringify(tokenizer).includes("<mask>");
    expect(loaded.mask).toStrictEqual(masks ? { id: known.vocabulary["<mask>"], text: "<mask>" } : null);
  });
});

test("tokenizer.json counts before the vocabulary, and other classes have none", async () => {
  const { files } = known.cases["GPT-2"] ?? { files: {} };
  const other = await folderOf({ ...files, "tokenizer_config.json": { tokenizer_class: "CodeGenTokenizer" } });
  expect(await loadOptionalTokenizer(other)).toBeNull();
  await expect(loadTokenizer(other)).rejects.toMatchObject({ code: "MODEL_INVALID" });
});

test.each<[string, Record<string, unknown>, RegExp]>([
  ["a vocabulary without numbers", { "vocab.json": { a: "b" } }, /vocab\.json is wrong at a/u],
  ["a vocabulary that is not JSON", { "vocab.json": "{" }, /vocab\.json is not JSON/u],
  ["a merge of three", { "merges.txt": "t h e\n" }, /line 1 is not two tokens/u],
  ["a merge of strangers", { "merges.txt": "#version\nt zzz\n" }, /line 2 is not two tokens/u],
  ["a merge of nothing", { "merges.txt": "t h\n\nh e\n" }, /line 2 is not two tokens/u],
])("%s is refused", async (_, files, words) => {
  const { files: gpt2 } = known.cases["GPT-2"] ?? { files: {} };
  const folder = await folderOf({ ...gpt2, ...files });
  const refusal = { code: "MODEL_INVALID", message: expect.stringMatching(words) as unknown };
  await expect(loadTokenizer(folder)).rejects.toMatchObject(refusal);
});
