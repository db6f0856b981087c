/** Cached hashes: nothing is read twice without need, and a changed file never keeps its old hash. */
import { cp, mkdir, open, readFile, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { baseHash, modelBytes, openModelFolder } from "../../engine/model/files/folder.ts";
import { forgetHash, keptBaseHash } from "../../engine/model/files/hashes.ts";
import { golden, randomModel, scratch } from "../support/models.ts";

/** A clock by which every file here is old. */
const later = () => Date.now() + 60_000;

async function keeperOf(now: () => number = later) {
  return { folder: join(await scratch(), "hashes"), now };
}

/** The hash of a folder as it is now, and how many bytes were read for it. */
async function hashed(path: string, keeper: { folder: string; now: () => number }) {
  let read = 0;
  const hash = await keptBaseHash(await openModelFolder(path), "model", keeper, (bytes) => (read += bytes));
  return { hash, read };
}

/** Changes one bit of the last weight, and leaves size and time of modification as they were. */
async function changeQuietly(path: string): Promise<void> {
  const file = join(path, "model.safetensors");
  const { size, atime, mtime } = await stat(file);
  const handle = await open(file, "r+");
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  await handle.write(Uint8Array.of((last[0] ?? 0) ^ 1), 0, 1, size - 1);
  await handle.close();
  await utimes(file, atime, mtime);
}

describe("a cached hash", () => {
  test("is the base hash, and needs no reading the second time", async () => {
    for (const path of [await randomModel(), golden("hf/llama-sharded-bf16")]) {
      const keeper = await keeperOf();
      const folder = await openModelFolder(path);
      const hash = await baseHash(folder);
      expect(await hashed(path, keeper)).toStrictEqual({ hash, read: modelBytes(folder) });
      expect(await hashed(path, keeper)).toStrictEqual({ hash, read: 0 });
    }
  });

  test("is not used for a file whose bytes changed, even if size and modification time did not", async () => {
    const path = await randomModel();
    const keeper = await keeperOf();
    const before = await hashed(path, keeper);
    await changeQuietly(path);
    const after = await hashed(path, keeper);
    expect(after.read).toBe(before.read);
    expect(after.hash).not.toBe(before.hash);
    expect(after.hash).toBe(await baseHash(await openModelFolder(path)));
  });

  test("is not used for another file of that name, or another set of files", async () => {
    const path = await randomModel();
    const keeper = await keeperOf();
    const { hash } = await hashed(path, keeper);
    await cp(join(await randomModel("BF16"), "model.safetensors"), join(path, "model.safetensors"));
    expect((await hashed(path, keeper)).hash).not.toBe(hash);
    const sharded = await hashed(golden("hf/llama-sharded-bf16"), keeper);
    expect(sharded.hash).toBe(await baseHash(await openModelFolder(golden("hf/llama-sharded-bf16"))));
  });

  test("is not stored for a file that was just written, which may be written again unnoticed", async () => {
    const path = await randomModel();
    const keeper = await keeperOf(Date.now);
    await hashed(path, keeper);
    await changeQuietly(path);
    expect((await hashed(path, keeper)).hash).toBe(await baseHash(await openModelFolder(path)));
    expect(await readdir(keeper.folder).catch(() => [])).toStrictEqual([]);
  });

  test("is not stored for a file that changed while it was read", async () => {
    const path = await randomModel();
    const keeper = await keeperOf();
    const model = await openModelFolder(path);
    const changes: Promise<void>[] = [];
    await keptBaseHash(model, "model", keeper, () => {
      if (changes.length === 0) changes.push(changeQuietly(path));
    });
    await Promise.all(changes);
    expect((await hashed(path, keeper)).hash).toBe(await baseHash(await openModelFolder(path)));
  });

  test("can be deleted", async () => {
    const path = await randomModel();
    const keeper = await keeperOf();
    const { read } = await hashed(path, keeper);
    await forgetHash("model", keeper);
    expect((await hashed(path, keeper)).read).toBe(read);
    await forgetHash("nobody", keeper);
  });
});

describe("the file of a cached hash", () => {
  const hash = "0".repeat(64);

  test.each(["", "{", "null", "[]", '{"format":1}', `{"format":2,"hash":"${hash}","files":[]}`, '{"hash":"x"}'])(
    "counts as none when it is damaged: %j",
    async (text) => {
      const path = await randomModel();
      const keeper = await keeperOf();
      const { hash: right } = await hashed(path, keeper);
      await writeFile(join(keeper.folder, "model.json"), text);
      expect((await hashed(path, keeper)).hash).toBe(right);
      expect((await hashed(path, keeper)).read).toBe(0);
    },
  );

  test("is optional: failing to write it is no error", async () => {
    const path = await randomModel();
    const keeper = await keeperOf();
    await writeFile(keeper.folder, "a file instead of the folder");
    const { hash: right } = await hashed(path, keeper);
    expect(right).toBe(await baseHash(await openModelFolder(path)));
  });

  test("is whole even if several write it at once", async () => {
    const [a, b] = [await randomModel(), await randomModel("BF16")];
    const right = new Map([a, b].map((path) => [path, ""]));
    for (const path of [a, b]) right.set(path, await baseHash(await openModelFolder(path)));
    const keeper = await keeperOf();
    await mkdir(keeper.folder);
    const done = new AbortController();
    const watch = async () => {
      while (!done.signal.aborted) {
        for (const name of await readdir(keeper.folder)) {
          if (name.endsWith(".tmp")) continue;
          JSON.parse(await readFile(join(keeper.folder, name), "utf8"));
        }
      }
    };
    const watching = watch();
    // One name for two models is what a race between an old and a new folder looks like.
    const turns = Array.from({ length: 40 }, (_, k) => (k % 3 === 0 ? b : a));
    await Promise.all(turns.map(async (path) => expect((await hashed(path, keeper)).hash).toBe(right.get(path))));
    done.abort();
    await watching;
    expect(await readdir(keeper.folder)).toStrictEqual(["model.json"]);
  });
});
