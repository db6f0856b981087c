/** What rows that can be trained are told about, and counts of those that cannot. */
import { describe, expect, test } from "vitest";
import { checkRowsFit } from "../../dataset/fit.ts";
import { IssueList, unfittingRows } from "../../dataset/issues.ts";
import { checkDataset, readRows, type Row } from "../../dataset/jsonl.ts";
import { LineTable } from "../../dataset/line-table.ts";
import { prepare } from "../../dataset/prepare.ts";
import { SharedRows } from "../../dataset/repeats.ts";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { SteplogError } from "../../schema/errors.ts";
import { golden } from "../support/models.ts";

const llama = await loadTokenizer(golden("tokenizers/spm-llama"));
const gpt2 = await loadTokenizer(golden("tokenizers/bytelevel-gpt2"));

async function* bytes(...rows: object[]): AsyncGenerator<Uint8Array> {
  yield Buffer.from(rows.map((row) => JSON.stringify(row)).join("\n"));
}
const found = (rows: readonly Row[], { tokenizer = gpt2, labelWords = [] as readonly string[] } = {}) =>
  checkRowsFit({ tokenizer, bounds: { contextLength: 512 }, rows: readRows(bytes(...rows)), labelWords });
const notesOf = async (...of: Parameters<typeof found>) =>
  (await found(...of)).notes.map(({ type, message }) => `${type} ${message}`);
const choice = (prompt: string, completion: string, candidates = [" b", " c"]) => ({ prompt, completion, candidates });

describe("repeated rows", () => {
  test("are counted, with their lines: the same prompt and answer, or another answer", async () => {
    const rows = [choice("p", " b"), choice("q", " c"), choice("p", " b"), choice("p", " c"), choice("p", " c")];
    expect(await notesOf(rows)).toStrictEqual([
      "ROWS_REPEATED 2 rows repeat an earlier one, prompt and answer: line 3 is line 1; line 5 is line 4.",
      "ROWS_CONTRADICT 1 row has the prompt of an earlier one and another answer: line 4 and line 1.",
    ]);
  });

  test("are told with the first lines only; rows without a prompt do not contradict each other", async () => {
    const many = Array.from({ length: 40 }, () => ({ prompt: "p", completion: " b" }));
    expect(await notesOf(many)).toStrictEqual([
      "ROWS_REPEATED 39 rows repeat an earlier one, prompt and answer: line 2 is line 1; line 3 is line 1; line 4 is line 1; line 5 is line 1; line 6 is line 1; ….",
    ]);
    expect(await notesOf([" a b", " b a"].map((completion) => ({ prompt: "", completion })))).toStrictEqual([]);
  });

  test("are found among tokens, by what comes before the first scored one", async () => {
    const tokens = (...labels: number[]) => ({ input_ids: [5, 6, 7], labels });
    const rows = [tokens(-100, 6, 7), tokens(-100, -100, 7), tokens(-100, 6, 7), tokens(-100, 6, -100)];
    expect((await found(rows)).notes.map(({ type }) => type)).toStrictEqual(["ROWS_REPEATED", "ROWS_CONTRADICT"]);
  });

  test("are found between training rows and others", () => {
    const shared = new SharedRows();
    const talk = (content: string) => ({
      messages: [
        { role: "user" as const, content: "Hello?" },
        { role: "assistant" as const, content },
      ],
    });
    [choice("p", " b"), talk("Hello!")].forEach((row, index) => shared.addTraining(index + 1, row));
    [choice("p", " c"), talk("Hello!"), talk("Hi!"), { prompt: "p", completion: " b" }].forEach((row, index) =>
      shared.add(index + 1, row),
    );
    expect(shared.notes).toStrictEqual([
      {
        type: "ROWS_SHARED",
        message: expect.stringMatching(
          /^2 rows are .*: line 2 is training line 2; line 4 is training line 1\.$/u,
        ) as string,
      },
    ]);
  });
});

test("a table of lines finds every key, also those that meet in a slot, while it grows", () => {
  const table = new LineTable();
  const keys = Array.from({ length: 5_000 }, (_, i) => [i >>> 3, 8 * (i % 8)] as const);
  expect(keys.map((key, i) => table.put(key, i + 1)).some((line) => line > 0)).toBe(false);
  expect(keys.map((key) => table.get(key))).toStrictEqual(keys.map((_, i) => i + 1));
  expect(table.get([7, 7])).toBe(0);
  expect(table.put(keys[9] ?? [0, 0], 99)).toBe(10);
});

describe("one class", () => {
  test("is told for rows that choose between the same words", async () => {
    const rows = [choice("p", " b"), choice("q", " b", [" c", " b"])];
    expect(await found(rows)).toMatchObject({ oneClass: " b", notes: [{ type: "ONE_CLASS" }] });
    const plain = ["p", "q"].map((prompt) => ({ prompt, completion: " b" }));
    expect((await found(plain, { labelWords: [" b", " c"] })).oneClass).toBe(" b");
  });

  test.each([
    ["two classes", "SAME", [choice("p", " b"), choice("q", " c")]],
    ["candidates that differ", "SOME", [choice("p", " b"), choice("q", " b", [" b", " d"])]],
    ["no candidates", "NONE", ["p", "q"].map((prompt) => ({ prompt, completion: " b" }))],
  ])("is not said of %s", async (_, choices, rows) => {
    expect(await found(rows)).toStrictEqual({ oneClass: null, notes: [], choices });
  });
});

