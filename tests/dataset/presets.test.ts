/** Rows in the format of each task, written for this test, and what they are converted to. */
import { describe, expect, test } from "vitest";
import type { TextRow } from "../../dataset/jsonl.ts";
import { checkDataset } from "../../dataset/jsonl.ts";
import type { Preparation } from "../../dataset/prepare.ts";
import { prepare, preparedLines } from "../../dataset/prepare.ts";
import type { PresetName } from "../../dataset/presets.ts";
import { presetNames, presets } from "../../dataset/presets.ts";
import type { TaskRow } from "../../dataset/template.ts";
import { SteplogError } from "../../schema/errors.ts";

const numbered = async function* (rows: readonly TaskRow[]) {
  for (const [index, value] of rows.entries()) yield { line: index + 1, value };
};
const prepared = async (rows: readonly TaskRow[], preparation: Preparation) => {
  const all: TextRow[] = [];
  for await (const row of prepare(numbered(rows), preparation)) all.push(row as TextRow);
  return all;
};
const issuesOf = async (rows: readonly TaskRow[], preparation: Preparation) => {
  try {
    await prepared(rows, preparation);
  } catch (error) {
    if (error instanceof SteplogError) return error.issues;
    throw error;
  }
  return [];
};

const premise = "All ferries were late.";
const hypothesis = "Some ferry was late.";
const yesNo = ["No", "Yes"];
const maybe = ["Yes", "Maybe", "No"];

