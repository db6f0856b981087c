/**
 * The rows of a parquet file. Only for the sandbox: a damaged file can make the reader loop, and memory is allocated for the
 * sizes that a file claims before its data can be checked.
 */
import type { FileMetaData } from "hyparquet";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import { parquetRowAsJson } from "../schema/parquet-row.ts";

/** Each row as JSON text. @throws DATASET_INVALID */
export async function* parquetRows(path: string): AsyncGenerator<string> {
  // If the file cannot be opened, that is not the file's fault.
  const file = await asyncBufferFromFile(path);
  const metadata = await attempt(() => parquetMetadataAsync(file));
  const count = Number(metadata.num_rows);
  if (count > limits.datasetRows) throw unreadable(`it has ${count} rows; the limit is ${limits.datasetRows}`);
  requireRowsInGroups(metadata);
  let rowStart = 0;
  let characters = 0;
  for (const group of metadata.row_groups) {
    const size = Number(group.total_byte_size);
    if (size > limits.parquetBytes) {
      throw unreadable(
        `a row group has ${size} bytes uncompressed; the limit is ${limits.parquetBytes}. Write smaller row groups`,
      );
    }
    const rowEnd = rowStart + Number(group.num_rows);
    const from = rowStart;
    const rows = await attempt(() => parquetReadObjects({ file, metadata, compressors, rowStart: from, rowEnd }));
    for (const row of rows) {
      requireValues(row);
      const text = parquetRowAsJson(row);
      characters += text.length;
      if (characters > limits.parquetBytes)
        throw unreadable(`its rows have more than ${limits.parquetBytes} characters`);
      yield text;
    }
    rowStart = rowEnd;
  }
}

/** The reader makes as many rows as the groups claim, with values or without. */
function requireRowsInGroups({ num_rows: count, row_groups: groups }: FileMetaData): void {
  const claimed = groups.reduce((sum, { num_rows: rows }) => sum + rows, 0n);
  if (claimed === count && groups.every(({ num_rows: rows }) => rows >= 0n)) return;
  throw unreadable(`its row groups have ${claimed} rows, and the file ${count}`);
}

/** Values that a file leaves out are null; undefined is what it claims to have and has not. */
function requireValues(row: Readonly<Record<string, unknown>>): void {
  const lacking = Object.entries(row).find(([, value]) => value === undefined);
  if (lacking) throw unreadable(`column ${JSON.stringify(lacking[0])} has fewer values than the file has rows`);
}

async function attempt<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw unreadable(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unreadable(reason: string, cause?: unknown): SteplogError {
  return new SteplogError("DATASET_INVALID", `The file cannot be read as parquet: ${reason}.`, [], { cause });
}
