/**
 * One file of the hub, whole and proved. Bytes go to NAME.part; what an interruption leaves of it is hashed and gone on from.
 * The file has its name once its size and checksum are those that the hub lists, so that a file with its name is done.
 */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../../schema/errors.ts";
import type { Hub, HubCommit, HubFile } from "./hub.ts";

/** Pauses between attempts that bring nothing; after the last one the download is given up. */
export const pausesMs: readonly number[] = [1_000, 2_000, 5_000, 10_000, 20_000];

export interface Download {
  readonly hub: Hub;
  readonly commit: HubCommit;
  /** Folder that the file goes into. */
  readonly folder: string;
  /** Called with how many bytes of a file are there. */
  readonly onBytes: (name: string, bytes: number) => void;
  readonly pausesMs: readonly number[];
  /** Aborted to stop; what is there by then stays. */
  readonly signal: AbortSignal;
}

/** @throws what Hub.read does; MODEL_INVALID when the bytes are not those that the hub lists */
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
    await goOn(download, file, part);
  });
  await rename(part, path);
}

/** Tries until it succeeds, fails for good, or has failed too often with nothing gained. */
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

/** Fetches what is missing of the part, and proves the whole. */
async function goOn({ hub, commit, onBytes, signal }: Download, file: HubFile, part: string): Promise<void> {
  if ((await sizeOf(part)) > file.bytes) await rm(part);
  const hash = hashOf(file);
  let at = 0;
  const resumed = await sizeOf(part);
  if (resumed > 0) for await (const chunk of createReadStream(part)) at += update(hash, chunk as Uint8Array);
  onBytes(file.name, at);
  const handle = await open(part, "a");
  try {
    // Nothing is missing of an empty file, and a hub cannot be asked for a range of it.
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
  if (at === file.bytes && seen === file.checksum.hex) return;
  await rm(part, { force: true });
  throw wrongBytes(file, seen, resumed > 0);
}

function hashOf({ bytes, checksum }: HubFile): Hash {
  // Git hashes a file behind a line that says what it is.
  return checksum.kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
}

function update(hash: Hash, chunk: Uint8Array): number {
  hash.update(chunk);
  return chunk.length;
}

/** A part that was gone on from may itself be what is wrong: then the file is worth another try from its start. */
function wrongBytes({ name, checksum }: HubFile, seen: string, resumed: boolean): SteplogError {
  const kind = checksum.kind === "sha256" ? "SHA-256" : "git hash";
  return new SteplogError(
    resumed ? "UNAVAILABLE" : "MODEL_INVALID",
    `${name} came with the ${kind} ${seen}, and the hub lists ${checksum.hex}. What came of it is thrown away; try again, ` +
      "and if it stays so, the hub or what lies between changes the file.",
  );
}
