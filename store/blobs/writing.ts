/** Writing bytes to a new file, and what an ended process has left of such files. */
import { createHash, randomUUID } from "node:crypto";
import { open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { msOfDay } from "../../schema/units.ts";
import { type StoredBlob, tooLarge } from "./blobs.ts";

/** On disk before it returns. @throws PAYLOAD_TOO_LARGE, errors of the disk and of the source */
export async function writeAndHash(
  path: string,
  source: AsyncIterable<Uint8Array>,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<StoredBlob> {
  const hash = createHash("sha256");
  let bytes = 0;
  const file = await open(path, "wx");
  try {
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest("hex"), bytes };
}

/** @throws PAYLOAD_TOO_LARGE, errors of the disk */
export async function hashFile(path: string, maxBytes = Number.POSITIVE_INFINITY): Promise<StoredBlob> {
  const { size } = await stat(path);
  if (size > maxBytes) throw tooLarge(maxBytes);
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { sha256: hash.digest("hex"), bytes: size };
}

/** A file that was not written to for so long belongs to a process that is gone. */
export const abandonedMs = msOfDay;

/** By the clock of the folder's file system, which is not always this machine's. */
export async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (names.length === 0) return;
  const now = await timeOf(folder);
  for (const name of names) {
    const path = join(folder, name);
    const modified = await stat(path).then(
      (entry) => entry.mtimeMs,
      () => now,
    );
    if (now - modified > abandonedMs) await rm(path, { force: true });
  }
}

/** What a file that is written now gets, in milliseconds since 1970. */
export async function timeOf(folder: string): Promise<number> {
  const probe = join(folder, `time-${randomUUID()}`);
  try {
    await writeFile(probe, "");
    return (await stat(probe)).mtimeMs;
  } finally {
    await rm(probe, { force: true });
  }
}