const examples: Record<PresetName, readonly (readonly [TaskRow, object])[]> = {
  SST2: [
    [
      { idx: 7, sentence: "a film with no end", label: 0 },
      { prompt: "a film with no end It was", completion: " terrible", candidates: [" terrible", " great"] },
    ],
    [{ sentence: "bright and quick", label: "positive" }, { completion: " great" }],
  ],
  SST5: [
    [
      { text: "so so", label: 2, label_text: "neutral" },
      { prompt: "so so It was", completion: " okay" },
    ],
    [{ text: "dreadful", label: "very negative" }, { completion: " terrible" }],
  ],
  RTE: [
    [
      { premise, hypothesis, label: 0 },
      {
        prompt: `${premise}\nDoes it follow that ${hypothesis}\nYes or no?\n`,
        completion: "Yes",
        candidates: ["Yes", "No"],
      },
    ],
    [{ premise, hypothesis, label: "not_entailment" }, { completion: "No" }],
  ],
  CB: [
    [
      { premise, hypothesis, label: 1 },
      { completion: "No", candidates: ["Yes", "No", "Maybe"] },
    ],
  ],
  BOOLQ: [
    [
      { passage: "Ferries run daily.", question: "do ferries run on sundays", answer: true },
      {
        prompt: "Ferries run daily.\nQuestion: do ferries run on sundays?\nAnswer yes or no:\n",
        completion: "Yes",
        candidates: yesNo,
      },
    ],
    [{ passage: "p", question: "q", label: 0 }, { completion: "No" }],
  ],
  WSC: [
    [
      { text: "Ann called Eve since she was late.", span1_text: "Eve", span2_text: "she", span1_index: 2, label: 0 },
      {
        prompt: 'Ann called Eve since she was late.\nIn the text above, does "she" stand for Eve?\nYes or no?\n',
        completion: "No",
      },
    ],
  ],
  WIC: [
    [
      { word: "bank", sentence1: "A bank of clouds.", sentence2: "A bank lends.", start1: 2, label: false },
      {
        prompt: 'A bank of clouds.\nA bank lends.\nDoes the word "bank" mean the same in both sentences?\nYes or no?\n',
        completion: "No",
      },
    ],
  ],
  MULTIRC: [
    [
      { paragraph: "It rained.", question: "How was it?", answer: "Wet", idx: { paragraph: 0 }, label: 1 },
      {
        prompt: 'It rained.\nQuestion: How was it?\nSomebody answers "Wet". Is that right?\nYes or no?\n',
        completion: "Yes",
      },
    ],
  ],
  COPA: [
    [
      { premise: "The ferry stopped.", choice1: "It ran aground.", choice2: "I paid.", question: "cause", label: 0 },
      {
        prompt: "The ferry stopped because",
        completion: " it ran aground.",
        candidates: [" it ran aground.", " I paid."],
      },
    ],
    [
      { premise: "It rained.", choice1: "A", choice2: "We got wet.", question: "effect", label: 1 },
      { prompt: "It rained so", completion: " we got wet." },
    ],
  ],
  RECORD: [
    [
      {
        passage: "Oslo beat Rome.",
        query: "The cup went to @placeholder at last.",
        entities: ["Rome", "Oslo"],
        answers: ["Oslo"],
      },
      {
        prompt: "Oslo beat Rome.\nThe cup went to",
        completion: " Oslo at last.",
        candidates: [" Oslo at last.", " Rome at last."],
      },
    ],
  ],
  SQUAD: [
    [
      {
        title: "Ferries",
        context: "Ferry 9 sank in 1911.",
        question: "When?",
        answers: { text: ["1911", "in 1911", "1911"], answer_start: [16, 13, 16] },
      },
      {
        prompt: "Title: Ferries\nText: Ferry 9 sank in 1911.\nQuestion: When?\nAnswer:",
        completion: " 1911\n",
        answers: [" 1911\n", " in 1911\n"],
      },
    ],
  ],
  DROP: [
    [
      { passage: "P.", question: "Who?", answers_spans: { spans: ["Ann", "Eve"], types: ["span", "span"] } },
      { prompt: "Text: P.\nQuestion: Who?\nAnswer:", completion: " Ann, Eve\n", answers: [" Ann, Eve\n"] },
    ],
  ],
  TREC: [
    [
      { text: "Where is Oslo ?", coarse_label: 4, fine_label: 40 },
      { prompt: "Where is Oslo ?\nThe question asks for", completion: " a place" },
    ],
    [{ text: "Who ?", coarse_label: "HUM" }, { completion: " a person" }],
  ],
  MNLI: [
    [
      { premise, hypothesis, label: 1, idx: 3 },
      { completion: "Maybe", candidates: maybe },
    ],
  ],
  SNLI: [
    [
      { premise, hypothesis, label: 2 },
      {
        prompt: `${premise}\nDoes it follow that ${hypothesis}\nYes, no or maybe?\n`,
        completion: "No",
        candidates: maybe,
      },
    ],
  ],
  ALPACA: [
    [
      { instruction: "Name a ferry.", input: "In Oslo.", output: "Ferry 9." },
      {
        messages: [
          { role: "user", content: "Name a ferry.\n\nIn Oslo." },
          { role: "assistant", content: "Ferry 9." },
        ],
      },
    ],
    [{ instruction: "Say hi.", input: null, output: "Hi." }, { messages: [{ role: "user", content: "Say hi." }, {}] }],
  ],
  SHAREGPT: [
    [
      {
        system: "Be brief.",
        conversations: [
          { from: "human", value: "Hello" },
          { from: "gpt", value: "Hi!" },
        ],
      },
      {
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hello" },
          { role: "assistant", content: "Hi!" },
        ],
      },
    ],
  ],
};

describe.each(presetNames)("%s", (preset) => {
  test("reads the task's rows", async () => {
    const rows = await prepared(
      examples[preset].map(([row]) => row),
      { preset },
    );
    expect(rows).toMatchObject(examples[preset].map(([, expected]) => expected));
    const lines = preparedLines(numbered(examples[preset].map(([row]) => row)), { preset });
    expect(await checkDataset(lines)).toStrictEqual({ rows: rows.length });
  });

  test("names the field that is missing, and the line", async () => {
    const row: TaskRow = examples[preset][0]?.[0] ?? {};
    for (const field of presets[preset].fields.split(", ").map((words) => words.replace(/[ .].*$/u, ""))) {
      const { [field]: _, ...rest } = row;
      if ((preset === "BOOLQ" && field === "label") || (preset === "ALPACA" && field === "input")) continue;
      const issues = await issuesOf([row, rest], { preset });
      expect({ field, issues }).toMatchObject({ field, issues: [{ line: 2 }] });
      expect(JSON.stringify(issues)).toContain(field);
    }
  });
});

