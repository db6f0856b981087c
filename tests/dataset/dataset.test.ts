import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { checkRowsFit } from "../../dataset/fit.ts";
import { checkDataset, readRows } from "../../dataset/jsonl.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { SteplogError } from "../../schema/errors.ts";
import { golden } from "../support/models.ts";

const good = '{"prompt":"a","completion":" b"}';

async function* chunks(text: string | Uint8Array, size = 7): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function refusal(attempt: Promise<unknown>): Promise<SteplogError> {
  const error: unknown = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof SteplogError) return error;
  throw new Error(`expected a refusal, saw ${String(error)}`);
}

describe("a dataset is refused, naming line and reason,", () => {
  test.each([
    ["not JSON", `${good}\n{"prompt": oops}\n`, 2, /not JSON/u],
    ["a field missing", `${good}\n\n{"prompt":"x"}\n`, 3, /"completion" is missing/u],
    ["a wrong type", '{"prompt":1,"completion":"b"}', 1, /"prompt"/u],
    ["an empty completion", '{"prompt":"a","completion":""}', 1, /"completion": is empty/u],
    ["not an object", `${good}\n[1,2]`, 2, /not a JSON object/u],
    ["one array", "[1,2]", 1, /one JSON array, and a line must hold one row/u],
    ["labels of another length", '{"input_ids":[1,2],"labels":[1]}', 1, /1 number where input_ids has 2/u],
    ["tokens that score nothing", '{"input_ids":[1,2],"labels":[1,-100]}', 1, /has nothing to score/u],
    ["a token below zero", '{"input_ids":[-1,2],"labels":[1,2]}', 1, /input_ids\.0/u],
  ])("%s", async (_, text, line, words) => {
    const error = await refusal(checkDataset(chunks(text)));
    expect(error.code).toBe("DATASET_INVALID");
    expect(error.issues[0]?.line).toBe(line);
    expect(error.issues[0]?.message).toMatch(words);
  });

  test("bytes that are not UTF-8", async () => {
    const error = await refusal(checkDataset(chunks(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]))));
    expect(error.issues[0]).toMatchObject({ line: 1, message: expect.stringContaining("UTF-8") as string });
  });

  test.each(["", "\n\n  \n"])("an empty file: %j", async (text) => {
    expect((await refusal(checkDataset(chunks(text)))).message).toContain("empty");
  });

  test("a line that is too long, before it is read whole", async () => {
    let made = 0;
    const endless = async function* () {
      for (; made < 100; made++) yield Buffer.alloc(1024 * 1024, "a");
    };
    expect((await refusal(checkDataset(endless()))).message).toMatch(/Line 1 is longer/u);
    expect(made).toBeLessThan(10);
  });

  test("with the first 20 of many wrong lines and the count of all", async () => {
    const error = await refusal(checkDataset(chunks("nonsense\n".repeat(35), 100)));
    expect(error.issues.map((issue) => issue.line)).toStrictEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(error.message).toContain("35 lines");
  });
});

test("rows come back as they were written, however the file is cut into pieces", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ prompt: fc.string({ unit: "binary" }), completion: fc.string({ unit: "binary", minLength: 1 }) }),
        { minLength: 1, maxLength: 5 },
      ),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom("\n", "\r\n", "\n\n"),
      async (rows, size, newline) => {
        const wellFormed = rows.map(({ prompt, completion }) => ({
          prompt: prompt.toWellFormed(),
          completion: completion.toWellFormed(),
        }));
        const text = wellFormed.map((row) => JSON.stringify(row)).join(newline);
        const read: unknown[] = [];
        for await (const { row } of readRows(chunks(text, size))) read.push(row);
        expect(read).toStrictEqual(wellFormed);
        expect(await checkDataset(chunks(text, size))).toStrictEqual({ rows: rows.length });
      },
    ),
  );
});

test("a byte order mark, and U+2028 inside a string, are allowed", async () => {
  const text = `\ufeff{"prompt":"a\u2028b","completion":"c"}`;
  expect(await checkDataset(chunks(text))).toStrictEqual({ rows: 1 });
});

describe("rows against a model", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers/bytelevel-gpt2"));
  const rows = (text: string) => readRows(chunks(text));
  const fit = { tokenizer, bounds: { contextLength: 16 }, labelWords: [] };

  test("score the completion and nothing else", () => {
    const { ids, positions, targets } = encodeRow(tokenizer, { prompt: "The soup was", completion: " great" });
    const start = tokenizer.encodeStart("The soup was");
    const more = tokenizer.encodeMore(" great");
    expect([...ids]).toStrictEqual([...start, ...more]);
    expect([...targets]).toStrictEqual(more);
    expect([...positions]).toStrictEqual(more.map((_, i) => start.length - 1 + i));
  });

  test("score a label at its position for a masked model, one position before it for a causal one", () => {
    const row = { input_ids: [5, 6, 7, 8], labels: [9, -100, 10, -100] };
    const scoredPositions = (kind: "causal" | "masked") => {
      const { positions, targets } = encodeRow(null, row, kind);
      return [...positions].map((position, i) => [position, targets[i]]);
    };
    expect(scoredPositions("masked")).toStrictEqual([
      [0, 9],
      [2, 10],
    ]);
    // Nothing comes before the first token to predict it from.
    expect(scoredPositions("causal")).toStrictEqual([[1, 10]]);
  });

  test("are refused as conversations by a masked model", () => {
    const messages = [{ role: "assistant", content: "b" }] as const;
    expect(() => encodeRow(tokenizer, { messages }, "masked")).toThrow(/conversations, which masked models/u);
  });

  test("are refused when longer than the context, with their line", async () => {
    const long = JSON.stringify({ prompt: "word ".repeat(40), completion: " end" });
    const error = await refusal(checkRowsFit({ ...fit, rows: rows(`${good}\n${long}`) }));
    expect(error.issues).toStrictEqual([
      { line: 2, message: expect.stringMatching(/tokens, but the model's context is 16$/u) as string },
    ]);
    const tight = { ...fit, bounds: { contextLength: 16, taken: 12 } };
    const withPrefix = await refusal(
      checkRowsFit({ ...tight, rows: rows(JSON.stringify({ prompt: "a b c d", completion: " e" })) }),
    );
    expect(withPrefix.issues).toStrictEqual([
      { line: 1, message: "the row has 6 tokens, but the model's context is 16, of which a prefix takes 12" },
    ]);
  });

  test("are refused when there is nothing to score", async () => {
    const noStart = { ...tokenizer, encodeStart: () => [], encodeMore: () => [5] };
    const error = await refusal(
      checkRowsFit({ ...fit, tokenizer: noStart, rows: rows('{"prompt":"","completion":"x"}') }),
    );
    expect(error.issues[0]?.message).toContain("there is nothing to score");
  });

  test("are refused when the completion is none of the label words", async () => {
    const error = await refusal(checkRowsFit({ ...fit, labelWords: [" yes", " no"], rows: rows(good) }));
    expect(error.issues[0]).toMatchObject({
      line: 1,
      message: expect.stringContaining('" b" is not one of the label words') as string,
    });
  });

  test("are told of a label word that is the completion but for its spaces", async () => {
    const error = await refusal(checkRowsFit({ ...fit, labelWords: ["b", "c"], rows: rows(good) }));
    expect(error.issues[0]?.message).toContain('("b", "c"); "b" has other spaces around it');
  });
});
