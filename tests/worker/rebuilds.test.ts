/** Checkpoints of full weights as folders: rebuilt once, found again, linked where they are stored, swept; and served. */
import { cp, readFile, readdir, rename, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Failure, ServedModel } from "../../engine/thread/serving-messages.ts";
import { SteplogError } from "../../schema/errors.ts";
import { Chain, encodeHeader, encodeStepLog, packEntries } from "../../schema/step-log.ts";
import { openFolder } from "../../store/blobs/folder.ts";
import type { Store } from "../../store/store.ts";
import { KeptFolders } from "../../worker/serving/kept-folders.ts";
import { Rebuilds } from "../../worker/serving/rebuilds.ts";
import { append, chainAfter, newTraining } from "../store/fixtures.ts";
import { newCompletion } from "../store/serving-fixtures.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { scratch } from "../support/models.ts";
import { modelPath, requestOf, run } from "./run.ts";
import { startLane, until } from "./serving-fixtures.ts";

const device = { name: "plain", threads: 1, devicesDir: null };

describe("kept folders", () => {
  const named = (chain: string) => ({ base: "ab", chain });
  const written = new Date(1_700_000_000_000);

  test("appear whole, once, and those used longest ago go beyond the budget", async () => {
    const dir = join(await scratch(), "serving");
    const kept = new KeptFolders(dir, 25);
    const fill = async (folder: string) => writeFile(join(folder, "weights"), "ten bytes.");
    expect(await kept.find(named("00"))).toBeNull();
    const [first, second] = [await kept.make(named("00"), fill), await kept.make(named("01"), fill)];
    await utimes(first, new Date(1), new Date(1));
    await utimes(second, new Date(2), new Date(2));
    expect(await kept.find(named("00"))).toBe(first);
    await kept.make(named("02"), fill);
    expect((await readdir(dir)).toSorted()).toEqual(["ab-00", "ab-02"]);
    const never = () => Promise.reject(new Error("It is there."));
    expect(await kept.make(named("00"), never)).toBe(first);
  });

  test.each<[string, (weights: string) => Promise<void>]>([
    ["is cut", (weights) => truncate(weights, 4)],
    ["is gone", (weights) => rm(weights)],
    [
      "has other bytes of the same time",
      async (weights) => {
        const { ctimeMs } = await stat(weights);
        // The clock of a file system may stand still for some milliseconds.
        do {
          await writeFile(weights, "ten bits!!");
          await utimes(weights, written, written);
        } while ((await stat(weights)).ctimeMs === ctimeMs);
      },
    ],
    ["was there before there were records", (weights) => rm(join(weights, "..", "kept.json"))],
  ])("of which a file %s are made again", async (_what, damage) => {
    const damaged: string[] = [];
    const kept = new KeptFolders(await scratch(), 100, undefined, (path) => damaged.push(path));
    const fill = async (folder: string) => {
      await writeFile(join(folder, "config.json"), "{}");
      await writeFile(join(folder, "weights"), "ten bytes.");
      await utimes(join(folder, "weights"), written, written);
    };
    const path = await kept.make(named("00"), fill);
    expect(await kept.find(named("00"))).toBe(path);
    await damage(join(path, "weights"));
    expect(await kept.find(named("00"))).toBeNull();
    expect(damaged).toEqual([path]);
    expect(await kept.make(named("00"), fill)).toBe(path);
    expect(await readFile(join(path, "weights"), "utf8")).toBe("ten bytes.");
    expect(await kept.find(named("00"))).toBe(path);
  });

  test("that two workers make at once are made by one; one that cannot be filled is not there", async () => {
    const dir = await scratch();
    const [one, other] = [new KeptFolders(dir, 100), new KeptFolders(dir, 100)];
    // Another process's folder for what is not there yet has another name.
    const elsewhere = new KeptFolders(await scratch(), 100);
    const path = await one.make(named("00"), async (folder) => {
      const made = await elsewhere.make(named("00"), (theirs) => cp(modelPath, theirs, { recursive: true }));
      await rename(made, join(dir, "ab-00"));
      await writeFile(join(folder, "weights"), "mine");
    });
    expect(await readdir(path)).toContain("config.json");
    const failing = other.make(named("01"), () => Promise.reject(new Error("full")));
    await expect(failing).rejects.toThrow("full");
    expect(await other.find(named("01"))).toBeNull();
    // What it had begun takes no room.
    expect(await readdir(dir)).toEqual(["ab-00"]);
  });
});

