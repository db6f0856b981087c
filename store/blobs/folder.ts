/**
 * Blobs in a folder that gateway and workers share: blobs/ab/abcdef...
 *
 * The bytes are written to a new file under incoming/, hashed on the way and synced, and the file is renamed. Two uploads of the
 * same bytes end as one file. A blob's own path is its local file; each process hashes it before it first uses it.
 */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { asDiskError } from "../../schema/errors.ts";
import { type Blobs, type StoredBlob, blobName, isHash, missingBlob, otherBytes, verified } from "./blobs.ts";
import { hashFile, removeAbandoned, writeAndHash } from "./writing.ts";

/** More than a file system keeps beside a file's name, so that it needs a block. */
const probedBytes = 8_192;

/** Creates the folder if it is missing. @throws UNAVAILABLE */
export async function openFolder(storageDir: string): Promise<Blobs> {
  const place = `the storage folder ${storageDir}`;
  const incoming = join(storageDir, "incoming");
  const failed = (error: unknown) => storageFailed(storageDir, error);
  await mkdir(incoming, { recursive: true }).then(() => removeAbandoned(incoming), failed);
  const pathOf = (sha256: string) => join(storageDir, "blobs", blobName(sha256));
  const checked = new CheckedFiles();
  return {
    place,
    check: async () => {},
    async probe() {
      const temporary = join(incoming, randomUUID());
      try {
        await writeFile(temporary, new Uint8Array(probedBytes));
      } catch (error) {
        failed(error);
      } finally {
        await rm(temporary, { force: true }).catch(() => {});
      }
    },
    tidy: () => removeAbandoned(incoming).catch(failed),
    async put(source, { maxBytes, announce } = {}) {
      const temporary = join(incoming, randomUUID());
      try {
        const stream = typeof source === "string" ? createReadStream(source) : source;
        const written = await writeAndHash(temporary, stream, maxBytes);
        await announce?.(written.sha256);
        await publish(temporary, pathOf(written.sha256));
        return written;
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => {});
        return failed(error);
      }
    },
    has: (sha256) => isFile(pathOf(sha256)),
    async open(sha256, range) {
      const path = pathOf(sha256);
      const file = await open(path).catch((error: unknown) => failed(asMissing(error, sha256, place)));
      if (range) return file.createReadStream({ start: range.first, end: range.last });
      return Readable.from(verified(file.createReadStream(), sha256, path), { objectMode: false });
    },
    async local(sha256) {
      const path = pathOf(sha256);
      await checked.check(path, sha256).catch(failed);
      return { path, isCopy: false, release() {} };
    },
    link: async () => null,
    async remove(sha256) {
      await rm(pathOf(sha256), { force: true }).catch(failed);
    },
    list: () => listBlobs(join(storageDir, "blobs")),
    close() {},
  };
}

/** Files that were read and have their hashes. A file is read again once its size or one of its times differs. */
class CheckedFiles {
  readonly #stamps = new Map<string, string>();

  /** @throws DATA_CORRUPT, errors of the disk */
  async check(path: string, sha256: string): Promise<void> {
    const { size, ino, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    const stamp = `${size} ${ino} ${mtimeNs} ${ctimeNs}`;
    if (this.#stamps.get(sha256) === stamp) return;
    const { sha256: seen } = await hashFile(path);
    if (seen !== sha256) throw otherBytes(path, seen);
    this.#stamps.set(sha256, stamp);
  }
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

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function* listBlobs(folder: string): AsyncGenerator<StoredBlob> {
  const inOrder = async (path: string) => (await readdir(path).catch((): string[] => [])).toSorted();
  for (const start of await inOrder(folder)) {
    for (const sha256 of await inOrder(join(folder, start))) {
      const found = isHash(sha256) ? await stat(join(folder, start, sha256)).catch(() => null) : null;
      if (found) yield { sha256, bytes: found.size };
    }
  }
}

function asMissing(error: unknown, sha256: string, place: string): unknown {
  const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
  return isMissing ? missingBlob(sha256, place, error) : error;
}

/** Disk errors get a code; other errors come from the caller's source and pass through. */
function storageFailed(storageDir: string, error: unknown): never {
  throw asDiskError(error, `The storage folder ${storageDir}`);
}
