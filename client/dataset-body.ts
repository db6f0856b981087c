/** The rows of a new dataset as the body of a request: from a file, a stream, or objects. */
import { SteplogError } from "../schema/errors.ts";
import type { Platform } from "./platform.ts";
import type { DatasetPreset } from "./schema-types.ts";

/**
 * One row: text, `{ prompt, completion }`; a conversation, `{ messages: [{ role, content }] }`; or tokens,
 * `{ input_ids, labels }`, two arrays of one length, where a label of -100 is not scored. docs/YOUR_DATA.md lists the fields.
 */
export type DatasetRow = Readonly<Record<string, unknown>>;

export type DatasetInput = {
  /** Name for people, 1 to 200 characters. */
  readonly name: string;
  /** A key of your own: repeating it with the same name and rows returns the first dataset. */
  readonly idempotencyKey?: string;
  /** The task whose published rows these are; without one they are rows as DatasetRow describes. */
  readonly preset?: DatasetPreset;
} & (
  | {
      /** A file of JSON Lines or parquet (Node only). */
      readonly path: string;
    }
  | {
      /** The bytes of such a file. */
      readonly stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Blob;
    }
  | { readonly rows: Iterable<DatasetRow> | AsyncIterable<DatasetRow> }
);

export async function datasetBody(input: DatasetInput, platform: Platform) {
  if ("path" in input) return platform.bodyOf(await platform.openFile(input.path));
  if ("rows" in input) return platform.bodyOf(streamOf(linesOf(input.rows)));
  const { stream } = input;
  if (stream instanceof Blob) return { body: stream };
  return platform.bodyOf(stream instanceof ReadableStream ? stream : streamOf(stream));
}

/** Whether the rows can be read no second time, as those of a stream or of a generator. */
export function isReadOnce(input: DatasetInput): boolean {
  if ("path" in input) return false;
  const source = "rows" in input ? input.rows : input.stream;
  if (source instanceof Blob) return false;
  if (source instanceof ReadableStream) return true;
  // A generator is its own iterator; a list makes a new one each time.
  const iterator: unknown = Symbol.iterator in source ? source[Symbol.iterator]() : source[Symbol.asyncIterator]();
  return iterator === source;
}

async function* linesOf(rows: Iterable<DatasetRow> | AsyncIterable<DatasetRow>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  let line = 0;
  for await (const row of rows) {
    line += 1;
    if (typeof row !== "object" || row === null) {
      const issue = { line, message: "is not an object" };
      throw new SteplogError("DATASET_INVALID", "Every row of a dataset must be an object.", [issue]);
    }
    yield encoder.encode(`${JSON.stringify(row)}\n`);
  }
}

/** ReadableStream.from, which not every browser has. */
function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const next: IteratorResult<Uint8Array, unknown> = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
