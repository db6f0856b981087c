/**
 * The rows of a stored dataset, page by page, as their lines stand in the file. A cursor is a place in the file, so that a page
 * reads only its own bytes, however far down it is. Lines are split and not parsed: what is in them is no business of the gateway.
 */
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import type { Dataset } from "../schema/tables.ts";
import type { OwnFile, ProjectStore } from "../store/store.ts";

/** Where a line starts. */
export interface RowPlace {
  /** From 1, blank ones counted, as an editor does. */
  readonly line: number;
  /** Bytes before it. */
  readonly offset: number;
}

export interface StoredRow {
  readonly line: number;
  /** The beginning of its line. */
  readonly text: string;
  readonly bytes: number;
  readonly cut: boolean;
}

export interface StoredRows {
  readonly rows: readonly StoredRow[];
  /** Where the next page starts; null after the last row. */
  readonly endCursor: string | null;
}

/** Bytes that a page reads, unless its first line alone has more. */
const pageBytes = 1024 * 1024;
/** Characters of a row that are shown. */
const mostCharacters = 65_536;
const newline = 10;

interface PageOfRows {
  readonly first: number;
  /** Null for the start of the file. */
  readonly after: RowPlace | null;
}

/** Where the rows of a dataset are on this machine, for withFiles. */
export function rowsOf({ files }: ProjectStore) {
  return async ({ id }: Pick<Dataset, "id">) => (await files.rows(id)).local();
}

/** @throws NOT_FOUND for a dataset that is deleted, INVALID_ARGUMENT for a place at which no line starts, UNAVAILABLE */
export async function storedRows(
  { files }: ProjectStore,
  dataset: Dataset,
  { first, after }: PageOfRows,
): Promise<StoredRows> {
  if (dataset.deletedAt !== null) throw new SteplogError("NOT_FOUND", "The dataset was deleted: its rows are gone.");
  const start = after ?? { line: 1, offset: 0 };
  if (start.offset >= dataset.bytes) return { rows: [], endCursor: null };
  const rows = await files.rows(dataset.id);
  const page = await readPage(rows, start, first, pageBytes);
  // A single line may be longer than a page.
  return page ?? (await readPage(rows, start, first, limits.datasetLineBytes + 2)) ?? refuseCursor();
}

/** Null if not even the first line ends within so many bytes. */
async function readPage(file: OwnFile, start: RowPlace, first: number, most: number): Promise<StoredRows | null> {
  // With the byte before it, which must end a line.
  const { bytes } = file;
  const from = Math.max(0, start.offset - 1);
  const last = Math.min(bytes, start.offset + most) - 1;
  const read = Buffer.concat(await (await file.open({ first: from, last })).toArray());
  if (start.offset > 0 && read[0] !== newline) refuseCursor();
  const window = read.subarray(start.offset - from);
  const isLast = last === bytes - 1;
  const rows: StoredRow[] = [];
  let [at, line] = [0, start.line];
  while (at < window.length) {
    const newlineAt = window.indexOf(newline, at);
    if (newlineAt < 0 && !isLast) break;
    const end = newlineAt < 0 ? window.length : newlineAt;
    const row = rowOf(window.subarray(at, end), line);
    // Blank lines before the next page belong to this one, so that no page is empty.
    if (row && rows.length === first) break;
    if (row) rows.push(row);
    at = end + 1;
    line += 1;
  }
  if (at === 0) return null;
  const offset = start.offset + at;
  return { rows, endCursor: offset < bytes ? cursorOf({ line, offset }) : null };
}

/** Null for a blank line. */
function rowOf(bytes: Buffer, line: number): StoredRow | null {
  const whole = new TextDecoder("utf-8", { ignoreBOM: line > 1 }).decode(bytes);
  if (whole.trim() === "") return null;
  const cut = whole.length > mostCharacters;
  const text = cut ? whole.slice(0, mostCharacters).toWellFormed() : whole;
  return { line, text, bytes: bytes.length, cut };
}

// Cursors

const cursorOf = ({ line, offset }: RowPlace) => `${line}:${offset}`;

/** @throws INVALID_ARGUMENT for what is no cursor of rows */
export function placeOfCursor(cursor: string, field = "after"): RowPlace {
  const [, line, offset] = /^([1-9]\d{0,8}):(\d{1,10})$/u.exec(cursor) ?? [];
  if (line === undefined || offset === undefined) return refuseCursor(field);
  return { line: Number(line), offset: Number(offset) };
}

function refuseCursor(field = "after"): never {
  const message = "must be a cursor that this API returned for this dataset";
  throw new SteplogError("INVALID_ARGUMENT", `${field} ${message}.`, [{ field, message }]);
}
