/**
 * CSV with a header: each record becomes a row whose fields are the columns. Commas, semicolons and tabs separate, as the header
 * has them; cells may be quoted, also over several lines. `line` is where a record starts in the file.
 */
import { pipeline } from "node:stream";
import type { Info } from "csv-parse";
import { CsvError, parse } from "csv-parse";
import { parse as parseAll } from "csv-parse/sync";
import type { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import { invalid, shorten } from "./issues.ts";
import type { NumberedObject } from "./jsonl.ts";

export interface CsvHeader {
  readonly delimiter: string;
  readonly columns: readonly string[];
}

const delimiters = [",", ";", "\t"];
const longestColumn = 64;

/** The header of a text that begins like CSV; null for other texts. `start` is the first line, or as much of it as is known. */
export function csvHeader(start: string): CsvHeader | null {
  const line = start.replace(/^\ufeff/u, "");
  if (/^\s*[{[]/u.test(line)) return null;
  const found = delimiters.map((delimiter) => ({ delimiter, columns: cellsOf(line, delimiter) }));
  const [header] = found.toSorted((a, b) => b.columns.length - a.columns.length);
  return header && header.columns.length >= 2 && areColumns(header.columns) ? header : null;
}

function cellsOf(line: string, delimiter: string): string[] {
  try {
    const [cells = []] = parseAll(line, { delimiter, to: 1, trim: true });
    return cells;
  } catch {
    return [];
  }
}

/** Names, and not the commas of a sentence. */
function areColumns(columns: readonly string[]): boolean {
  const names = columns.every((name) => name !== "" && name.length <= longestColumn && !/[.!?]$/u.test(name));
  return names && new Set(columns).size === columns.length;
}

/** The records as objects of text. @throws DATASET_INVALID naming the line */
export async function* csvObjects(
  source: AsyncIterable<Uint8Array>,
  { delimiter }: CsvHeader,
): AsyncGenerator<NumberedObject> {
  const parser = parse({
    delimiter,
    bom: true,
    info: true,
    columns: (names: string[]) => names.map((name) => name.trim()),
    skip_empty_lines: true,
    max_record_size: limits.datasetLineBytes,
  });
  // The parser ends with the source's error, and throws it below.
  pipeline(textOf(source), parser, () => {});
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Record<string, string>; info: Info }>) {
      yield { line: info.lines - lineFeedsIn(record), value: withLists(record) };
    }
  } catch (error) {
    throw error instanceof CsvError ? unreadable(error) : error;
  }
}

async function* textOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    for await (const bytes of source) yield decoder.decode(bytes, { stream: true });
    yield decoder.decode();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw invalid("The file begins like CSV, but it is not UTF-8 text. Save it as UTF-8.", [], { cause });
  }
}

/** A record's line is counted at its end. */
function lineFeedsIn(record: Readonly<Record<string, string>>): number {
  return Object.values(record).reduce((count, cell) => count + (cell.match(/\n/gu)?.length ?? 0), 0);
}

/** Columns that hold lists in rows of JSON: a cell has them as JSON, and an empty cell is a missing field. */
const listColumns = ["candidates", "answers", "messages", "input_ids", "labels", "tools"];

function withLists(record: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> {
  const lists = listColumns.filter((name) => name in record);
  if (lists.length === 0) return record;
  return { ...record, ...Object.fromEntries(lists.map((name) => [name, listIn(record[name] ?? "")])) };
}

function listIn(cell: string): unknown {
  if (cell === "") return null;
  if (!cell.startsWith("[")) return cell;
  try {
    return JSON.parse(cell);
  } catch {
    return cell;
  }
}

function unreadable(error: CsvError & { readonly lines?: number }): SteplogError {
  const line = error.lines ?? 1;
  const message = csvMessages[error.code] ?? shorten(error.message);
  return invalid(`The file begins like CSV, but line ${line} cannot be read: ${message}.`, [{ line, message }]);
}

const csvMessages: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_COLUMNS:
    "it has another number of cells than the header. Put cells that contain the separator or line feeds in double quotes",
  CSV_QUOTE_NOT_CLOSED: "a quoted cell begins here and never ends",
  CSV_INVALID_CLOSING_QUOTE: 'a quoted cell goes on after its quote. Write a quote inside a quoted cell twice: ""',
  INVALID_OPENING_QUOTE:
    'a quote is inside a cell that does not begin with one. Quote the whole cell, and write "" inside it',
  CSV_MAX_RECORD_SIZE: `it is longer than ${limits.datasetLineBytes} bytes`,
};
