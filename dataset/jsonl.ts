/**
 * Dataset files: JSON Lines in UTF-8, one row per line. There are three kinds of rows:
 *
 * - text, {"prompt": "...", "completion": "..."}: the completion is scored. Optional are "candidates" to choose from, and
 *   "answers", all that are accepted.
 * - a conversation, {"messages": [{"role": "user", "content": "..."}, ...]}: the assistant's turns are scored.
 * - tokens, {"input_ids": [...], "labels": [...]}: every label except -100 is scored.
 *
 * Other fields are ignored. Files are read as streams; a file with wrong lines is refused, and the first of them are reported.
 */
import { z } from "zod";
import type { InputIssue } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import { counted } from "../schema/units.ts";
import { arrayAdvice, fieldsAdvice, syntaxAdvice } from "./advice.ts";
import { invalid, IssueList, shorten, unusableLines } from "./issues.ts";
import type { Line } from "./lines.ts";
import { linesOf } from "./lines.ts";
import type { Message } from "./message.ts";
import { parseMessages } from "./message.ts";
import { textProblem } from "./text.ts";

export interface TextRow {
  readonly prompt: string;
  readonly completion: string;
  /** Completions to choose from, including the right one; the run's label words by default. */
  readonly candidates?: readonly string[] | undefined;
  /** All accepted answers, including the completion, for objectives in which the model generates the answer. */
  readonly answers?: readonly string[] | undefined;
}

interface TokenRow {
  readonly input_ids: readonly number[];
  readonly labels: readonly number[];
}

export interface ChatRow {
  readonly messages: readonly Message[];
  /** Definitions of tools, as the model's chat template takes them. */
  readonly tools?: readonly object[] | undefined;
}

export type Row = TextRow | ChatRow | TokenRow;

/** `line` starts at 1 and counts blank lines, like an editor. */
export interface NumberedRow {
  readonly line: number;
  readonly row: Row;
}

type Fields = Readonly<Record<string, unknown>>;

/** An object of a file, with any fields. */
export interface NumberedObject {
  readonly line: number;
  readonly value: Fields;
}

type ParsedLine = { readonly row: Row } | { readonly issues: readonly InputIssue[] };

/** A row, or what is wrong with its line. */
export type ParsedRow = NumberedRow | { readonly line: number; readonly issues: readonly InputIssue[] };

const someText = z.string().superRefine((text, context) => {
  const problem = textProblem(text);
  if (problem !== null) context.addIssue({ code: "custom", message: problem });
});
const completionText = someText.min(1, "is empty");
const someTexts = z.array(completionText);
const textRowSchema = z
  .object({
    prompt: someText,
    completion: completionText,
    candidates: someTexts.min(2, "needs two or more").optional(),
    answers: someTexts.min(1, "is empty").optional(),
  })
  .superRefine(({ completion, candidates, answers }, context) => {
    const wrong = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (candidates && !candidates.includes(completion)) wrong("candidates", "the completion is not one of them");
    if (candidates && new Set(candidates).size < candidates.length) wrong("candidates", "two of them are equal");
    if (answers && !answers.includes(completion)) wrong("answers", "the completion is not one of them");
  });
/** Longest lists of a row. Longer ones are refused before their elements are checked. */
const longestLists = {
  messages: { most: limits.turns, what: "turns" },
  tools: { most: limits.turns, what: "tools" },
  candidates: { most: limits.labelWords, what: "texts" },
  answers: { most: limits.labelWords, what: "texts" },
} as const;

/**
 * Reads a whole file and counts its rows.
 * @throws DATASET_INVALID with the first wrong lines, or for a file with no rows or too many
 */
export async function checkDataset(source: AsyncIterable<Uint8Array>): Promise<{ rows: number }> {
  const issues = new IssueList();
  let rows = 0;
  for await (const parsed of parseRows(source)) {
    if ("row" in parsed) rows += 1;
    else issues.addRow(parsed.issues);
    if (rows > limits.datasetRows) throw invalid(`The dataset has more than ${limits.datasetRows} rows.`);
  }
  issues.throwIfAny(unusableLines);
  if (rows === 0) throw invalid('The dataset is empty. Give one {"prompt": "...", "completion": "..."} per line.');
  return { rows };
}

/** The rows of a file that was checked before. @throws DATASET_INVALID at the first wrong line */
export async function* readRows(source: AsyncIterable<Uint8Array>): AsyncGenerator<NumberedRow> {
  for await (const parsed of parseRows(source)) {
    if (!("row" in parsed)) {
      const issues = new IssueList();
      issues.addRow(parsed.issues);
      throw invalid(`Line ${parsed.line} of the dataset cannot be used.`, issues.list);
    }
    yield parsed;
  }
}

/** Every line that is not blank. @throws DATASET_INVALID for a line that is too long, or a file that is one JSON array */
export async function* parseRows(source: AsyncIterable<Uint8Array>): AsyncGenerator<ParsedRow> {
  for await (const line of jsonLinesOf(source)) yield { line: line.line, ...parseLine(line) };
}

/** The objects of a file, with any fields. @throws DATASET_INVALID with the first lines that are not objects */
export async function* readObjects(source: AsyncIterable<Uint8Array>): AsyncGenerator<NumberedObject> {
  const issues = new IssueList();
  for await (const line of jsonLinesOf(source)) {
    const parsed = parseObject(line);
    if ("value" in parsed) yield { line: line.line, value: parsed.value };
    else issues.addRow(parsed.issues);
  }
  issues.throwIfAny(unusableLines);
}

