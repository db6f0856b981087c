/** A file that is stored as a dataset, with how far that is. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { SteplogClient } from "../client/index.ts";
import { formatBytes } from "../schema/units.ts";
import { unreadable } from "./files.ts";
import { ProgressLine } from "./output.ts";

/** Most files are there sooner. */
const worthTellingMs = 1_000;

/** The id of the dataset. @throws NOT_FOUND for a file that cannot be read, and what createDataset throws */
export async function uploaded(
  client: SteplogClient,
  path: string,
  key: { readonly idempotencyKey?: string },
): Promise<string> {
  const name = basename(path);
  const progress = new ProgressLine();
  const { size } = await stat(path);
  const started = performance.now();
  const onBytes = (sent: number) => {
    if (performance.now() - started < worthTellingMs) return;
    progress.show(`uploading ${name} ${Math.floor((100 * sent) / Math.max(1, size))}% of ${formatBytes(size)}`);
  };
  try {
    // Read from its beginning each time, should it have to be sent again.
    const stream = { [Symbol.asyncIterator]: () => counted(path, onBytes) };
    return (await client.createDataset({ name, stream, ...key })).id;
  } finally {
    progress.end();
  }
}

async function* counted(path: string, onBytes: (sent: number) => void): AsyncGenerator<Uint8Array> {
  let sent = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) {
      yield chunk;
      sent += chunk.byteLength;
      onBytes(sent);
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
