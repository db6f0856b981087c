/**
 * Tasks of the MeZO paper, with the field names under which they are published (GLUE, SuperGLUE and the tasks' own releases, as
 * JSON Lines or parquet on the Hugging Face hub): how a row becomes a prompt with candidates or accepted answers. The prompts
 * have our wording and the sense of those in the paper's appendix. ALPACA and SHAREGPT are formats of conversations.
 * docs/YOUR_DATA.md lists them in a table.
 */
import { alpaca, shareGpt } from "./conversations.ts";
import type { Convert, TaskRow } from "./template.ts";
import { RowProblem, attempt, fill, textOf, unknownLabel, valueOf } from "./template.ts";

export const presetNames = [
  "SST2",
  "SST5",
  "RTE",
  "CB",
  "BOOLQ",
  "WSC",
  "WIC",
  "MULTIRC",
  "COPA",
  "RECORD",
  "SQUAD",
  "DROP",
  "TREC",
  "MNLI",
  "SNLI",
  "ALPACA",
  "SHAREGPT",
] as const;
export type PresetName = (typeof presetNames)[number];

export interface Preset {
  /** The fields that a row needs. */
  readonly fields: string;
  /** For people: the prompt. */
  readonly prompt: string;
  /** For people: the completions. */
  readonly completions: string;
  readonly metric: "accuracy" | "F1" | "loss";
  readonly convert: Convert;
}

/** A label of the release, with its word. Its number is its index in the list of labels. */
type Label = readonly [name: string, word: string];

interface Labelled {
  readonly fields: string;
  readonly prompt: string;
  readonly labels: readonly Label[];
  /** Names of the label's field; the first one in the row is used. */
  readonly labelFields?: readonly string[];
}

const yesNo: readonly Label[] = [
  ["false", "No"],
  ["true", "Yes"],
];

function classification({ fields, prompt, labels, labelFields = ["label"] }: Labelled): Preset {
  const words = labels.map(([, word]) => word);
  return {
    fields,
    prompt,
    completions: words.map((word) => JSON.stringify(word)).join(", "),
    metric: "accuracy",
    convert: (row) =>
      attempt(() => {
        const field = labelFields.find((name) => name in row) ?? labelFields[0] ?? "label";
        const completion = words[labelIndex(textOf(row, field), labels, field)] ?? "";
        return { prompt: fill(prompt, row), completion, candidates: words };
      }),
  };
}

/** Finds a label by its number, or by its name ignoring case. */
function labelIndex(seen: string, labels: readonly Label[], field: string): number {
  const index = labels.findIndex(
    ([name], number) => seen === String(number) || seen.toLowerCase() === name.toLowerCase(),
  );
  if (index >= 0) return index;
  const known = labels.map(([name], number) => `${number} (${name})`);
  throw new RowProblem(field, unknownLabel(seen, known));
}

const entailment: readonly Label[] = [
  ["entailment", "Yes"],
  ["neutral", "Maybe"],
  ["contradiction", "No"],
];
const inference = "{premise}\nDoes it follow that {hypothesis}\nYes, no or maybe?\n";

