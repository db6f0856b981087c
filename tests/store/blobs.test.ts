/** Blobs: the same tests for a folder and for a bucket of a real S3 server. */
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Blobs, type StoredBlob, withFiles } from "../../store/blobs/blobs.ts";
import { openFolder } from "../../store/blobs/folder.ts";
import { openBucket } from "../../store/blobs/s3/blobs.ts";
import { type TestS3, startS3, whyNoS3 } from "../support/s3/s3.ts";

const parts = [Buffer.from("hello "), Buffer.alloc(100_000, 7), Buffer.from("world")];
const whole = Buffer.concat(parts);
const hash = createHash("sha256").update(whole).digest("hex");
const isText = (text: string) => expect.stringContaining(text) as string;

async function* bytes(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

interface Place {
  readonly blobs: Blobs;
  /** Writes other bytes under the name of a blob, behind the back of the service. */
  readonly damage: (sha256: string, bytes: Uint8Array) => Promise<void>;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "steplog-blobs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

let s3: TestS3 | null = null;
beforeAll(async () => {
  if (whyNoS3 === null) s3 = await startS3();
});
afterAll(() => s3?.end());

const folderPlace = async (): Promise<Place> => ({
  blobs: await openFolder(folder),
  damage: (sha256, other) => writeFile(join(folder, "blobs", sha256.slice(0, 2), sha256), other),
});

/** Parts of 40 kB, so that the bytes above go in three. */
async function bucketPlace(options: { prefix?: string; cacheBytes?: number } = {}): Promise<Place> {
  if (!s3) throw new Error("there is an S3 server");
  const { prefix = `${randomUUID()}/`, cacheBytes = 1e9 } = options;
  const at = { ...s3.options, prefix, partBytes: 40_000 };
  const blobs = await openBucket(at, { cacheDir: join(folder, "cache"), cacheBytes });
  const client = s3.client();
  return {
    blobs,
    async damage(sha256, Body) {
      const Key = `${prefix}blobs/${sha256.slice(0, 2)}/${sha256}`;
      await client.send(new PutObjectCommand({ Bucket: at.bucket, Key, Body }));
    },
  };
}

const places = [
  { name: "a folder", open: folderPlace, why: null },
  { name: "a bucket of an S3", open: bucketPlace, why: whyNoS3 },
];

for (const { name, open, why } of places)
  describe.skipIf(why !== null)(`in ${name}`, () => {
    checkPlace(open);
  });

function checkPlace(open: () => Promise<Place>): void {
  test("what was put is read back under its hash, from a stream or a file", async () => {
    const { blobs } = await open();
    await blobs.check();
    const path = join(folder, "given");
    await writeFile(path, whole);
    expect(await blobs.has(hash)).toBe(false);
    expect(await blobs.put(bytes(...parts))).toEqual({ sha256: hash, bytes: 100_011 });
    expect(await blobs.put(path)).toEqual({ sha256: hash, bytes: 100_011 });
    expect(await blobs.has(hash)).toBe(true);
    expect(whole.equals(await buffer(await blobs.open(hash)))).toBe(true);
    expect((await buffer(await blobs.open(hash, { first: 3, last: 7 }))).equals(whole.subarray(3, 8))).toBe(true);
    const read = await withFiles(
      (sha256: string) => blobs.local(sha256),
      async (pathOf) => readFile(await pathOf(hash)),
    );
    expect(whole.equals(read)).toBe(true);
    blobs.close();
  });

  test("the same bytes put many times at once are one blob, and blobs are listed in order", async () => {
    const { blobs } = await open();
    const puts = await Promise.all(Array.from({ length: 4 }, () => blobs.put(bytes(...parts))));
    expect(new Set(puts.map(({ sha256 }) => sha256))).toEqual(new Set([hash]));
    const others = await Promise.all(["one", "two"].map((text) => blobs.put(bytes(Buffer.from(text)))));
    const known: StoredBlob[] = [{ sha256: hash, bytes: 100_011 }, ...others];
    expect(await all(blobs.list())).toEqual(known.toSorted((a, b) => (a.sha256 < b.sha256 ? -1 : 1)));
    blobs.close();
  });

  test("an empty blob is a blob", async () => {
    const { blobs } = await open();
    const { sha256, bytes: size } = await blobs.put(bytes());
    expect([sha256, size]).toEqual([createHash("sha256").digest("hex"), 0]);
    expect(await buffer(await blobs.open(sha256))).toHaveLength(0);
    expect(
      await withFiles(
        (sha256: string) => blobs.local(sha256),
        async (pathOf) => readFile(await pathOf(sha256)),
      ),
    ).toHaveLength(0);
    blobs.close();
  });

  test("an interrupted source leaves nothing, and neither does one that is too large", async () => {
    const { blobs } = await open();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(1_000);
      throw new Error("the client hung up");
    }
    await expect(blobs.put(broken())).rejects.toThrow("the client hung up");
    let read = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        yield Buffer.alloc(60);
        read += 60;
      }
    }
    await expect(blobs.put(endless(), { maxBytes: 100 })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(read).toBeLessThan(200);
    expect(await all(blobs.list())).toEqual([]);
    const left = await readdir(folder, { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
    expect(await blobs.put(bytes(Buffer.alloc(100)), { maxBytes: 100 })).toMatchObject({ bytes: 100 });
    blobs.close();
  });

  test("a blob that is not there is told, and removing it twice is no error", async () => {
    const { blobs } = await open();
    await blobs.put(bytes(...parts));
    await blobs.remove(hash);
    await blobs.remove(hash);
    expect(await blobs.has(hash)).toBe(false);
    await expect(blobs.open(hash)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(blobs.local(hash)).rejects.toThrow(/no such file|does not exist/u);
    blobs.close();
  });

  test("nothing but a hash becomes a name", async () => {
    const { blobs } = await open();
    for (const name of ["../../etc/passwd", "", hash.toUpperCase(), `${hash}/..`]) {
      await expect(blobs.local(name)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      await expect(blobs.open(name)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      await expect(blobs.remove(name)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
    blobs.close();
  });

  test("bytes that were changed are told, by whichever way they are read", async () => {
    const { blobs, damage } = await open();
    await blobs.put(bytes(...parts));
    await damage(hash, Buffer.concat([whole.subarray(0, 100_006), Buffer.from("words")]));
    const said = { code: "DATA_CORRUPT", message: isText(hash) };
    await expect(blobs.local(hash)).rejects.toMatchObject(said);
    const read: Uint8Array[] = [];
    const reading = (async () => {
      for await (const piece of await blobs.open(hash)) read.push(piece as Uint8Array);
    })();
    await expect(reading).rejects.toMatchObject(said);
    expect(Buffer.concat(read).length).toBeLessThan(100_011);
    // Once the right bytes are there again, nothing stands in their way.
    await damage(hash, whole);
    expect(
      whole.equals(
        await withFiles(
          (sha256: string) => blobs.local(sha256),
          async (pathOf) => readFile(await pathOf(hash)),
        ),
      ),
    ).toBe(true);
    blobs.close();
  });
}

test("uploads into a folder that a killed process left behind are cleared after a day, those under way are not", async () => {
  await openFolder(folder);
  const [old, fresh] = [join(folder, "incoming", "old"), join(folder, "incoming", "fresh")];
  for (const path of [old, fresh]) await writeFile(path, "x");
  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  await utimes(old, yesterday, yesterday);
  await openFolder(folder);
  expect(await readdir(join(folder, "incoming"))).toEqual(["fresh"]);
});
