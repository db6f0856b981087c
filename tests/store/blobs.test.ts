import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Blobs } from "../../store/blobs/blobs.ts";
import { openFolder } from "../../store/blobs/folder.ts";

let folder: string;
let blobs: Blobs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "steplog-blobs-"));
  blobs = await openFolder(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const parts = [Buffer.from("hello "), Buffer.alloc(100_000, 7), Buffer.from("world")];
const hash = createHash("sha256").update(Buffer.concat(parts)).digest("hex");

async function* bytes(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Files anywhere below the storage folder. */
const files = async (): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true })).filter((f) => f.isFile()).map((f) => f.name);

test("what was put is read back under its hash", async () => {
  expect(await blobs.put(bytes(...parts))).toEqual({ sha256: hash, bytes: 100_011 });
  expect(Buffer.concat(parts).equals(await buffer(await blobs.open(hash)))).toBe(true);
  const { path } = await blobs.local(hash);
  expect(path).toBe(join(folder, "blobs", hash.slice(0, 2), hash));
  expect(Buffer.concat(parts).equals(await readFile(path))).toBe(true);
});

test("the same bytes put many times at once are one file", async () => {
  const puts = await Promise.all(Array.from({ length: 8 }, () => blobs.put(bytes(...parts))));
  expect(new Set(puts.map(({ sha256 }) => sha256))).toEqual(new Set([hash]));
  expect(await files()).toEqual([hash]);
});

test("an empty blob is a blob", async () => {
  const { sha256, bytes: size } = await blobs.put(bytes());
  expect([sha256, size]).toEqual([createHash("sha256").digest("hex"), 0]);
  expect(await buffer(await blobs.open(sha256))).toHaveLength(0);
});

test("an interrupted upload leaves nothing", async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(1_000);
    throw new Error("the client hung up");
  }
  await expect(blobs.put(broken())).rejects.toThrow("the client hung up");
  expect(await files()).toEqual([]);
});

test("too large is refused before it is all read, and leaves nothing", async () => {
  let read = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      read += 10;
      yield Buffer.alloc(10);
    }
  }
  await expect(blobs.put(endless(), { maxBytes: 100 })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  expect(read).toBeLessThan(200);
  expect(await files()).toEqual([]);
  expect(await blobs.put(bytes(Buffer.alloc(100)), { maxBytes: 100 })).toMatchObject({ bytes: 100 });
});

test("a blob that is not there is NOT_FOUND, and removing it twice is no error", async () => {
  await blobs.put(bytes(...parts));
  await blobs.remove(hash);
  await blobs.remove(hash);
  await expect(blobs.open(hash)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("nothing but a hash becomes a path", async () => {
  for (const name of ["../../etc/passwd", "", hash.toUpperCase(), `${hash}/..`]) {
    await expect(blobs.local(name)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(blobs.open(name)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(blobs.remove(name)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  }
});

test("uploads that a killed process left behind are cleared after a day, those under way are not", async () => {
  const [old, fresh] = [join(folder, "incoming", "old"), join(folder, "incoming", "fresh")];
  for (const path of [old, fresh]) await writeFile(path, "x");
  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  await utimes(old, yesterday, yesterday);
  await openFolder(folder);
  expect(await files()).toEqual(["fresh"]);
});

test("bytes that were changed are told, by whichever way they are read", async () => {
  await blobs.put(bytes(...parts));
  const path = join(folder, "blobs", hash.slice(0, 2), hash);
  await blobs.local(hash);
  await writeFile(path, Buffer.concat([...parts.slice(0, 2), Buffer.from("words")]));
  const said = { code: "DATA_CORRUPT", message: expect.stringContaining(path) as string };
  await expect(blobs.local(hash)).rejects.toMatchObject(said);
  const read: Uint8Array[] = [];
  const all = (async () => {
    for await (const piece of await blobs.open(hash)) read.push(piece as Uint8Array);
  })();
  await expect(all).rejects.toMatchObject(said);
  expect(Buffer.concat(read).length).toBeLessThan(100_011);
});