export const presets: Readonly<Record<PresetName, Preset>> = {
  SST2: classification({
    fields: "sentence, label",
    prompt: "{sentence} It was",
    labels: [
      ["negative", " terrible"],
      ["positive", " great"],
    ],
  }),
  SST5: classification({
    fields: "text, label",
    prompt: "{text} It was",
    labels: [
      ["very negative", " terrible"],
      ["negative", " bad"],
      ["neutral", " okay"],
      ["positive", " good"],
      ["very positive", " great"],
    ],
  }),
  RTE: classification({
    fields: "premise, hypothesis, label",
    prompt: "{premise}\nDoes it follow that {hypothesis}\nYes or no?\n",
    labels: [
      ["entailment", "Yes"],
      ["not_entailment", "No"],
    ],
  }),
  CB: classification({
    fields: "premise, hypothesis, label",
    prompt: inference,
    labels: [
      ["entailment", "Yes"],
      ["contradiction", "No"],
      ["neutral", "Maybe"],
    ],
  }),
  BOOLQ: classification({
    fields: "passage, question, label (or answer)",
    prompt: "{passage}\nQuestion: {question}?\nAnswer yes or no:\n",
    labels: yesNo,
    labelFields: ["label", "answer"],
  }),
  WSC: classification({
    fields: "text, span1_text, span2_text, label",
    prompt: '{text}\nIn the text above, does "{span2_text}" stand for {span1_text}?\nYes or no?\n',
    labels: yesNo,
  }),
  WIC: classification({
    fields: "word, sentence1, sentence2, label",
    prompt: '{sentence1}\n{sentence2}\nDoes the word "{word}" mean the same in both sentences?\nYes or no?\n',
    labels: yesNo,
  }),
  MULTIRC: classification({
    fields: "paragraph, question, answer, label",
    prompt: '{paragraph}\nQuestion: {question}\nSomebody answers "{answer}". Is that right?\nYes or no?\n',
    labels: yesNo,
  }),
  COPA: {
    fields: "premise, choice1, choice2, question (cause or effect), label",
    prompt: "{premise, without its full stop} because (of a cause), or so (of an effect)",
    completions: "both choices",
    metric: "accuracy",
    convert: (row) => attempt(() => copa(row)),
  },
  RECORD: {
    fields: "passage, query, entities, answers",
    prompt: "{passage}\\n{query, up to @placeholder}",
    completions: "each entity, and the rest of the query",
    metric: "accuracy",
    convert: (row) => attempt(() => record(row)),
  },
  SQUAD: {
    fields: "title, context, question, answers.text",
    prompt: "Title: {title}\\nText: {context}\\nQuestion: {question}\\nAnswer:",
    completions: "the first answer; all are accepted",
    metric: "F1",
    convert: (row) =>
      attempt(() => {
        const answers = textsOf(row, "answers.text");
        return asked(fill("Title: {title}\nText: {context}\nQuestion: {question}\nAnswer:", row), answers);
      }),
  },
  DROP: {
    fields: "passage, question, answers_spans.spans",
    prompt: "Text: {passage}\\nQuestion: {question}\\nAnswer:",
    completions: "the spans, with commas between them",
    metric: "F1",
    convert: (row) =>
      attempt(() => {
        const spans = [...new Set(textsOf(row, "answers_spans.spans"))];
        return asked(fill("Text: {passage}\nQuestion: {question}\nAnswer:", row), [spans.join(", ")]);
      }),
  },
  TREC: classification({
    fields: "text, coarse_label",
    prompt: "{text}\nThe question asks for",
    labels: [
      ["ABBR", " an abbreviation"],
      ["ENTY", " a thing"],
      ["DESC", " a description"],
      ["HUM", " a person"],
      ["LOC", " a place"],
      ["NUM", " a number"],
    ],
    labelFields: ["coarse_label"],
  }),
  MNLI: classification({ fields: "premise, hypothesis, label", prompt: inference, labels: entailment }),
  SNLI: classification({ fields: "premise, hypothesis, label", prompt: inference, labels: entailment }),
  ALPACA: {
    fields: "instruction, input (may be missing), output",
    prompt: "a conversation: the user says {instruction} and, below it, {input}",
    completions: "the assistant says {output}",
    metric: "loss",
    convert: (row) => attempt(() => alpaca(row)),
  },
  SHAREGPT: {
    fields: "conversations",
    prompt: "a conversation of turns {from, value}: human or user, gpt or assistant, system, tool or observation",
    completions: "what the assistant says",
    metric: "loss",
    convert: (row) => attempt(() => shareGpt(row)),
  },
};

function copa(row: TaskRow) {
  const link = { cause: "because", effect: "so" }[textOf(row, "question")];
  if (!link) throw new RowProblem("question", 'the question must be "cause" or "effect"');
  const premise = textOf(row, "premise").trim().replace(/\.$/u, "");
  const candidates = ["choice1", "choice2"].map((field) => ` ${lowerFirst(textOf(row, field).trim())}`);
  const label = textOf(row, "label");
  const completion = candidates[Number(label)];
  if (label === "" || completion === undefined) throw new RowProblem("label", unknownLabel(label, ["0", "1"]));
  return { prompt: `${premise} ${link}`, completion, candidates };
}

/** Lowercases the start of a sentence inside another, except "I" and acronyms. */
function lowerFirst(text: string): string {
  return /^(?:I\b|[A-Z][A-Z])/u.test(text) ? text : `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
}

const placeholder = "@placeholder";

function record(row: TaskRow) {
  const query = textOf(row, "query");
  const at = query.indexOf(placeholder);
  if (at < 0) throw new RowProblem("query", `the query has no ${placeholder}`);
  const rest = query.slice(at + placeholder.length);
  const before = query.slice(0, at);
  // The completion includes the space before it, like the tokens of words.
  const space = before.endsWith(" ") || before === "" ? " " : "";
  const completed = (entity: string) => `${space}${entity}${rest}`;
  const answers = textsOf(row, "answers");
  const right = new Set(answers);
  const candidates = [
    ...new Set([...answers.slice(0, 1), ...textsOf(row, "entities").filter((one) => !right.has(one))]),
  ];
  if (candidates.length < 2) throw new RowProblem("entities", "there are fewer than two entities to choose from");
  const prompt = `${textOf(row, "passage")}\n${before.trimEnd()}`;
  return { prompt, completion: completed(answers[0] ?? ""), candidates: candidates.map(completed) };
}

/** A question with its accepted answers. A line feed marks the end of an answer. */
function asked(prompt: string, answers: readonly string[]) {
  const accepted = [...new Set(answers)].map((answer) => ` ${answer.trim()}\n`);
  return { prompt, completion: accepted[0] ?? "", answers: accepted };
}

function textsOf(row: TaskRow, field: string): string[] {
  const value = valueOf(row, field);
  const texts = Array.isArray(value) ? value.filter((text): text is string => typeof text === "string") : [];
  if (texts.length > 0) return texts;
  throw new RowProblem(field, `the field "${field}" has no texts (hidden test sets have none)`);
}
