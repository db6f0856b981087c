/** Copies and rebuilt folders of a machine go when nothing names them or has room for them, never while they are used. */
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { CopiedFiles } from "../../store/blobs/copies.ts";
import type { Store } from "../../store/store.ts";
import { sweepMachine } from "../../worker/sweep-machine.ts";
import { KeptFolders } from "../../worker/serving/kept-folders.ts";
import { append, chainAfter, newTraining, sha256 } from "../store/fixtures.ts";
import { type TestStore, testStore } from "../support/postgres.ts";

let fixture: TestStore;
let store: Store;
let root: string;
let cacheDir: string;
let keptDir: string;
const texts = ["named", "loose", "used", "more"] as const;
const [named, loose, used, more] = texts.map(sha256) as [string, string, string, string];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "steplog-test-"));
  cacheDir = join(root, "cache");
  await mkdir(cacheDir);
  fixture = await testStore({ cacheDir, cacheBytes: 12 });
  ({ store } = fixture);
  for (const hash of [named, more]) await store.datasets.create({ name: "rows", sha256: hash, bytes: 5, rows: 1 });
});
beforeEach(async () => {
  keptDir = await mkdtemp(join(root, "kept-"));
});
afterAll(async () => {
  await fixture.drop();
  await rm(root, { recursive: true });
});

const look = (dryRun: boolean, keptBytes = 1_000, freshMs = 0) =>
  sweepMachine({ store, keptDir, keptBytes }, { dryRun, freshMs });
const nothing = { swept: [], bytes: 0 };

async function copied(copies: CopiedFiles, hash: string) {
  return copies.use(hash, async (path) => {
    const text = texts.find((one) => sha256(one) === hash) ?? "";
    await writeFile(path, text);
    return sha256(text);
  });
}

test("copies of files that nothing names go, and what is beyond the budget; not what is used", async () => {
  const copies = await CopiedFiles.open(cacheDir, 1_000);
  const held = await copied(copies, used);
  for (const hash of [named, loose, more]) (await copied(copies, hash)).release();
  const there = () => readdir(join(cacheDir, "files"));
  await expect
    .poll(async () => (await readdir(join(cacheDir, "marks"))).filter((mark) => mark.includes(".use~")))
    .toHaveLength(1);
  // Fresh ones stay.
  expect((await look(true, 1_000, 60_000)).copies.swept).toEqual({ count: 0, bytes: 0 });
  // 18 bytes: without "loose", 13, one more than there may be.
  const report = { swept: { count: 2, bytes: 10 }, kept: { count: 2, bytes: 8 }, folders: [] };
  expect((await look(true)).copies).toEqual(report);
  expect(await there()).toHaveLength(4);
  expect((await look(false)).copies).toEqual(report);
  expect((await there()).toSorted()).toEqual([used, more].toSorted());
  held.release();
  await expect.poll(async () => (await look(false)).copies.swept.count).toBe(1);
  expect(await there()).toEqual([more]);
  copies.close();
});

test("folders of links to a base model that is no more go once they lead nowhere", async () => {
  const { run } = await newTraining(store);
  const model = await store.baseModels.get(run.baseModelId);
  const linked = async (hash: string, target: string) => {
    const folder = join(cacheDir, "models", hash, "0123", "tiny");
    await mkdir(folder, { recursive: true });
    await symlink(target, join(folder, "model.safetensors"));
    return join(cacheDir, "models", hash);
  };
  await linked(model?.hash ?? "", "/nowhere");
  await linked("aa".repeat(32), join(cacheDir, "files"));
  const gone = await linked("bb".repeat(32), "/nowhere");
  expect((await look(true)).copies.folders).toEqual([gone]);
  expect((await look(false)).copies.folders).toEqual([gone]);
  expect(await readdir(join(cacheDir, "models"))).toHaveLength(2);
});

test("rebuilt checkpoints go once these are deleted, or beyond the budget, and what dead processes left", async () => {
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 2);
  const model = await store.baseModels.get(run.baseModelId);
  const chains = [chainAfter(1), chainAfter(2)].map((chain) => Buffer.from(chain).toString("hex"));
  for (const entries of [1, 2]) {
    const place = { entries, step: entries, chain: chainAfter(entries), weightsDigest: "ab".repeat(32) };
    await store.recordCheckpoint(job, place);
  }
  const kept = new KeptFolders(keptDir, 1_000);
  const base = model?.hash ?? "";
  const make = (chain: string) => kept.make({ base, chain }, (folder) => writeFile(join(folder, "w"), "weights"));
  const [first, second, unknown] = [
    await make(chains[0] ?? ""),
    await make(chains[1] ?? ""),
    await make("cd".repeat(32)),
  ];
  const long = new Date(Date.now() - 10_000);
  await utimes(first, long, long);
  const left = join(keptDir, `${"ef".repeat(32)}-12.leaving-4194305`);
  await mkdir(left);
  expect((await look(true, 1_000, 60_000)).rebuilt).toEqual({ swept: [left], bytes: 0 });
  expect((await look(true)).rebuilt).toEqual({ swept: [left, unknown], bytes: 7 });
  expect((await look(false)).rebuilt).toEqual({ swept: [left, unknown], bytes: 7 });
  expect((await look(false, 7)).rebuilt).toEqual({ swept: [first], bytes: 7 });
  expect(await readdir(keptDir)).toHaveLength(1);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  expect((await look(true)).rebuilt).toEqual(nothing);
  await store.fineTunes.delete(run.id, { cancel: false });
  expect((await look(false)).rebuilt).toEqual({ swept: [second], bytes: 7 });
});

test("a rebuilt folder whose links lead to stored weights that have ended is not there", async () => {
  const kept = new KeptFolders(keptDir, 1_000);
  const place = { base: "ab".repeat(32), chain: "cd".repeat(32) };
  const target = join(root, "blob");
  await writeFile(target, "weights");
  const path = await kept.make(place, (folder) => symlink(target, join(folder, "model.safetensors")));
  expect(await kept.find(place)).toBe(path);
  await rm(target);
  expect(await kept.find(place)).toBeNull();
  expect(await readdir(keptDir)).toEqual([]);
});
