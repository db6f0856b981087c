/**
 * Reads a parquet file, some rows a message, each when the one before was taken. In a thread with a heap of its own: sizes in such
 * a file are claims, and what they claim is asked for before it is seen.
 */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { invariant } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";

/** Rows as JSON texts; or why there are no more. */
export type ParquetMessage =
  | { readonly type: "rows"; readonly rows: readonly string[] }
  | { readonly type: "refused"; readonly message: string }
  | { readonly type: "end" };

/** A message has so many rows, or characters, and the row that goes beyond. */
const most = { rows: 500, characters: 1_000_000 };

const port = parentPort;
invariant(port, "parquet is read in a thread of its own");
const { path } = workerData as { readonly path: string };
// A file that cannot be read at all is no fault of its own: that error ends the thread.
const file = await asyncBufferFromFile(path);
try {
  await sendRows();
  port.postMessage({ type: "end" } satisfies ParquetMessage);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  port.postMessage({ type: "refused", message } satisfies ParquetMessage);
}
port.close();

async function sendRows(): Promise<void> {
  const metadata = await parquetMetadataAsync(file);
  const count = Number(metadata.num_rows);
  if (count > limits.datasetRows) throw new Error(`it has ${count} rows; the most is ${limits.datasetRows}`);
  let done = 0;
  let total = 0;
  for (const group of metadata.row_groups) {
    const size = Number(group.total_byte_size);
    if (size > limits.parquetBytes) {
      throw new Error(
        `a row group has ${size} bytes, unpacked; the most is ${limits.parquetBytes}. Write smaller groups`,
      );
    }
    const rowEnd = done + Number(group.num_rows);
    const values = await parquetReadObjects({ file, metadata, compressors, rowStart: done, rowEnd });
    let rows: string[] = [];
    let characters = 0;
    for (const value of values) {
      const text = JSON.stringify(value, asJson);
      total += text.length;
      if (total > limits.parquetBytes) throw new Error(`its rows have more than ${limits.parquetBytes} characters`);
      rows.push(text);
      characters += text.length;
      if (rows.length < most.rows && characters < most.characters) continue;
      await send(rows);
      rows = [];
      characters = 0;
    }
    await send(rows);
    done = rowEnd;
  }
}

/** A column's missing value is no field; whole numbers of 64 bits become numbers. */
function asJson(this: unknown, _key: string, value: unknown): unknown {
  if (value === null) return Array.isArray(this) ? null : undefined;
  return typeof value === "bigint" ? Number(value) : value;
}

async function send(rows: readonly string[]): Promise<void> {
  invariant(port, "parquet is read in a thread of its own");
  port.postMessage({ type: "rows", rows } satisfies ParquetMessage);
  await once(port, "message");
}
