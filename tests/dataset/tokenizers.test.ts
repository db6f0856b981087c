import { readFileSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { golden, scratch } from "../support/models.ts";

/** What transformers computes with a tokenizer (tests/golden/README.md). */
interface Expected {
  special_ids: Record<string, number>;
  encodings: {
    text: string;
    ids: number[];
    ids_with_special: number[];
    decoded_skip_special: string;
  }[];
}

/** Special tokens that a kind adds after a whole sequence; text that may continue has none. */
const endings: Record<string, number> = { "bytelevel-roberta": 1 };

describe.each(readdirSync(golden("tokenizers")))("the tokenizer %s", async (kind) => {
  const path = golden("tokenizers", kind);
  const tokenizer = await loadTokenizer(path);
  const { encodings, special_ids } = JSON.parse(readFileSync(`${path}/expected.json`, "utf8")) as Expected;
  const ending = endings[kind] ?? 0;

  test.each(encodings)("encodes and decodes $text like transformers", (expected) => {
    expect(tokenizer.encodeMore(expected.text)).toStrictEqual(expected.ids);
    const whole = expected.ids_with_special;
    expect(tokenizer.encodeStart(expected.text)).toStrictEqual(whole.slice(0, whole.length - ending));
    if (ending > 0) expect(whole.slice(-ending)).toStrictEqual([special_ids["eos_token"]]);
    expect(tokenizer.decode(expected.ids)).toBe(expected.decoded_skip_special);
  });
});

test("bytes that are no UTF-8 are decoded as transformers does, one by one", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers", "spm-llama"));
  const decoded = [
    [229, 133],
    [198, 172, 258],
    [198, 172],
    [242, 190, 194, 68],
    [258, 724, 123],
  ].map((ids) => tokenizer.decode(ids));
  expect(decoded).toStrictEqual(["\ufffd\ufffd", "\ufffd\ufffd\ufffd", "\u00e9", "\ufeffA", "\ufffd x"]);
});

test("a folder without tokenizer.json is reported", async () => {
  await expect(loadTokenizer(await scratch())).rejects.toMatchObject({
    code: "MODEL_INVALID",
    message: expect.stringContaining("tokenizer.json") as unknown,
  });
});

test.each(["bytelevel-gpt2", "bytelevel-roberta"])("%s splits at white space as Unicode has it", async (kind) => {
  const { encodings } = JSON.parse(readFileSync(golden("tokenizers", kind, "spaces.json"), "utf8")) as {
    encodings: { text: string; ids: number[] }[];
  };
  const tokenizer = await loadTokenizer(golden("tokenizers", kind));
  for (const { text, ids } of encodings) expect({ text, ids: tokenizer.encodeMore(text) }).toStrictEqual({ text, ids });
});

test("a tokenizer.json that cannot be used is named, with the reason", async () => {
  const folder = await scratch();
  await writeFile(join(folder, "tokenizer.json"), '{"model": {"type": "Morse"}}');
  await expect(loadTokenizer(folder)).rejects.toMatchObject({
    code: "MODEL_INVALID",
    message: /tokenizer\.json cannot be used: /u,
  });
});
