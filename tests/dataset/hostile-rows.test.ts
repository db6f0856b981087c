/** Rows that were never meant to be learned: refused at once, by line and field, in few and short words. */
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { checkRowsFit } from "../../dataset/fit.ts";
import { checkDataset, readRows } from "../../dataset/jsonl.ts";
import { prepare } from "../../dataset/prepare.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { limits } from "../../schema/limits.ts";
import { SteplogError } from "../../schema/errors.ts";
import { golden } from "../support/models.ts";

const good = '{"prompt":"a","completion":" b"}';
const many = (count: number, text: string) => `[${Array.from({ length: count }, () => text).join(",")}]`;

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function refusal(attempt: Promise<unknown>): Promise<SteplogError> {
  const error: unknown = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof SteplogError) return error;
  throw new Error(`expected a refusal, saw ${String(error)}`);
}

describe("refused at once, in few words, with line and field:", () => {
  const longWord = "x".repeat(4_000_000);
  test.each([
    ["300,000 turns", `{"messages":${many(300_000, "{}")}}`, "messages", /has 300000 turns; the limit is 2048/u],
    ["turns that are all wrong", `{"messages":${many(2_000, "{}")}}`, "messages.0.role", /must be one of system/u],
    [
      "300,000 candidates",
      `{"prompt":"a","completion":"b","candidates":${many(300_000, "1")}}`,
      "candidates",
      /texts/u,
    ],
    ["300,000 answers", `{"prompt":"a","completion":"b","answers":${many(300_000, '"b"')}}`, "answers", /texts/u],
    ["a million wrong ids", `{"input_ids":${many(1_000_000, '""')},"labels":[1]}`, "input_ids.0", /whole number/u],
    ["a million wrong labels", `{"input_ids":[1],"labels":${many(1_000_000, "0.5")}}`, "labels.0", /whole number/u],
    ["an id of 64 bits", '{"input_ids":[1,4294967297],"labels":[1,1]}', "input_ids.1", /to 2147483647/u],
    ["a prompt of one word", `{"prompt":"${longWord}","completion":"b"}`, "prompt", /a word of 4000000 characters/u],
    [
      "a turn of one word",
      `{"messages":[{"role":"user","content":"${longWord}"}]}`,
      "messages.0.content",
      /a word of/u,
    ],
    ["half a pair in a prompt", String.raw`{"prompt":"\ud83c","completion":"b"}`, "prompt", /surrogate/u],
    ["half a pair in a completion", String.raw`{"prompt":"a","completion":"\udf75b"}`, "completion", /surrogate/u],
    [
      "half a pair in a candidate",
      String.raw`{"prompt":"a","completion":"b","candidates":["b","\ud83c"]}`,
      "candidates.1",
      /surrogate/u,
    ],
    [
      "half a pair in a turn",
      String.raw`{"messages":[{"role":"assistant","content":"\udf75\ud83c"}]}`,
      "messages.0.content",
      /surrogate/u,
    ],
    ["a long line that is not JSON", `{"prompt": ${longWord}}`, undefined, /not JSON/u],
  ])("%s", async (_, line, field, words) => {
    for (const check of [checkDataset(bytes(`${good}\n${line}`)), readAll(`${good}\n${line}`)]) {
      const error = await refusal(check);
      expect(error.code).toBe("DATASET_INVALID");
      expect(error.issues[0]).toMatchObject({ line: 2, message: expect.stringMatching(words) as string });
      expect(error.issues[0]?.field).toBe(field);
      expect(error.issues.length).toBeLessThanOrEqual(limits.issuesReported);
      expect(JSON.stringify([error.message, error.issues]).length).toBeLessThan(20_000);
      for (const { message } of error.issues) expect(message.length).toBeLessThan(600);
    }
  });
});

async function readAll(text: string): Promise<void> {
  for await (const _ of readRows(bytes(text)));
}

test("long labels, fields and field names are quoted by their beginnings", async () => {
  const template = { prompt: "{text}", labelField: "label", labels: { a: " a", b: " b" } };
  const long = "long ".repeat(100_000);
  const rows = [{ text: "t", label: long }, { [long]: 1 }, { text: "\ud83c", label: "a" }];
  const numbered = async function* () {
    for (const [index, value] of rows.entries()) yield { line: index + 1, value };
  };
  const all = async () => {
    for await (const _ of prepare(numbered(), { template }));
  };
  const { issues, message } = await refusal(all());
  expect(issues.map(({ line, field }) => [line, field])).toStrictEqual([
    [1, "label"],
    [2, "label"],
    [3, "prompt"],
  ]);
  expect(JSON.stringify([message, issues]).length).toBeLessThan(3_000);
});

test("lines are counted, not their problems", async () => {
  const wrong = '{"prompt":1,"completion":2}';
  expect((await refusal(checkDataset(bytes(wrong)))).message).toMatch(/^1 line cannot be used\. First, line 1: /u);
  expect((await refusal(checkDataset(bytes(`${wrong}\n${good}\n${wrong}`)))).message).toMatch(
    /^2 lines cannot be used\./u,
  );
});

describe("a row far longer than the context", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers/spm-llama"));
  const bounds = { contextLength: 512 };

  test("is refused after tokenising little more than fits", async () => {
    let tokenised = 0;
    const counting = {
      ...tokenizer,
      encodeMore(text: string) {
        tokenised += text.length;
        return tokenizer.encodeMore(text);
      },
    };
    const long = "some words ".repeat(100_000);
    const rows = readRows(bytes(JSON.stringify({ prompt: long, completion: long })));
    const error = await refusal(checkRowsFit({ tokenizer: counting, bounds, labelWords: [], rows }));
    expect(error.issues).toMatchObject([
      { line: 1, message: expect.stringMatching(/more than 512 tokens/u) as string },
    ]);
    expect(error.message).toMatch(/^1 row does not fit the model/u);
    expect(tokenised).toBeLessThan(10_000);
  });

  test("and one that just fits is encoded as without a limit", () => {
    const row = { prompt: `${" ".repeat(20_000)}a`, completion: " b" };
    const { length } = encodeRow(tokenizer, row).ids;
    expect(encodeRow(tokenizer, row, "causal", { room: length })).toStrictEqual(encodeRow(tokenizer, row));
  });
});

test("a sample of many rows or of many classes takes time in proportion to the rows", { timeout: 6_000 }, async () => {
  const size = 20_000;
  const sampleOf = async (completionOf: (index: number) => string) => {
    const rows = async function* () {
      for (let i = 0; i < size; i++) yield { line: i + 1, value: { prompt: `p${i}`, completion: completionOf(i) } };
    };
    let count = 0;
    for await (const _ of prepare(rows(), { perClass: size / 2 })) count += 1;
    return count;
  };
  expect(await sampleOf(() => " a")).toBe(size / 2);
  expect(await sampleOf((index) => (index % 2 === 0 ? " a" : ` b${index}`))).toBe(size);
});