test("a checkpoint is rebuilt as it was trained, and only once; a base that has changed is told", async () => {
  const { header, entries, checkpoint } = await run({ steps: 2, learningRate: 1e-3, method: "FULL", noise: "NORMAL" });
  if (!checkpoint) throw new Error("A run ends with a checkpoint.");
  const { base, hashesDir } = await requestOf({});
  const headerBytes = encodeHeader(header);
  const chain = Chain.start(headerBytes);
  for (const entry of entries) chain.add(entry);
  const log = encodeStepLog({ headerBytes, ...packEntries(entries), chain: chain.hash });
  const served = { chain: "cd".repeat(32), log, digest: checkpoint.digest, folder: null, isStored: false };
  const model: ServedModel = { modelPath, base, hashesDir, checkpoint: served };
  const rebuilds = new Rebuilds(
    await openFolder(await scratch()),
    new KeptFolders(join(await scratch(), "serving"), 1e9),
    device,
  );
  expect(await rebuilds.find(model)).toBeNull();
  const [folder, again] = await Promise.all([1, 2].map(() => rebuilds.make({ model, stored: null })));
  expect(again).toBe(folder);
  expect(await rebuilds.find(model)).toBe(folder);
  expect(await readdir(folder ?? "")).toEqual(expect.arrayContaining(["config.json", "model.safetensors"]));

  const changed = join(await scratch(), "base");
  await cp(modelPath, changed, { recursive: true });
  const weights = join(changed, "model.safetensors");
  const bytes = await readFile(weights);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(weights, bytes);
  const other = { ...model, modelPath: changed, checkpoint: { ...served, chain: "ef".repeat(32) } };
  await expect(rebuilds.make({ model: other, stored: null })).rejects.toMatchObject({ code: "BASE_MISMATCH" });
  await rebuilds.end();
  await expect(rebuilds.make({ model: other, stored: null })).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

describe("a request for a checkpoint of full weights", () => {
  let fixture: TestStore;
  let store: Store;
  let checkpointId: string;
  beforeAll(async () => {
    fixture = await testStore();
    ({ store } = fixture);
    checkpointId = await storedCheckpoint();
  });
  afterAll(() => fixture.drop());

  async function storedCheckpoint(entries = 1): Promise<string> {
    const { job } = await newTraining(store);
    await append(store, job, 0, entries);
    const weightsFiles = [];
    for (const name of ["config.json", "model.safetensors"]) {
      weightsFiles.push({ name, ...(await store.blobs.put(Readable.from([Buffer.from(name)]))) });
    }
    const place = { entries, step: entries, chain: chainAfter(entries), weightsDigest: "ab".repeat(32) };
    const { id } = await store.recordCheckpoint(job, { ...place, weightsFiles });
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    return id;
  }

  test("waits while the folder is made, and the next one finds it", async () => {
    const keptDir = join(await scratch(), "serving");
    const lane = startLane(store, { keptDir, keptBytes: 1e9 });
    onTestFinished(() => lane.stop());
    const first = await newCompletion(store, { checkpointId });
    const thread = await lane.thread();
    const request = await thread.request(first);
    expect(request.model.checkpoint).toMatchObject({ folder: null, chain: Buffer.from(chainAfter(1)).toString("hex") });
    thread.say({ type: "rebuild", id: request.id });
    const again = await thread.request(first, 1);
    const folder = again.model.checkpoint?.folder ?? "";
    expect(again.id).toBe(request.id);
    expect(await readFile(join(folder, "config.json"), "utf8")).toBe("config.json");
    const second = await thread.request(await newCompletion(store, { checkpointId }));
    expect(second.model.checkpoint).toMatchObject({ folder });
    // A file that is not what it was is not answered from.
    await rm(join(folder, "config.json"));
    const third = await newCompletion(store, { checkpointId });
    const refused = await thread.request(third);
    expect(refused.model.checkpoint).toMatchObject({ folder: null });
    thread.say({ type: "rebuild", id: refused.id });
    expect((await thread.request(third, 1)).model.checkpoint).toMatchObject({ folder });
    expect(await readFile(join(folder, "config.json"), "utf8")).toBe("config.json");
    expect(lane.logged.join()).toContain("Files of a rebuilt checkpoint have changed or gone");
  });

  test("keeps its folder while it is held, whatever else is made, and no longer", async () => {
    const keptDir = join(await scratch(), "serving");
    const lane = startLane(store, { keptDir, keptBytes: 5 });
    onTestFinished(() => lane.stop());
    const folderOf = async (id: string) => {
      const completion = await newCompletion(store, { checkpointId: id });
      const thread = await lane.thread();
      thread.say({ type: "rebuild", id: (await thread.request(completion)).id });
      const request = await thread.request(completion, 1);
      const folder = request.model.checkpoint?.folder ?? "";
      // Links count for nothing, so each has bytes of its own, as one that is not stored has.
      await writeFile(join(folder, "weights"), "ten bytes.");
      return { end: () => thread.end(request), name: basename(folder), completion };
    };
    const [first, second] = [await folderOf(await storedCheckpoint(2)), await folderOf(await storedCheckpoint(3))];
    expect((await readdir(keptDir)).toSorted()).toEqual([first.name, second.name].toSorted());
    for (const { end, completion } of [first, second]) {
      end();
      for await (const _ of store.feed.pieces(completion.id, { after: 0 }));
    }
    const third = await folderOf(await storedCheckpoint(4));
    expect(await readdir(keptDir)).toEqual([third.name]);
  });

  test("that is answered from memory has a folder behind it, whole or not at all", async () => {
    const keptDir = join(await scratch(), "serving");
    const lane = startLane(store, { keptDir, keptBytes: 1e9 });
    onTestFinished(() => lane.stop());
    await newCompletion(store);
    let thread = await lane.thread();
    const offered = async (chain: string) => {
      thread.say({ type: "replayed", base: "ab", chain });
      const { folder } = await thread.told("keep", chain);
      await writeFile(join(folder, "weights"), "ten bytes.");
      return folder;
    };
    const written = async (chain: string, failure: Failure | null) => {
      thread.say({ type: "written", base: "ab", chain, failure });
      return (await thread.told("kept", chain)).folder;
    };
    const partial = await offered("01");
    expect(await readdir(keptDir)).toEqual([basename(partial)]);
    expect(basename(partial)).not.toBe("ab-01");
    expect(await written("01", null)).toBe(join(keptDir, "ab-01"));
    expect(await readFile(join(keptDir, "ab-01", "weights"), "utf8")).toBe("ten bytes.");

    await offered("02");
    expect(await written("02", { code: "UNAVAILABLE", message: "No room." })).toBeNull();
    expect(await readdir(keptDir)).toEqual(["ab-01"]);
    expect(lane.logged.join()).toContain("could not be kept in a folder");

    // One that is there already is not written again.
    const asked = thread.sent.length;
    thread.say({ type: "replayed", base: "ab", chain: "01" });
    await until(() => thread.sent.length > asked);
    expect(thread.sent.slice(asked)).toEqual([
      { type: "kept", base: "ab", chain: "01", folder: join(keptDir, "ab-01") },
    ]);

    await offered("03");
    thread.listener.died(new SteplogError("INTERNAL", "It died."), null);
    await thread.told("kept", "03");
    expect(await readdir(keptDir)).toEqual(["ab-01"]);
    // The request that the thread died with waits for some seconds; another one has a thread at once.
    await newCompletion(store);
    await until(() => lane.threads.length > 1);
    thread = await lane.thread();
    await offered("04");
    await lane.stop();
    expect(await readdir(keptDir)).toEqual(["ab-01"]);
  });

  test("is rebuilt in memory when the disk cannot be used; without room there it is given back, and can be cancelled", async () => {
    const lane = startLane(store, { keptDir: "/dev/null/serving" });
    onTestFinished(() => lane.stop());
    const { id } = await newCompletion(store, { checkpointId });
    const thread = await lane.thread();
    const stored = await thread.request({ id });
    expect(stored.model.checkpoint?.isStored).toBe(true);
    thread.say({ type: "rebuild", id: stored.id });
    const again = await thread.request({ id }, 1);
    expect(again.model.checkpoint).toMatchObject({ folder: null, isStored: false });
    thread.say({ type: "rebuild", id: again.id });
    const reason = async () => (await store.completions.waitingReason(id)) ?? "";
    for (let left = 500; left > 0 && !(await reason()).includes("UNAVAILABLE"); left--) await lane.thread();
    expect(await reason()).toMatch(/last attempt failed: UNAVAILABLE/u);
    expect(await store.completions.cancel(id)).toMatchObject({ status: "CANCELLED" });
  });
});
