/** Rows of a parquet file as JSON Lines, from the first on. Its reader is the service's. */
import { parquetMetadataAsync, parquetReadObjects, type AsyncBuffer } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { parquetRowAsJson } from "../../../schema/parquet-row.ts";

/** How much is read; what has more is not read to its end. */
export interface Most {
  readonly rows: number;
  readonly characters: number;
}

export interface ParquetRows {
  readonly lines: readonly string[];
  /** These are all of the file. */
  readonly all: boolean;
}

/** Rows are read in pieces, so that a few rows of many are there at once. */
const pieceRows = 1_000;

/** @throws of the reader, for a file that is damaged */
export async function parquetLines(file: AsyncBuffer, most: Most): Promise<ParquetRows> {
  const metadata = await parquetMetadataAsync(file);
  const count = Number(metadata.num_rows);
  const lines: string[] = [];
  let characters = 0;
  while (lines.length < Math.min(count, most.rows)) {
    const rowStart = lines.length;
    const rowEnd = Math.min(rowStart + pieceRows, count, most.rows);
    for (const row of await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd })) {
      const line = parquetRowAsJson(row);
      characters += line.length + 1;
      if (characters > most.characters) return { lines, all: false };
      lines.push(line);
    }
    if (lines.length < rowEnd) throw new Error("it has fewer rows than it says");
  }
  return { lines, all: lines.length === count };
}