test("a hidden test set is reported as having no labels", async () => {
  const issues = await issuesOf([{ sentence: "a", label: -1 }], { preset: "SST2" });
  expect(issues[0]?.message).toMatch(/the label "-1" is not one of 0 \(negative\), 1 \(positive\) \(hidden test sets/u);
});

describe("a template", () => {
  const template = {
    prompt: "{meta.title}: {text} It was",
    labelField: "stars",
    labels: { "1": " bad", "5": " good" },
  };

  test("fills in fields, also of objects, and has all completions as candidates", async () => {
    const row = { meta: { title: "T" }, text: "x {y}", stars: 5 };
    const expected = { prompt: "T: x {y} It was", completion: " good", candidates: [" bad", " good"] };
    expect(await prepared([row], { template })).toStrictEqual([expected]);
  });

  test("names unknown fields and labels", async () => {
    const rows = [
      { meta: { title: "T" }, stars: 1 },
      { meta: { title: "T" }, text: "x", stars: 3 },
    ];
    expect(await issuesOf(rows, { template })).toStrictEqual([
      { line: 1, field: "text", message: 'the field "text" is needed; the row has meta, stars' },
      { line: 2, field: "stars", message: 'the label "3" is not one of 1, 5' },
    ]);
  });
});

describe("splits and samples", () => {
  const rows = Array.from({ length: 600 }, (_, i) => ({ sentence: `row ${i % 500}`, label: i % 5 === 0 ? 0 : 1 }));
  const shares = { preset: "SST2", validationShare: 0.2, testShare: 0.1, seed: 4 } as const;
  const key = ({ prompt, completion }: { prompt: string; completion: string }) => `${prompt}${completion}`;

  test("equal rows are kept once", async () => {
    expect(await prepared(rows, { preset: "SST2" })).toHaveLength(500);
  });

  test("the parts of a seed are disjoint, whole, and do not depend on the order of the file", async () => {
    const part = (name: "TRAINING" | "VALIDATION" | "TEST", from = rows) => prepared(from, { ...shares, part: name });
    const [training, validation, test_] = [await part("TRAINING"), await part("VALIDATION"), await part("TEST")];
    const all = [...training, ...validation, ...test_].map(key);
    expect(new Set(all).size).toBe(500);
    expect(all).toHaveLength(500);
    expect(validation.length / 500).toBeCloseTo(0.2, 1);
    expect(test_.length / 500).toBeCloseTo(0.1, 1);
    expect((await part("TEST", rows.toReversed())).map(key).toSorted()).toStrictEqual(test_.map(key).toSorted());
    const other = await prepared(rows, { ...shares, seed: 5, part: "TEST" });
    expect(other.map(key).toSorted()).not.toStrictEqual(test_.map(key).toSorted());
  });

  test("a sample has as many rows of each class, by the seed alone", async () => {
    const sample = (seed: number, from = rows) => prepared(from, { preset: "SST2", perClass: 16, seed });
    const drawn = await sample(1);
    expect(drawn.map(({ completion }) => completion)).toStrictEqual(
      Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? " great" : " terrible")),
    );
    expect((await sample(1, rows.toReversed())).map(key)).toStrictEqual(drawn.map(key));
    expect((await sample(2)).map(key)).not.toStrictEqual(drawn.map(key));
    expect(await prepared(rows.slice(0, 6), { preset: "SST2", perClass: 16 })).toHaveLength(6);
  });

  test("rows of prompt and completion need no preset; others are refused with their line", async () => {
    const row = { prompt: "a", completion: " b" };
    expect(await prepared([row, row], { perClass: 3 })).toStrictEqual([row]);
    expect(await issuesOf([row, { sentence: "a" }], { perClass: 3 })).toMatchObject([{ line: 2, field: "prompt" }]);
  });
});
