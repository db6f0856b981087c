/** Rows with candidates or answers, and rows of masked models. */
import { describe, expect, test } from "vitest";
import { encodeText } from "../../dataset/encode.ts";
import { checkRowsFit } from "../../dataset/fit.ts";
import { checkDataset, readRows } from "../../dataset/jsonl.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { SteplogError } from "../../schema/errors.ts";
import { golden } from "../support/models.ts";

const bytes = async function* (...rows: object[]) {
  yield Buffer.from(rows.map((row) => JSON.stringify(row)).join("\n"));
};
const issuesOf = (check: Promise<unknown>) =>
  check.then(
    () => [],
    (error: unknown) => (error instanceof SteplogError ? [...error.issues] : []),
  );

test("candidates and answers include the completion", async () => {
  const row = { prompt: "a", completion: " b" };
  expect(await checkDataset(bytes({ ...row, candidates: [" b", " c"], answers: [" b", " bee"] }))).toEqual({ rows: 1 });
  const wrong = [
    { ...row, candidates: [" c", " d"] },
    { ...row, candidates: [" b"] },
    { ...row, candidates: [" b", " b"] },
    { ...row, answers: [" c"] },
  ];
  const seen = (await issuesOf(checkDataset(bytes(...wrong)))).map(({ line, field }) => [line, field]);
  expect(seen).toStrictEqual([
    [1, "candidates"],
    [2, "candidates"],
    [3, "candidates"],
    [4, "answers"],
  ]);
});

describe("a masked model's rows", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers", "bytelevel-roberta"));
  const { mask } = tokenizer;

  test("have the mask in place of the word, in a whole sequence", () => {
    const { ids, positions, targets } = encodeText(tokenizer, "the crane was<mask> .", " read", "masked");
    expect(ids[0]).toBe(0);
    expect(ids.at(-1)).toBe(2);
    expect(positions).toHaveLength(1);
    expect(ids[positions[0] ?? -1]).toBe(mask?.id);
    expect([...targets]).toStrictEqual(tokenizer.encodeMore(" read"));
  });

  test("are refused with their line when mask or word do not fit, candidates included", async () => {
    const good = { prompt: "it was<mask>", completion: " read" };
    const rows = [
      good,
      { ...good, prompt: "it was" },
      { ...good, prompt: "<mask><mask>" },
      { ...good, completion: " unreadable word" },
      { ...good, candidates: [" read", " unreadable word"] },
    ];
    const fit = { tokenizer, bounds: { contextLength: 32, kind: "masked" as const }, labelWords: [] };
    const issues = await issuesOf(checkRowsFit({ ...fit, rows: readRows(bytes(...rows)) }));
    expect(issues.map(({ line }) => line)).toStrictEqual([2, 3, 4, 5]);
    expect(issues[0]?.message).toContain(
      "must contain <mask> once, in place of the word, and this one contains it 0 times",
    );
    expect(issues[3]?.message).toContain('" unreadable word" has ');
  });
});

test("a candidate that does not fit the context is named, even if the completion fits", async () => {
  const tokenizer = await loadTokenizer(golden("tokenizers", "bytelevel-gpt2"));
  const rows = readRows(bytes({ prompt: "a", completion: " b", candidates: [" b", ` ${"long ".repeat(40)}`] }));
  const [issue] = await issuesOf(checkRowsFit({ tokenizer, bounds: { contextLength: 12 }, rows, labelWords: [] }));
  expect(issue).toMatchObject({ line: 1, message: expect.stringContaining("but the model's context is 12") as string });
});
