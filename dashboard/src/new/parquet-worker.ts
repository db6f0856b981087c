/** Reads parquet in a thread of its own, which parquet.ts ends: a damaged file can make the reader loop. */
import { parquetLines, type Most, type ParquetRows } from "./parquet-rows.ts";

export interface Asked {
  readonly file: Blob;
  readonly most: Most;
}

/** Null for what cannot be read. */
export type Answer = ParquetRows | null;

addEventListener("message", ({ data: { file, most } }: MessageEvent<Asked>) => {
  const bytes = {
    byteLength: file.size,
    slice: (from: number, to?: number) => file.slice(from, to).arrayBuffer(),
  };
  parquetLines(bytes, most).then(answer, unread);
});

function answer(rows: Answer): void {
  postMessage(rows);
}

/** The fault is the file's: the service is not asked. */
function unread(): void {
  answer(null);
}
