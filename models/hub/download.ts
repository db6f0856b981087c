/**
 * Downloads one file of the hub and verifies it. Bytes go to NAME.part, from which an interrupted download resumes. The file
 * gets its name once its size and checksum are those that the hub lists, so a file with its name is complete.
 */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../../schema/errors.ts";
import type { Hub, HubCommit, HubFile } from "./hub.ts";

/** Pauses between attempts that make no progress; after the last one the download fails. */
export const pausesMs: readonly number[] = [1_000, 2_000, 5_000, 10_000, 20_000];

export interface Download {
  readonly hub: Hub;
  readonly commit: HubCommit;
  /** Folder that the file goes into. */
  readonly folder: string;
  /** Called with the number of bytes of a file so far. */
  readonly onBytes: (name: string, bytes: number) => void;
  readonly pausesMs: readonly number[];
  /** Aborting it stops the download and keeps the bytes so far. */
  readonly signal: AbortSignal;
}

/** @throws as Hub.read; MODEL_INVALID when the checksum is not that of the hub */
export async function downloadFile(download: Download, file: HubFile): Promise<void> {
  const { folder, onBytes } = download;
  const path = join(folder, file.name);
  if (file.bytes > 0 && (await sizeOf(path)) === file.bytes) {
    onBytes(file.name, file.bytes);
    return;
  }
  const part = `${path}.part`;
  let before = -1;
  const advanced = async () => (await sizeOf(part)) > before;
  await persist(download, advanced, async () => {
    before = await sizeOf(part);
    await resume(download, file, part);
  });
  await rename(part, path);
}

/** Retries until an attempt succeeds or fails for good, or too many in a row make no progress. */
export async function persist<T>(
  { pausesMs, signal }: Pick<Download, "pausesMs" | "signal">,
  advanced: () => Promise<boolean>,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let fruitless = 0; ;) {
    try {
      return await attempt();
    } catch (error) {
      const passing = error instanceof SteplogError && error.code === "UNAVAILABLE";
      fruitless = (await advanced()) ? 0 : fruitless + 1;
      const pause = pausesMs[Math.max(0, fruitless - 1)];
      if (!passing || signal.aborted || pause === undefined) throw error;
      await delay(pause, undefined, { signal }).catch(() => {});
    }
  }
}

/** Bytes of a file; 0 when there is none. */
export async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Downloads what the .part file lacks, and verifies the whole. */
async function resume({ hub, commit, onBytes, signal }: Download, file: HubFile, part: string): Promise<void> {
  if ((await sizeOf(part)) > file.bytes) await rm(part);
  const hash = hashOf(file);
  let at = 0;
  const resumed = await sizeOf(part);
  if (resumed > 0) for await (const chunk of createReadStream(part)) at += update(hash, chunk as Uint8Array);
  onBytes(file.name, at);
  const handle = await open(part, "a");
  try {
    // An empty file lacks nothing, and a hub cannot serve a range of it.
    const missing = at < file.bytes ? hub.read(commit, file, at) : [];
    for await (const chunk of missing) {
      if (signal.aborted) throw new SteplogError("UNAVAILABLE", `The download of ${file.name} was stopped.`);
      at += update(hash, chunk);
      if (at > file.bytes) break;
      await handle.writeFile(chunk);
      onBytes(file.name, at);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (at < file.bytes) throw new SteplogError("UNAVAILABLE", `${file.name} ended at byte ${at} of ${file.bytes}.`);
  const seen = hash.digest("hex");
  // Somebody else may have written to it meanwhile: then it is not what was hashed.
  const isWhole = (await sizeOf(part)) === file.bytes;
  if (at === file.bytes && isWhole && seen === file.checksum.hex) return;
  await rm(part, { force: true });
  throw wrongBytes(file, seen, resumed > 0 || !isWhole);
}

function hashOf({ bytes, checksum }: HubFile): Hash {
  // Git hashes a header with type and size before the bytes.
  return checksum.kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
}

function update(hash: Hash, chunk: Uint8Array): number {
  hash.update(chunk);
  return chunk.length;
}

/** If the download was resumed, the .part file may be what is wrong: then another attempt from the start is worthwhile. */
function wrongBytes({ name, checksum }: HubFile, seen: string, resumed: boolean): SteplogError {
  const kind = checksum.kind === "sha256" ? "SHA-256" : "git hash";
  return new SteplogError(
    resumed ? "UNAVAILABLE" : "MODEL_INVALID",
    `${name} has the ${kind} ${seen}, but the hub lists ${checksum.hex}. The bytes were discarded. Try again; if it happens ` +
      "again, the hub, or a proxy on the way, alters the file.",
  );
}
