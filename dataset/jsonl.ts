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
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";

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

/** A turn of a conversation, in the format of hosted fine-tuning services. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
  /** 0 excludes a turn of the assistant from scoring. */
  readonly weight?: number | undefined;
}

export interface ChatRow {
  readonly messages: readonly Message[];
}

export type Row = TextRow | ChatRow | TokenRow;

/** `line` starts at 1 and counts blank lines, like an editor. */
export interface NumberedRow {
  readonly line: number;
  readonly row: Row;
}

type ParsedLine = { row: Row } | { issues: InputIssue[] };

const someTexts = z.array(z.string().min(1, "is empty")).max(limits.labelWords);
const textRowSchema = z
  .object({
    prompt: z.string(),
    completion: z.string().min(1, "is empty"),
    candidates: someTexts.min(2, "needs two or more").optional(),
    answers: someTexts.min(1, "is empty").optional(),
  })
  .superRefine(({ completion, candidates, answers }, context) => {
    const wrong = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (candidates && !candidates.includes(completion)) wrong("candidates", "the completion is not one of them");
    if (candidates && new Set(candidates).size < candidates.length) wrong("candidates", "two of them are equal");
    if (answers && !answers.includes(completion)) wrong("answers", "the completion is not one of them");
  });
const chatRowSchema = z.object({
  messages: z
    .array(
      z.object({
        role: z.enum(["system", "user", "assistant"]),
        content: z.string(),
        weight: z.union([z.literal(0), z.literal(1)]).optional(),
      }),
    )
    .min(1, "is empty"),
});
const tokenRowSchema = z.object({
  input_ids: z.array(z.int().min(0)).min(1, "is empty"),
  labels: z.array(z.int().min(-100)),
});

/**
 * Reads a whole file and counts its rows.
 * @throws DATASET_INVALID with the first wrong lines, or for a file with no rows or too many
 */
export async function checkDataset(source: AsyncIterable<Uint8Array>): Promise<{ rows: number }> {
  const issues = new IssueList();
  let rows = 0;
  for await (const { line, text } of linesOf(source)) {
    const parsed = parseLine(line, text);
    if ("row" in parsed) rows += 1;
    else issues.add(...parsed.issues);
    if (rows > limits.datasetRows) throw invalid(`The dataset has more than ${limits.datasetRows} rows.`);
  }
  issues.throwIfAny("lines cannot be used");
  if (rows === 0) throw invalid('The dataset is empty. Give one {"prompt": "...", "completion": "..."} per line.');
  return { rows };
}

/** The rows of a file that was checked before. @throws DATASET_INVALID at the first wrong line */
export async function* readRows(source: AsyncIterable<Uint8Array>): AsyncGenerator<NumberedRow> {
  for await (const { line, text } of linesOf(source)) {
    const parsed = parseLine(line, text);
    if (!("row" in parsed)) throw invalid(`Line ${line} of the dataset cannot be used.`, parsed.issues);
    yield { line, row: parsed.row };
  }
}

/** The objects of a file, with any fields. @throws DATASET_INVALID with the first lines that are not objects */
export async function* readObjects(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ line: number; value: Readonly<Record<string, unknown>> }> {
  const issues = new IssueList();
  for await (const { line, text } of linesOf(source)) {
    const parsed = parseObject(line, text);
    if ("value" in parsed) yield { line, value: parsed.value as Readonly<Record<string, unknown>> };
    else issues.add(...parsed.issues);
  }
  issues.throwIfAny("lines cannot be used");
}

/** Collects issues: keeps the first ones and counts the rest. */
export class IssueList {
  readonly #kept: InputIssue[] = [];
  #count = 0;

  /** The first issues. */
  get list(): readonly InputIssue[] {
    return this.#kept;
  }

  add(...issues: readonly InputIssue[]): void {
    this.#count += issues.length;
    this.#kept.push(...issues.slice(0, Math.max(0, limits.issuesReported - this.#kept.length)));
  }

