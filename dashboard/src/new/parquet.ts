/** Reads rows of a parquet file. What reads them is loaded only when there is such a file, and is given up when it takes too long. */
import type { Most, ParquetRows } from "./parquet-rows.ts";
import type { Answer, Asked } from "./parquet-worker.ts";

const patienceMs = 30_000;

/** Null for what cannot be read here: the service says what is wrong with it. */
export function readParquet(file: Blob, most: Most): Promise<ParquetRows | null> {
  const worker = new Worker(new URL("./parquet-worker.ts", import.meta.url), { type: "module" });
  return new Promise<ParquetRows | null>((resolve) => {
    setTimeout(() => resolve(null), patienceMs);
    worker.addEventListener("error", () => resolve(null));
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => resolve(data));
    worker.postMessage({ file, most } satisfies Asked);
  }).finally(() => worker.terminate());
}
