/**
 * Reads a parquet file and sends some rows per message, each after the one before was handled. It runs in a thread with its own
 * heap limit, because memory is allocated for the sizes that a file claims before its data can be checked.
 */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { invariant } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";

/** Rows as JSON texts, or why there are no more. */
export type ParquetMessage =
  | { readonly type: "rows"; readonly rows: readonly string[] }
  | { readonly type: "refused"; readonly message: string }
  | { readonly type: "end" };

/** A message ends with the row that reaches one of these. */
const messageSize = { rows: 500, characters: 1_000_000 };

const port = parentPort;
invariant(port, "parquet-thread.ts runs in a worker thread");
const { path } = workerData as { readonly path: string };
// If the file cannot be opened, that is not the file's fault: the error ends the thread.
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
  if (count > limits.datasetRows) throw new Error(`it has ${count} rows; the limit is ${limits.datasetRows}`);
  let done = 0;
  let total = 0;
  for (const group of metadata.row_groups) {
    const size = Number(group.total_byte_size);
    if (size > limits.parquetBytes) {
      throw new Error(
        `a row group has ${size} bytes uncompressed; the limit is ${limits.parquetBytes}. Write smaller row groups`,
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
      if (rows.length < messageSize.rows && characters < messageSize.characters) continue;
      await send(rows);
      rows = [];
      characters = 0;
    }
    await send(rows);
    done = rowEnd;
  }
}

/** A missing value of a column is left out; 64-bit integers become numbers. */
function asJson(this: unknown, _key: string, value: unknown): unknown {
  if (value === null) return Array.isArray(this) ? null : undefined;
  return typeof value === "bigint" ? Number(value) : value;
}

async function send(rows: readonly string[]): Promise<void> {
  invariant(port, "parquet-thread.ts runs in a worker thread");
  port.postMessage({ type: "rows", rows } satisfies ParquetMessage);
  await once(port, "message");
}
