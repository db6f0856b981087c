import { readFileSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { type Changes, pipelineOf } from "../../dataset/tokenizing/pipeline.ts";
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

test.each(["bytelevel-gpt2", "bytelevel-qwen2", "spm-llama"])(
  "the bytes of %s's tokens are those of the text",
  async (kind) => {
    const tokenizer = await loadTokenizer(golden("tokenizers", kind));
    const text = "na\u00efve \u{1f600}\u{10fffd}";
    const ids = tokenizer.encodeMore(text);
    const bytes = ids.flatMap((id) => tokenizer.bytesOf(id) ?? [...Buffer.from(tokenizer.decode([id]))]);
    expect(Buffer.from(bytes).toString().replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
    expect(ids.some((id) => tokenizer.decode([id]) === "\ufffd" && tokenizer.bytesOf(id) !== null)).toBe(true);
  },
);

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

interface Kinds {
  readonly texts: readonly string[];
  readonly cases: readonly {
    readonly name: string;
    readonly tokenizer: object;
    /** Tokens of each text; with special tokens where the kind is a post-processor. */
    readonly ids?: readonly (readonly number[])[];
    readonly decoded?: readonly [ids: readonly number[], text: string][];
  }[];
}

/** Kinds that the reference knows and that are refused rather than cut otherwise. */
const refused = new Map([
  ["pre-tokenizer UnicodeScripts", /Steplog has no "UnicodeScripts"/u],
  ["pre-tokenizer Split at ligatures", /cannot be translated \(it ignores the case of letters that have ligatures\)/u],
]);

describe("every kind of part of a tokenizer.json", () => {
  const { texts, cases } = JSON.parse(gunzipSync(readFileSync(golden("tokenizer-kinds.json.gz"))).toString()) as Kinds;
  const unchanged: Changes = { tokens: [], splitSpecial: false, prefixSpace: null };

  test.each(cases)("$name cuts and decodes like the reference", ({ name, tokenizer, ids = [], decoded = [] }) => {
    const reason = refused.get(name);
    if (reason) {
      expect(() => pipelineOf(tokenizer, unchanged)).toThrow(reason);
      return;
    }
    const { encode, decode, around } = pipelineOf(tokenizer, unchanged);
    const special = name.startsWith("post-processor ");
    const whole = (text: string) => [...around.before, ...encode(text), ...around.after];
    const found = texts.slice(0, ids.length).map((text) => ({ text, ids: special ? whole(text) : encode(text) }));
    expect(found).toStrictEqual(ids.map((wanted, i) => ({ text: texts[i], ids: wanted })));
    for (const [tokens, text] of decoded) expect(decode(tokens, true)).toBe(text);
  });
});

describe("tokenizer_config.json and its companions", () => {
  const { texts, cases } = JSON.parse(readFileSync(golden("tokenizer-configs.json"), "utf8")) as {
    texts: readonly string[];
    cases: readonly {
      name: string;
      files: Record<string, object>;
      ids: readonly (readonly number[])[];
      decoded: readonly string[];
    }[];
  };

  test.each(cases)("$name: read like transformers does", async ({ files, ids, decoded }) => {
    const folder = await scratch();
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), JSON.stringify(content));
    const tokenizer = await loadTokenizer(folder);
    expect(texts.map((text) => tokenizer.encodeWhole(text))).toStrictEqual(ids);
    expect(ids.map((row) => tokenizer.decode(row))).toStrictEqual(decoded);
  });
});

test("a word of 100,000 characters takes no longer than as many characters in words", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers", "spm-llama"));
  const seconds = (text: string) => {
    const { user } = process.cpuUsage();
    tokenizer.encodeMore(text);
    return (process.cpuUsage().user - user) / 1e6;
  };
  const word = "abcdefghij".repeat(10_000);
  seconds(word); // Compiles.
  // Quadratic time would be thousands of times longer.
  expect(seconds(word)).toBeLessThan(20 * seconds("abcdefghi ".repeat(10_000)) + 1);
});
