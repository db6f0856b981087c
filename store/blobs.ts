/**
 * Blobs: files named by their SHA-256, in a folder that server and workers share: blobs/ab/abcdef...
 *
 * A blob appears whole or not at all: the bytes are written to a new file under incoming/, hashed on the way and synced, and
 * the file is renamed. Two uploads of the same bytes end as one file.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SteplogError, asDiskError } from "../schema/errors.ts";
import type { Readable } from "node:stream";

export interface Blobs {
  /** Stores the bytes under their SHA-256, on disk before it returns; an interrupted source leaves nothing. */
  put(source: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<{ sha256: string; bytes: number }>;
  /** @throws NOT_FOUND when there is no such blob */
  open(sha256: string): Promise<Readable>;
  path(sha256: string): string;
  remove(sha256: string): Promise<void>;
}

/** An upload older than this belongs to a process that is gone. */
const abandonedMs = 24 * 3_600_000;

export async function openBlobs(storageDir: string): Promise<Blobs> {
  const incoming = join(storageDir, "incoming");
  const failed = (error: unknown) => storageFailed(storageDir, error);
  await mkdir(incoming, { recursive: true }).then(() => removeAbandoned(incoming), failed);
  const path = (sha256: string): string => pathOf(storageDir, sha256);
  return {
    path,
    async put(source, options = {}) {
      const temporary = join(incoming, randomUUID());
      try {
        const written = await writeAndHash(temporary, source, options.maxBytes ?? Number.POSITIVE_INFINITY);
        await publish(temporary, path(written.sha256));
        return written;
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => {});
        return failed(error);
      }
    },
    async open(sha256) {
      const file = await open(path(sha256)).catch((error: unknown) => failed(missingBlob(error, sha256)));
      return file.createReadStream();
    },
    async remove(sha256) {
      await rm(path(sha256), { force: true }).catch(failed);
    },
  };
}

function pathOf(storageDir: string, sha256: string): string {
  // The name comes from clients, so only a hash may become part of a path.
  if (!/^[0-9a-f]{64}$/u.test(sha256)) {
    throw new SteplogError("INVALID_ARGUMENT", `${JSON.stringify(sha256)} is not a SHA-256 of 64 hex digits.`);
  }
  return join(storageDir, "blobs", sha256.slice(0, 2), sha256);
}

async function writeAndHash(path: string, source: AsyncIterable<Uint8Array>, maxBytes: number) {
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

/** A rename survives a crash once its folder is synced, and a new folder once its parent is. */
async function publish(temporary: string, path: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await rename(temporary, path);
  await syncFolder(folder);
  await syncFolder(dirname(folder));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeAbandoned(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    const modified = await stat(path).then(
      (entry) => entry.mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - modified > abandonedMs) await rm(path, { force: true });
  }
}

function tooLarge(maxBytes: number): SteplogError {
  return new SteplogError("PAYLOAD_TOO_LARGE", `The upload is larger than ${maxBytes} bytes.`);
}

function missingBlob(error: unknown, sha256: string): unknown {
  const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
  return isMissing ? new SteplogError("NOT_FOUND", `There is no blob ${sha256}.`) : error;
}

/** Disk errors get a code; other errors come from the caller's source and pass through. */
function storageFailed(storageDir: string, error: unknown): never {
  throw asDiskError(error, `The storage folder ${storageDir}`);
}
