/** What the page of a new run sees in rows by itself. */
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { csvRowsOf } from "../../dashboard/src/new/csv.ts";
import { parquetLines } from "../../dashboard/src/new/parquet-rows.ts";
import { recognise, startOf, suggestLabels } from "../../dashboard/src/new/rows.ts";
import { linesOf, split } from "../../dashboard/src/new/split.ts";

const known = [
  { name: "SST2" as const, fields: "sentence, label" },
  { name: "BOOLQ" as const, fields: "passage, question, label (or answer)" },
  { name: "ALPACA" as const, fields: "instruction, input (may be missing), output" },
];
const row = (prompt: string, completion = " good") => JSON.stringify({ prompt, completion });
const lines = Array.from({ length: 40 }, (_, index) => row(`row ${index}`));

describe("the format of rows", () => {
  test.each([
    [row("a"), /^JSON Lines: prompts and completions/u, "JSONL"],
    ['{"messages": []}', /^JSON Lines: conversations/u, "JSONL"],
    ['{"input_ids": [], "labels": []}', /^JSON Lines: tokens/u, "JSONL"],
    ['{"sentence": "a", "label": 0}', /choose that format below/u, "JSONL"],
    ['{"text": "a"}', /^JSON Lines: objects with text\. They need/u, "JSONL"],
    ["prompt,completion\na,b", /^CSV: prompts and completions/u, "CSV"],
    ['"sentence";"label"\na;0', /^CSV with sentence, label\. These are the fields of SST2/u, "CSV"],
    ["[\n{}\n]", /^A JSON array/u, null],
    ["once upon a time", /^Not recognised/u, null],
  ])("%s", (text, words, form) => {
    expect(recognise({ text, isParquet: false }, known)).toMatchObject({
      words: expect.stringMatching(words) as string,
      form,
    });
  });

  test("is none without rows, and of parquet what its rows have", async () => {
    expect(recognise(await startOf(new Blob(["\n"])), known)).toBeNull();
    expect(recognise(await startOf(new Blob([`\uFEFF${row("a")}`])), known)?.form).toBe("JSONL");
    const seen = (text: string) => recognise({ text, isParquet: true }, known);
    expect(seen('{"sentence": "a", "label": 0}')).toMatchObject({ form: "PARQUET", presets: ["SST2"] });
    expect(seen(row("a"))?.words).toBe("Parquet: prompts and completions.");
    expect(seen("")).toMatchObject({ form: null, words: expect.stringMatching(/cannot be read here/u) as string });
  });

  test("a preset needs all its fields but those that may be missing", () => {
    const presets = (text: string) => recognise({ text, isParquet: false }, known)?.presets;
    expect(presets('{"instruction": "a", "output": "b"}')).toEqual(["ALPACA"]);
    expect(presets('{"passage": "a", "question": "b", "label": 1}')).toEqual(["BOOLQ"]);
    expect(presets('{"sentence": "a"}')).toEqual([]);
  });
});

describe("a split", () => {
  const shares = { validation: 0.1, test: 0.2, seed: 0 };
  const drawn = (seed: number) => split(linesOf(lines.join("\n")), { ...shares, seed }).map((part) => part.lines);

  test("has the shares, every row once, and the numbers of the lines among all rows", () => {
    const parts = split(linesOf(`\n${lines.join("\n\n")}\n`), shares);
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
    expect(drawn(3)).toEqual(drawn(3));
    expect(drawn(3)).not.toEqual(drawn(4));
  });

  test("keeps rows with the same prompt together, and leaves rows to train on", () => {
    const twice = [...lines, ...lines.map((line) => line.replace("good", "bad"))];
    for (const { lines: numbers } of split(linesOf(twice.join("\n")), shares)) {
      const pairs = new Set(numbers.map((number) => (number - 1) % 40));
      expect(numbers).toHaveLength(2 * pairs.size);
    }
    expect(split(linesOf([row("a"), row("b")].join("\n")), shares).map(({ of }) => of)).toEqual(["training", "test"]);
  });
});

