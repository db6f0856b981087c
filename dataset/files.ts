/** Rows as people have them: JSON Lines, CSV with a header, or parquet, distinguished by their first bytes. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { CsvHeader } from "./csv.ts";
import { csvHeader, csvObjects } from "./csv.ts";
import { invalid, listOf } from "./issues.ts";
import type { NumberedObject } from "./jsonl.ts";
import { readObjects } from "./jsonl.ts";
import { parquetRows } from "./parquet.ts";
import type { TaskRow } from "./template.ts";

export interface RowsFile {
  /** JSON Lines. */
  readonly lines: AsyncIterable<Uint8Array>;
  /** Whether these are the bytes of the file. */
  readonly asIs: boolean;
}

/** The rows of a file as JSON Lines. @throws DATASET_INVALID */
export async function openRows(path: string): Promise<RowsFile> {
  const format = await formatOf(path);
  if (format === "parquet") return { lines: parquetLines(path), asIs: false };
  if (format === "jsonl") return { lines: createReadStream(path), asIs: true };
  refuseColumns(format);
  return { lines: csvLines(path, format), asIs: false };
}

/** The objects of a file, to be prepared. For parquet, `line` is the number of the row, from 1. @throws DATASET_INVALID */
export async function* objectsOf(path: string): AsyncGenerator<NumberedObject> {
  const format = await formatOf(path);
  if (format === "jsonl") yield* readObjects(createReadStream(path));
  else if (format === "parquet") yield* parquetObjects(path);
  else yield* csvObjects(createReadStream(path), format);
}

async function* parquetObjects(path: string): AsyncGenerator<NumberedObject> {
  let line = 0;
  for await (const row of parquetRows(path)) yield { line: ++line, value: JSON.parse(row) as TaskRow };
}

async function* parquetLines(path: string): AsyncGenerator<Uint8Array> {
  for await (const row of parquetRows(path)) yield Buffer.from(`${row}\n`);
}

/** The records of CSV as JSON Lines. Blank lines keep the numbers that the records have in the file. */
async function* csvLines(path: string, header: CsvHeader): AsyncGenerator<Uint8Array> {
  let written = 0;
  for await (const { line, value } of csvObjects(createReadStream(path), header)) {
    yield Buffer.from(`${"\n".repeat(Math.max(0, line - written - 1))}${JSON.stringify(value)}\n`);
    written = Math.max(line, written + 1);
  }
}

/** Bytes in which the first line of CSV must end. */
const headerBytes = 16_384;

async function formatOf(path: string): Promise<"parquet" | "jsonl" | CsvHeader> {
  const start = await startOf(path);
  if (start.subarray(0, 4).toString("latin1") === "PAR1") return "parquet";
  const [line = ""] = start.toString("utf8").split("\n");
  return (line.length < headerBytes ? csvHeader(line) : null) ?? "jsonl";
}

async function startOf(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** @throws DATASET_INVALID for CSV whose columns are not those of rows */
function refuseColumns({ columns }: CsvHeader): void {
  const kinds = [["prompt", "completion"], ["messages"], ["input_ids", "labels"]];
  if (kinds.some((fields) => fields.every((field) => columns.includes(field)))) return;
  const message =
    `the file looks like CSV with the columns ${listOf(columns)}. Name them prompt and completion, or prepare the rows with a ` +
    "preset or a template; give bare text as JSON Lines";
  throw invalid(`The dataset cannot be used: ${message}.`, [{ line: 1, message }]);
}
