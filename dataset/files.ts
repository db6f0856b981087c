/** Files of rows as tasks publish them: JSON Lines or parquet, told apart by their first bytes. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import type { NumberedObject } from "./prepare.ts";
import { jsonRows } from "./prepare.ts";
import type { TaskRow } from "./template.ts";

/** The objects of a file; of parquet, `line` is the row's number, from 1. @throws DATASET_INVALID */
export async function* objectsOf(path: string): AsyncGenerator<NumberedObject> {
  if (await isParquet(path)) yield* parquetObjects(path);
  else yield* jsonRows(createReadStream(path));
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

/** A group of rows at a time. */
async function* parquetObjects(path: string): AsyncGenerator<NumberedObject> {
  const [{ asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet-compressors"),
  ]);
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    let line = 0;
    for (const group of metadata.row_groups) {
      refuseLarge(Number(group.total_byte_size));
      const rowEnd = line + Number(group.num_rows);
      for (const value of await parquetReadObjects({ file, metadata, compressors, rowStart: line, rowEnd })) {
        line += 1;
        yield { line, value: value as TaskRow };
      }
    }
  } catch (cause) {
    if (cause instanceof SteplogError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SteplogError("DATASET_INVALID", `The file cannot be read as parquet: ${reason}.`, [], { cause });
  }
}

/** A group is unpacked whole. */
function refuseLarge(bytes: number): void {
  if (bytes <= limits.parquetGroupBytes) return;
  const seen = `A row group of the parquet file has ${bytes} bytes, unpacked`;
  throw new SteplogError("DATASET_INVALID", `${seen}; the most is ${limits.parquetGroupBytes}. Write smaller groups.`);
}

/** The objects as JSON Lines; whole numbers of 64 bits become numbers. */
export async function* linesOf(objects: AsyncIterable<NumberedObject>): AsyncGenerator<Uint8Array> {
  for await (const { value } of objects) {
    const text = JSON.stringify(value, (_, field: unknown) => (typeof field === "bigint" ? Number(field) : field));
    yield Buffer.from(`${text}\n`);
  }
}