describe("rows of parquet", () => {
  const count = 2_500;
  const file = parquetWriteBuffer({
    columnData: [
      { name: "prompt", data: Array.from({ length: count }, (_, index) => `row ${index}`) },
      { name: "label", data: Array.from({ length: count }, (_, index) => BigInt(index % 2)), type: "INT64" },
      { name: "note", data: Array.from({ length: count }, () => null), type: "STRING", nullable: true },
    ],
  });

  test("are lines, as the service stores them, and no more than is wanted", async () => {
    const { lines: all, all: isAll } = await parquetLines(file, { rows: Infinity, characters: Infinity });
    expect([all.length, isAll, all[0], all[2_499]]).toEqual([
      count,
      true,
      '{"prompt":"row 0","label":0}',
      '{"prompt":"row 2499","label":1}',
    ]);
    expect(await parquetLines(file, { rows: 3, characters: Infinity })).toEqual({ lines: all.slice(0, 3), all: false });
    expect(await parquetLines(file, { rows: Infinity, characters: 60 })).toEqual({
      lines: all.slice(0, 2),
      all: false,
    });
    const parts = split(linesOf(all.join("\n")), { validation: 0.1, test: 0, seed: 0 });
    expect(parts.map(({ of, rows }) => [of, rows])).toEqual([
      ["training", 2_250],
      ["validation", 250],
    ]);
  });

  test("that is damaged are refused", async () => {
    const cut = file.slice(0, file.byteLength - 20);
    await expect(parquetLines(cut, { rows: 1, characters: 1 })).rejects.toThrow("parquet");
  });
});

describe("a split of CSV", () => {
  const shares = { validation: 0.1, test: 0, seed: 0 };

  test("has the header in each part, and rows of several lines with the numbers of all of them", () => {
    const rows = Array.from({ length: 20 }, (_, index) => `"row ${index},\nand on";" good"`);
    const parts = split(csvRowsOf(`"prompt";"completion"\r\n\r\n${rows.join("\r\n")}`) ?? nothing, shares);
    expect(parts.map(({ of, rows: count, lines: { length } }) => [of, count, length])).toEqual([
      ["training", 18, 37],
      ["validation", 2, 5],
    ]);
    for (const { text, lines: numbers } of parts) {
      const [header, ...others] = text.trim().split("\n");
      expect([header, numbers[0]]).toEqual(['"prompt";"completion"', 1]);
      others.forEach((line, at) => {
        const number = numbers[at + 1] ?? 0;
        const whole = rows[Math.floor((number - 3) / 2)]?.split("\n") ?? [];
        expect(line).toBe(whole[(number - 3) % 2]);
      });
    }
  });

  test("keeps rows with the same prompt together", () => {
    const text = ["completion,prompt", ...[...lines, ...lines].map((_, index) => `${index},row ${index % 40}`)].join(
      "\n",
    );
    for (const { lines: numbers } of split(csvRowsOf(text) ?? nothing, shares))
      expect(numbers.length - 1).toBe(2 * new Set(numbers.slice(1).map((number) => (number - 2) % 40)).size);
  });

  test("is none where the service is to say what is wrong", () => {
    expect(csvRowsOf("prompt,completion\na,b,c")).toBeNull();
    expect(csvRowsOf('prompt,completion\n"a,b')).toBeNull();
    expect(csvRowsOf("")).toBeNull();
  });

  const nothing = { header: "", rows: [] };
});

test("label words are suggested where completions are few, and rows have no candidates", () => {
  const reviews = (words: string[]) => words.map((word, index) => row(`${index}`, word)).join("\n");
  expect(suggestLabels(reviews([" b", " a", " a", " b"]))).toEqual([" a", " b"]);
  expect(suggestLabels(reviews([" a", " b", " c", " a"]))).toEqual([]);
  expect(suggestLabels(reviews([" a", " a"]))).toEqual([]);
  const candidate = JSON.stringify({ prompt: "p", completion: " a", candidates: [" a", " b"] });
  expect(suggestLabels(`${reviews([" b", " a", " a", " b"])}\n${candidate}`)).toEqual([]);
  expect(suggestLabels("")).toEqual([]);
});