  /** @throws DATASET_INVALID with the message "N `what`" if there are any issues */
  throwIfAny(what: string): void {
    const [first] = this.#kept;
    if (!first) return;
    const shown = this.#count > this.#kept.length ? `; the first ${this.#kept.length} are listed` : "";
    const where = first.line === undefined ? "" : `line ${first.line}: `;
    throw invalid(`${this.#count} ${what}${shown}. First, ${where}${first.message}.`, this.#kept);
  }
}

function invalid(message: string, issues: readonly InputIssue[] = []): SteplogError {
  return new SteplogError("DATASET_INVALID", message, issues);
}

function parseLine(line: number, text: string | null): ParsedLine {
  const parsed = parseObject(line, text);
  if (!("value" in parsed)) return parsed;
  const { value } = parsed;
  if ("input_ids" in value) return parseTokens(line, value);
  return "messages" in value ? parseChat(line, value) : parseText(line, value);
}

function parseObject(line: number, text: string | null): { value: object } | { issues: InputIssue[] } {
  if (text === null) return { issues: [{ line, message: "the line is not UTF-8 text" }] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { issues: [{ line, message: `the line is not JSON (${reason})` }] };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ line, message: "the line is not a JSON object" }] };
  }
  return { value };
}

function parseChat(line: number, value: object): ParsedLine {
  const parsed = chatRowSchema.safeParse(value);
  if (!parsed.success) return { issues: fieldIssues(line, value, parsed.error) };
  const { messages } = parsed.data;
  if (messages.some(({ role, content, weight }) => role === "assistant" && content !== "" && weight !== 0)) {
    return { row: parsed.data };
  }
  const message = "has nothing to score: all turns of the assistant are empty or have weight 0";
  return { issues: [{ line, field: "messages", message }] };
}

function parseText(line: number, value: object): ParsedLine {
  const parsed = textRowSchema.safeParse(value);
  return parsed.success ? { row: parsed.data } : { issues: fieldIssues(line, value, parsed.error) };
}

function parseTokens(line: number, value: object): ParsedLine {
  const parsed = tokenRowSchema.safeParse(value);
  if (!parsed.success) return { issues: fieldIssues(line, value, parsed.error) };
  const { input_ids: ids, labels } = parsed.data;
  if (ids.length !== labels.length) {
    const message = `has ${labels.length} numbers where input_ids has ${ids.length}`;
    return { issues: [{ line, field: "labels", message }] };
  }
  if (labels.slice(1).every((label) => label < 0)) {
    return {
      issues: [{ line, field: "labels", message: "has nothing to score: every label after the first is -100" }],
    };
  }
  return { row: parsed.data };
}

function fieldIssues(line: number, value: object, error: z.ZodError): InputIssue[] {
  return error.issues.map((issue) => {
    const field = issue.path.join(".");
    const missing = issue.path.length === 1 && !(field in value);
    return { line, field, message: missing ? `the field "${field}" is missing` : `"${field}": ${issue.message}` };
  });
}

/** The text of lines that are not blank; null for a line that is not UTF-8. */
async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<{ line: number; text: string | null }> {
  let line = 0;
  for await (const bytes of splitLines(source)) {
    line += 1;
    const text = decode(bytes, line === 1);
    if (text?.trim() !== "") yield { line, text };
  }
}

/** Some editors write a byte order mark, so one is allowed at the start. */
function decode(bytes: Uint8Array, first: boolean): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: !first }).decode(bytes);
  } catch {
    return null;
  }
}

/**
 * Splits at line feeds only (node:readline would also split at U+2028, which JSON strings may contain).
 * @throws DATASET_INVALID for a line over the limit, before it fills the memory
 */
async function* splitLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let line = 1;
  const keep = (part: Uint8Array) => {
    parts.push(part);
    length += part.length;
    if (length > limits.datasetLineBytes) {
      throw invalid(`Line ${line} is longer than ${limits.datasetLineBytes} bytes.`, [{ line, message: "too long" }]);
    }
  };
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      keep(chunk.subarray(start, end));
      yield Buffer.concat(parts);
      parts = [];
      length = 0;
      line += 1;
      start = end + 1;
    }
    if (start < chunk.length) keep(chunk.slice(start));
  }
  if (length > 0) yield Buffer.concat(parts);
}
