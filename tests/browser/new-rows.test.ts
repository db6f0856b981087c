/** What the page of a new run sees in rows by itself. */
import { describe, expect, test } from "vitest";
import { recognise, split, startOf, suggestLabels } from "../../dashboard/src/new/rows.ts";

const known = [
  { name: "SST2" as const, fields: "sentence, label" },
  { name: "BOOLQ" as const, fields: "passage, question, label (or answer)" },
  { name: "ALPACA" as const, fields: "instruction, input (may be missing), output" },
];
const row = (prompt: string, completion = " good") => JSON.stringify({ prompt, completion });
const lines = Array.from({ length: 40 }, (_, index) => row(`row ${index}`));

describe("the format of rows", () => {
  test.each([
    [row("a"), /^JSON Lines: prompts and completions/u, true],
    ['{"messages": []}', /^JSON Lines: conversations/u, true],
    ['{"input_ids": [], "labels": []}', /^JSON Lines: tokens/u, true],
    ['{"sentence": "a", "label": 0}', /choose that format below/u, true],
    ['{"text": "a"}', /^JSON Lines: objects with text\. They need/u, true],
    ["prompt,completion\na,b", /^CSV: prompts and completions/u, false],
    ['"sentence";"label"\na;0', /^CSV with sentence, label\. These are the fields of SST2/u, false],
    ["[\n{}\n]", /^A JSON array/u, false],
    ["once upon a time", /^Not recognised/u, false],
  ])("%s", (text, words, isLines) => {
    expect(recognise(text, known)).toMatchObject({ words: expect.stringMatching(words) as string, isLines });
  });

  test("is none without rows, and parquet by its first bytes", async () => {
    expect(recognise("\n", known)).toBeNull();
    expect(await startOf(new Blob(["PAR1 and bytes"]))).toBeNull();
    expect(recognise(null, known)?.words).toMatch(/^Parquet/u);
  });

  test("a preset needs all its fields but those that may be missing", () => {
    const presets = (text: string) => recognise(text, known)?.presets;
    expect(presets('{"instruction": "a", "output": "b"}')).toEqual(["ALPACA"]);
    expect(presets('{"passage": "a", "question": "b", "label": 1}')).toEqual(["BOOLQ"]);
    expect(presets('{"sentence": "a"}')).toEqual([]);
  });
});

describe("a split", () => {
  const shares = { validation: 0.1, test: 0.2, seed: 0 };
  const linesOf = (seed: number) => split(lines.join("\n"), { ...shares, seed }).map((part) => part.lines);

  test("has the shares, every row once, and the numbers of the lines among all rows", () => {
    const parts = split(`\n${lines.join("\n\n")}\n`, shares);
    expect(parts.map(({ of, lines: numbers }) => [of, numbers.length])).toEqual([
      ["training", 28],
      ["test", 8],
      ["validation", 4],
    ]);
    const all = parts.flatMap(({ text, lines: numbers }) => {
      const texts = text.trim().split("\n");
      return numbers.map((number, at) => [number, texts[at]] as const);
    });
    expect(all.toSorted(([a], [b]) => a - b)).toEqual(lines.map((line, index) => [2 * index + 2, line]));
  });

  test("is the same for the same seed, and another for another", () => {
    expect(linesOf(3)).toEqual(linesOf(3));
    expect(linesOf(3)).not.toEqual(linesOf(4));
  });

  test("keeps rows with the same prompt together, and leaves rows to train on", () => {
    const twice = [...lines, ...lines.map((line) => line.replace("good", "bad"))];
    for (const { lines: numbers } of split(twice.join("\n"), shares)) {
      const pairs = new Set(numbers.map((number) => (number - 1) % 40));
      expect(numbers).toHaveLength(2 * pairs.size);
    }
    expect(split([row("a"), row("b")].join("\n"), shares).map(({ of }) => of)).toEqual(["training", "test"]);
  });
});

test("label words are suggested where completions are few, and rows have no candidates", () => {
  const reviews = (words: string[]) => words.map((word, index) => row(`${index}`, word)).join("\n");
  expect(suggestLabels(reviews([" b", " a", " a", " b"]))).toEqual([" a", " b"]);
  expect(suggestLabels(reviews([" a", " b", " c", " a"]))).toEqual([]);
  expect(suggestLabels(reviews([" a", " a"]))).toEqual([]);
  const candidate = JSON.stringify({ prompt: "p", completion: " a", candidates: [" a", " b"] });
  expect(suggestLabels(`${reviews([" b", " a", " a", " b"])}\n${candidate}`)).toEqual([]);
  expect(suggestLabels(null)).toEqual([]);
});
