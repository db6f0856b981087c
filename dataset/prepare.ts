/**
 * Prepares the rows of a task as the dataset of a run: converts them, drops duplicates, selects a part of a split and a number
 * of rows per class. Hashes of the rows and a seed decide, so the result does not depend on the order of a file, parts are
 * disjoint, and every machine selects the same rows. Only hashes are kept in memory, and the rows of a sample.
 */
import { createHash } from "node:crypto";
import type { InputIssue } from "../schema/errors.ts";
import { fieldsAdvice } from "./advice.ts";
import { halvesOf } from "./halves.ts";
import { IssueList, unconvertedRows } from "./issues.ts";
import { parseMessages } from "./message.ts";
import type { ChatRow, NumberedObject, TextRow } from "./jsonl.ts";
import { textProblem } from "./text.ts";
import type { PresetName } from "./presets.ts";
import { presets } from "./presets.ts";
import type { Convert, Converted, LabelTemplate, TaskRow } from "./template.ts";
import { byTemplate } from "./template.ts";

export const parts = ["TRAINING", "VALIDATION", "TEST"] as const;
export type Part = (typeof parts)[number];

export interface Preparation {
  /** The format of the rows; prompt and completion if neither preset nor template is given. */
  readonly preset?: PresetName | undefined;
  readonly template?: LabelTemplate | undefined;
  /** The part of a split by `seed`, with shares of all rows; all rows by default. */
  readonly part?: Part | undefined;
  readonly validationShare?: number | undefined;
  readonly testShare?: number | undefined;
  /** Rows per completion, drawn by `seed`; all by default. */
  readonly perClass?: number | undefined;
  readonly seed?: number | undefined;
}

/** Prepared rows as JSON Lines. @throws DATASET_INVALID with the first wrong lines */
export async function* preparedLines(
  rows: AsyncIterable<NumberedObject>,
  preparation: Preparation,
): AsyncGenerator<Uint8Array> {
  for await (const row of prepare(rows, preparation)) yield Buffer.from(`${JSON.stringify(row)}\n`);
}

/** What rows are converted into. */
export type PreparedRow = TextRow | ChatRow;

export async function* prepare(
  rows: AsyncIterable<NumberedObject>,
  preparation: Preparation,
): AsyncGenerator<PreparedRow> {
  const { perClass, seed = 0 } = preparation;
  const wanted = inPart(unique(convertAll(rows, converterOf(preparation))), preparation);
  yield* perClass === undefined ? wanted : sample(wanted, perClass, seed);
}

function converterOf({ preset, template }: Preparation): Convert {
  if (preset) return presets[preset].convert;
  return template ? byTemplate(template) : asRow;
}

function asRow(row: TaskRow): Converted {
  if (Array.isArray(row["messages"])) return { row: row as unknown as ChatRow };
  if (typeof row["prompt"] === "string" && typeof row["completion"] === "string") {
    return { row: row as unknown as TextRow };
  }
  const advice = fieldsAdvice(row) ?? "choose a preset or template for the format of the rows";
  return { issues: [{ field: "prompt", message: `is not a row of prompt and completion; ${advice}` }] };
}

async function* convertAll(rows: AsyncIterable<NumberedObject>, convert: Convert): AsyncGenerator<PreparedRow> {
  const issues = new IssueList();
  for await (const { line, value } of rows) {
    const converted = convert(value);
    const problems = "row" in converted ? textIssues(converted.row) : converted.issues;
    issues.addRow(problems.map((issue) => ({ line, ...issue })));
    if ("row" in converted && problems.length === 0) yield converted.row;
  }
  issues.throwIfAny(unconvertedRows);
}

/** Here and not when the converted rows are read, since their lines are others. */
function textIssues(row: PreparedRow): InputIssue[] {
  if ("messages" in row) {
    const parsed = parseMessages(row.messages);
    return "issues" in parsed ? [...parsed.issues] : [];
  }
  const { prompt, completion } = row;
  return Object.entries({ prompt, completion }).flatMap(([field, text]) => {
    const message = textProblem(text);
    return message === null ? [] : [{ field, message }];
  });
}

/** Drops rows whose prompt and completion occurred before. */
async function* unique(rows: AsyncIterable<PreparedRow>): AsyncGenerator<PreparedRow> {
  const seen = new Set<string>();
  for await (const row of rows) {
    const key = hash("row", halvesOf(row)).toString("base64");
    if (seen.has(key)) continue;
    seen.add(key);
    yield row;
  }
}

async function* inPart(rows: AsyncIterable<PreparedRow>, preparation: Preparation): AsyncGenerator<PreparedRow> {
  const { part, validationShare = 0, testShare = 0, seed = 0 } = preparation;
  for await (const row of rows) {
    // By the prompt alone, so that a prompt with two completions is not in both training and test.
    const share = fraction(hash(`part ${seed}`, { prompt: halvesOf(row).prompt }));
    const its = share < testShare ? "TEST" : share < testShare + validationShare ? "VALIDATION" : "TRAINING";
    if (part === undefined || part === its) yield row;
  }
}

interface Drawn {
  readonly row: PreparedRow;
  readonly order: number;
}

/** The `count` rows of each completion with the lowest hashes, one of each completion in turn. */
async function* sample(rows: AsyncIterable<PreparedRow>, count: number, seed: number): AsyncGenerator<PreparedRow> {
  const classes = new Map<string, Drawn[]>();
  for await (const row of rows) {
    const halves = halvesOf(row);
    const drawn = classes.get(halves.completion) ?? [];
    classes.set(halves.completion, drawn);
    drawn.push({ row, order: fraction(hash(`order ${seed}`, halves)) });
    // Twice as many are kept before they are sorted, so that sorting takes time in proportion to the rows.
    if (drawn.length >= 2 * count + 1) keepLowest(drawn, count);
  }
  let left = [...classes.keys()].toSorted().map((name) => keepLowest(classes.get(name) ?? [], count));
  for (let i = 0; left.length > 0; i++) {
    left = left.filter((drawn) => drawn.length > i);
    for (const drawn of left) yield* drawn.slice(i, i + 1).map(({ row }) => row);
  }
}

function keepLowest(drawn: Drawn[], count: number): Drawn[] {
  const lowest = drawn.toSorted(byOrder);
  drawn.length = 0;
  for (const one of lowest.slice(0, count)) drawn.push(one);
  return drawn;
}

function byOrder(a: Drawn, b: Drawn): number {
  return a.order - b.order;
}

function hash(purpose: string, { prompt, completion = "" }: { prompt: string; completion?: string }): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([purpose, prompt, completion]))
    .digest();
}

/** 48 bits of a hash as a number in [0, 1). */
function fraction(digest: Buffer): number {
  return digest.readUIntBE(0, 6) / 2 ** 48;
}