describe("label words", () => {
  const rowsOf = (prompt: string, words: readonly string[]) =>
    words.map((completion, i) => ({ prompt: `${i} ${prompt}`, completion, candidates: words }));
  const borderOf = async (tokenizer: typeof gpt2, prompt: string, word: string) =>
    (await notesOf([{ prompt, completion: word }], { tokenizer })).join();

  test("have the tokens of running text, or a way to write them so is told", async () => {
    expect(await borderOf(llama, "It was", "good")).toBe("");
    expect(await borderOf(llama, "It was:", "good")).toBe("");
    expect(await borderOf(llama, "It was", " good")).toMatch(
      /^LABEL_WORDS After its prompt, " good" becomes the tokens " {2}" "?.*; in running text they are " g.*\. Write "good"\.$/u,
    );
    expect(await borderOf(llama, "Well:\n", "good")).toMatch(/No other space at its start gives these\./u);
    expect(await borderOf(gpt2, "It was", " good")).toBe("");
    expect(await borderOf(gpt2, "Well:\n", "good")).toBe("");
    expect(await borderOf(gpt2, "It was", "good")).toMatch(/Write " good"\.$/u);
    expect(await borderOf(gpt2, "It was ", "good")).toMatch(/End the prompt without white space and write " good"\.$/u);
  });

  test("are told of once, whatever the number of rows, and of the last characters of a long prompt only", async () => {
    const long = "word ".repeat(50_000);
    const rows = Array.from({ length: 30 }, (_, i) => ({ prompt: `${i}: It was`, completion: i % 2 ? "good" : "bad" }));
    const settings = { tokenizer: gpt2, labelWords: ["good", "bad"] };
    const [note] = (await found(rows, settings)).notes;
    expect(note?.message.match(/After its prompt, "\w+"/gu)).toStrictEqual([
      'After its prompt, "good"',
      'After its prompt, "bad"',
    ]);
    const lengths: number[] = [];
    const counting = { ...gpt2, encodeStart: (text: string) => (lengths.push(text.length), gpt2.encodeStart(text)) };
    const row = { prompt: `${long}It was`, completion: "good" };
    await checkRowsFit({
      tokenizer: counting,
      bounds: { contextLength: 1_000_000 },
      rows: readRows(bytes(row)),
      labelWords: [],
    });
    expect(lengths.filter((length) => length > 1_000)).toHaveLength(1);
  });

  test("that share a first token, have many, or different numbers of them, are named", async () => {
    const notes = await notesOf(rowsOf("was it?", [" the", " their extraordinary", " x"]));
    expect(notes.join("\n")).toMatch(/More than 3 tokens: " their extraordinary"/u);
    expect(notes.join("\n")).toMatch(
      /differ in their number of tokens \(" the" \d, " their extraordinary" \d+, " x" \d\)/u,
    );
    expect((await notesOf(rowsOf("was it?", [" the", " the the"]))).join()).toMatch(
      /^LABEL_WORDS The same first token: " the", " the the"\. Only later ones tell them apart\. The label words differ/u,
    );
    expect(await notesOf(rowsOf("was it?", [" the", " a"]))).toStrictEqual([]);
  });

  test("that the tokenizer does not know are named", async () => {
    const knows = { ...gpt2, unknown: gpt2.encodeMore(" the")[0] ?? null };
    expect(await notesOf(rowsOf("was it?", [" the", " a"]), { tokenizer: knows })).toStrictEqual([
      'LABEL_WORDS The tokenizer does not know all characters of " the" and makes unknown tokens of them. Choose other words.',
    ]);
    expect(llama.unknown).toBe(0);
  });
});

describe("counts are of rows, not of what is wrong with them:", () => {
  const messageOf = (refused: Promise<unknown>) =>
    refused.then(
      () => "nothing was wrong",
      (error: unknown) => (error instanceof SteplogError ? error.message : String(error)),
    );
  const converted = async (rows: readonly object[]) => {
    const numbered = async function* () {
      for (const [index, value] of rows.entries()) yield { line: index + 1, value: value as Record<string, unknown> };
    };
    for await (const _ of prepare(numbered(), {}));
  };
  const three = <T>(row: T): T[] => [row, row, row];

  test.each([
    ["a dataset", () => checkDataset(bytes(...three({ other: 1 }))), /^3 lines cannot be used\./u],
    [
      "a check",
      () => found(three({ prompt: "p ".repeat(999), completion: "x y" }), { labelWords: [" b"] }),
      /^3 rows do not fit/u,
    ],
    [
      "a preparation",
      () => converted(three({ prompt: "\ud800", completion: "\ud800" })),
      /^3 rows cannot be converted\./u,
    ],
  ])("%s", async (_, refused, words) => {
    expect(await messageOf(refused())).toMatch(words);
  });

  test("a row is one, even if its issues name no line", () => {
    const issues = new IssueList();
    for (const row of [[], [{ message: "a" }, { message: "b" }], [{ message: "c" }, { message: "d" }]])
      issues.addRow(row);
    expect(() => issues.throwIfAny(unfittingRows)).toThrow(/^2 rows do not fit the model\. First, a\.$/u);
  });
});
