/** A storage folder that is full or read-only: UNAVAILABLE that names it, and no part of a file. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openFolder } from "../../store/blobs/folder.ts";
import { scratch } from "../support/models.ts";
import { smallDisk, whyNoDisk } from "../support/small-disk.ts";

async function* bytes(chunks: number) {
  for (let n = 0; n < chunks; n++) yield Buffer.alloc(16 * 1024, n);
}

const skipped = whyNoDisk === null ? "" : ` (skipped: ${whyNoDisk})`;

test.skipIf(whyNoDisk !== null)(`a blob is stored whole or not at all${skipped}`, async () => {
  const folder = join(await scratch(), "storage");
  const disk = await smallDisk(folder, "size=64k");
  const blobs = await openFolder(folder);
  const named = (words: string) => ({
    code: "UNAVAILABLE",
    message: expect.stringContaining(`${folder} ${words}`) as string,
  });
  await expect(blobs.put(bytes(8))).rejects.toMatchObject(named("has no room left"));
  expect(await readdir(join(folder, "incoming"))).toEqual([]);
  await disk.remount("size=1m");
  const { sha256 } = await blobs.put(bytes(8));
  await disk.remount("ro");
  await expect(blobs.put(bytes(1))).rejects.toMatchObject(named("is on a read-only file system"));
  await expect(blobs.remove(sha256)).rejects.toMatchObject(named("is on a read-only file system"));
  await disk.remount("rw");
  await blobs.remove(sha256);
});