/** @throws DATASET_INVALID for a file that is one JSON array */
async function* jsonLinesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let first = true;
  for await (const line of linesOf(source)) {
    const message = first ? arrayAdvice(line.text ?? "") : null;
    if (message !== null) throw invalid(`These are not rows: ${message}.`, [{ line: line.line, message }]);
    first = false;
    yield line;
  }
}

function parseLine(source: Line): ParsedLine {
  const parsed = parseObject(source);
  if (!("value" in parsed)) return parsed;
  const { line } = source;
  const value = withoutNulls(parsed.value);
  const issues = listIssues(value).map((issue) => ({ line, ...issue }));
  if (issues.length > 0) return { issues };
  if ("input_ids" in value) return parseTokens(line, value);
  return "messages" in value ? parseChat(line, value) : parseText(line, value);
}

function parseObject({ line, text }: Line): { value: Fields } | { issues: InputIssue[] } {
  if (text === null) return { issues: [{ line, message: "the line is not UTF-8 text" }] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = shorten(error instanceof Error ? error.message : String(error));
    return { issues: [{ line, message: syntaxAdvice(text, reason) }] };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ line, message: "the line is not a JSON object" }] };
  }
  return { value: value as Fields };
}

function listIssues(value: Fields): InputIssue[] {
  return Object.entries(longestLists).flatMap(([field, { most, what }]) => {
    const list = value[field];
    if (!Array.isArray(list) || list.length <= most) return [];
    return [{ field, message: `"${field}" has ${list.length} ${what}; the limit is ${most}` }];
  });
}

/** A field that is null is missing: programs that write tables as JSON write nulls. */
function withoutNulls(value: Fields): Fields {
  const present = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(present);
}

function parseChat(line: number, value: Fields): ParsedLine {
  const parsed = parseMessages(value["messages"]);
  if ("issues" in parsed) return { issues: parsed.issues.map((issue) => ({ line, ...issue })) };
  const { messages } = parsed;
  const { tools } = value;
  if (tools !== undefined && !isObjects(tools)) {
    return { issues: [{ line, field: "tools", message: '"tools": must be a list of objects' }] };
  }
  if (messages.some(saysSomething)) return { row: tools ? { messages, tools } : { messages } };
  const message = "has nothing to score: all turns of the assistant are empty or have weight 0";
  return { issues: [{ line, field: "messages", message }] };
}

function isObjects(value: unknown): value is readonly object[] {
  return Array.isArray(value) && value.every((one) => typeof one === "object" && one !== null);
}

function saysSomething({ role, content, weight, tool_calls: calls }: Message): boolean {
  const texts = typeof content === "string" ? [content] : content.map(({ text }) => text);
  return role === "assistant" && weight !== 0 && (calls !== undefined || texts.some((text) => text !== ""));
}

function parseText(line: number, value: Fields): ParsedLine {
  const parsed = textRowSchema.safeParse(value);
  if (parsed.success) return { row: parsed.data };
  const advice = "prompt" in value && "completion" in value ? null : fieldsAdvice(value);
  const issues = fieldIssues(line, value, parsed.error);
  // Once is enough: both fields may be missing.
  return {
    issues: issues.map((issue, i) =>
      advice !== null && i === 0 ? { ...issue, message: `${issue.message}: ${advice}` } : issue,
    ),
  };
}

function parseTokens(line: number, value: Fields): ParsedLine {
  const { input_ids: ids, labels } = value;
  if (!isNumbers(ids, 0) || ids.length === 0) return { issues: [numbersIssue(line, value, "input_ids", 0)] };
  if (!isNumbers(labels, -100)) return { issues: [numbersIssue(line, value, "labels", -100)] };
  if (ids.length !== labels.length) {
    const message = `has ${counted(labels.length, "number")} where input_ids has ${ids.length}`;
    return { issues: [{ line, field: "labels", message }] };
  }
  if (labels.every((label, index) => index === 0 || label < 0)) {
    return {
      issues: [{ line, field: "labels", message: "has nothing to score: every label after the first is -100" }],
    };
  }
  return { row: { input_ids: ids, labels } };
}

/** Token ids and labels are kept as 32-bit integers. */
function isNumber(value: unknown, least: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value < 2 ** 31;
}

function isNumbers(value: unknown, least: number): value is number[] {
  return Array.isArray(value) && value.every((number) => isNumber(number, least));
}

/** By hand, since a list may have a million elements that are all wrong. */
function numbersIssue(line: number, value: Fields, field: string, least: number): InputIssue {
  const list = value[field];
  if (list === undefined) return { line, field, message: `the field "${field}" is missing` };
  if (!Array.isArray(list)) return { line, field, message: `"${field}": must be a list of whole numbers` };
  if (list.length === 0) return { line, field, message: `"${field}": is empty` };
  const path = `${field}.${list.findIndex((number) => !isNumber(number, least))}`;
  return { line, field: path, message: `"${path}": must be a whole number from ${least} to ${2 ** 31 - 1}` };
}

function fieldIssues(line: number, value: Fields, error: z.ZodError): InputIssue[] {
  return error.issues.map((issue) => {
    const field = issue.path.join(".");
    const missing = issue.path.length === 1 && !(field in value);
    return { line, field, message: missing ? `the field "${field}" is missing` : `"${field}": ${issue.message}` };
  });
}
