/** Files of rows as tasks publish them: JSON Lines or parquet, distinguished by their first bytes. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { parquetRows } from "./parquet.ts";
import type { NumberedObject } from "./prepare.ts";
import { jsonRows } from "./prepare.ts";
import type { TaskRow } from "./template.ts";

/** The objects of a file. For parquet, `line` is the number of the row, from 1. @throws DATASET_INVALID */
export async function* objectsOf(path: string): AsyncGenerator<NumberedObject> {
  if (!(await isParquet(path))) {
    yield* jsonRows(createReadStream(path));
    return;
  }
  let line = 0;
  for await (const row of parquetRows(path)) yield { line: ++line, value: JSON.parse(row) as TaskRow };
}

/** The rows of a parquet file as JSON Lines. @throws DATASET_INVALID */
export async function* parquetLines(path: string): AsyncGenerator<Uint8Array> {
  for await (const row of parquetRows(path)) yield Buffer.from(`${row}\n`);
}

export async function isParquet(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1") === "PAR1";
  } finally {
    await file.close();
  }
}
