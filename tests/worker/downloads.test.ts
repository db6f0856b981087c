/** Models that clients ask for from the hub: a worker downloads one, tells how far it is, and registers it. */
import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { withLock } from "../../engine/model/files/lock.ts";
import { FolderChecks } from "../../models/folder-checks.ts";
import { downloadRequested, watchDownloads, type DownloadsWatch } from "../../models/downloads.ts";
import { Hub } from "../../models/hub/hub.ts";
import { sweepPartial } from "../../models/partial-sweep.ts";
import { ModelsAtHand } from "../../models/registration.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { sharingSandbox } from "../support/sandbox.ts";
import type { Log } from "../../schema/log.ts";
import type { Store } from "../../store/store.ts";
import { until } from "../process/service.ts";
import { directly } from "../store/fixtures.ts";
import { filesOf, repositoryOf, testHub, type TestHub } from "../support/hub.ts";
import { scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";

const demoBase = fileURLToPath(new URL("../../demo/base", import.meta.url));
const silent: Log = { info() {}, warn() {}, error() {} };
let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
const sandbox = new Sandbox();
afterAll(async () => {
  sandbox.close();
  await fixture.drop();
});
beforeEach(() => directly(fixture.url, (sql) => sql`truncate model_downloads, found_models, base_models cascade`));

async function hubOf(): Promise<TestHub> {
  return testHub({ "tiny/base": repositoryOf(await filesOf(demoBase)) });
}

async function watchOf(hub: TestHub, { name = "w", modelsDir = "" } = {}) {
  const stop = new AbortController();
  const folder = modelsDir === "" ? join(await scratch(), "models") : modelsDir;
  await mkdir(folder, { recursive: true });
  const watch: DownloadsWatch = {
    store,
    name,
    modelsDir: folder,
    atHand: new ModelsAtHand(),
    checks: new FolderChecks(sandbox),
    log: silent,
    signal: stop.signal,
    hubOf: async () => new Hub({ endpoint: hub.url, token: undefined }, { silenceMs: 500 }),
    pausesMs: [1, 1],
  };
  return { watch, modelsDir: folder, stop: () => stop.abort() };
}

const ask = (repository = "tiny/base", name = "base") =>
  store.modelDownloads.request({ repository, revision: "main", name });
const state = async () => (await store.modelDownloads.list())[0];
const download = (watch: DownloadsWatch) => sharingSandbox(() => downloadRequested(watch));
const leftOf = (modelsDir: string) => readdir(join(modelsDir, ".steplog", "partial")).catch((): string[] => []);

test("one that is asked for becomes a base model, and it is told how far it is", async () => {
  const { watch, modelsDir } = await watchOf(await hubOf());
  expect(await download(watch)).toBe(false);
  expect(await ask()).toMatchObject({ status: "WAITING", doneBytes: null });
  expect(await download(watch)).toBe(true);
  expect(await state()).toMatchObject({ status: "SUCCEEDED", errorCode: null, claimedBy: null });
  expect(await store.baseModels.getByName("base")).toMatchObject({ family: "opt" });
  expect(watch.atHand.list().map(({ name }) => name)).toEqual(["base"]);
  expect([await readdir(modelsDir), await leftOf(modelsDir)]).toEqual([[".steplog", "base"], []]);
  await expect(ask()).rejects.toMatchObject({ code: "CONFLICT" });
});

test("the same twice is one request; another repository under its name is refused until it has ended", async () => {
  expect(await ask()).toEqual(await ask());
  await expect(ask("tiny/other")).rejects.toThrow(/"base" is being downloaded from tiny\/base@main/u);
  await store.modelDownloads.cancel("base");
  expect(await ask("tiny/other")).toMatchObject({ repository: "tiny/other", status: "WAITING" });
});

test.each([
  ["an unknown repository", "tiny/none", /UNAUTHENTICATED|NOT_FOUND/u, /tiny\/none/u],
  ["one that is gated", "tiny/gated", /UNAUTHENTICATED|FORBIDDEN/u, /tiny\/gated/u],
  ["a family that is not served", "tiny/mamba", /MODEL_UNSUPPORTED/u, /mamba/u],
])("%s fails with what to do, and leaves no model", async (_what, repository, code, message) => {
  const hub = await hubOf();
  const files = await filesOf(demoBase);
  const config = Buffer.from(JSON.stringify({ model_type: "mamba", architectures: ["MambaForCausalLM"] }));
  hub.repositories.set("tiny/mamba", repositoryOf({ ...files, "config.json": config }));
  hub.repositories.set("tiny/gated", { ...repositoryOf(files), token: "hf_other", gated: true });
  const { watch, modelsDir } = await watchOf(hub);
  await ask(repository);
  await download(watch);
  const failed = await state();
  expect(failed?.status).toBe("FAILED");
  expect(failed?.errorCode).toMatch(code);
  expect(failed?.errorMessage).toMatch(message);
  expect(await store.baseModels.list({ limit: 9 })).toEqual([]);
  expect((await readdir(modelsDir)).filter((name) => name !== ".steplog")).toEqual([]);
  // It is shown until somebody has seen it, and then may be asked for again.
  await store.modelDownloads.cancel("base");
  expect(await store.modelDownloads.list()).toEqual([]);
});

test("a network that is away fails as UNAVAILABLE, and another attempt goes on with the bytes that are there", async () => {
  const hub = await hubOf();
  hub.faults.cuts.push(150_000);
  hub.faults.silentAfterCuts = true;
  const { watch } = await watchOf(hub);
  await ask();
  await download(watch);
  expect(await state()).toMatchObject({ status: "FAILED", errorCode: "UNAVAILABLE" });
  hub.faults.silentAfterCuts = false;
  hub.seen.length = 0;
  expect(await ask()).toMatchObject({ status: "WAITING", errorCode: null });
  await download(watch);
  expect((await state())?.status).toBe("SUCCEEDED");
  // Its library asks for the first byte too, to see what there is.
  const ranges = hub.seen.filter(({ server, range }) => server === "storage" && range !== "bytes=0-0");
  expect(ranges.map(({ range }) => range)).toEqual([expect.stringMatching(/^bytes=[1-9]/u)]);
});

test(
  "one that is cancelled while the hub is silent ends soon, and nothing of it is left",
  { timeout: 30_000 },
  async () => {
    const hub = await hubOf();
    hub.faults.cuts.push(150_000);
    hub.faults.silentAfterCuts = true;
    const { watch, modelsDir } = await watchOf(hub);
    const patient = { ...watch, pausesMs: Array.from({ length: 1_000 }, () => 50) };
    await ask();
    const working = download(patient);
    await until("progress", 10_000, async () => ((await state())?.doneBytes ?? 0) > 0);
    expect(await state()).toMatchObject({ status: "RUNNING", stage: "downloading" });
    await store.modelDownloads.cancel("base");
    await working;
    expect((await state())?.status).toBe("CANCELLED");
    // What still runs of it ends within a silence, and deletes nothing that is not its own.
    await until(
      "its files to be gone",
      10_000,
      async () => (await leftOf(modelsDir)).filter((one) => !one.endsWith(".lock")).length === 0,
    );
  },
);

test("when its worker is gone, another goes on once the claim has lapsed, and finds what became whole", async () => {
  const hub = await hubOf();
  const { watch, modelsDir } = await watchOf(hub);
  await ask();
  // Killed after the folder was there, before it was registered.
  await store.modelDownloads.claim({ worker: "dead", leaseMs: 60_000 });
  expect(await download(watch)).toBe(false);
  await directly(fixture.url, (sql) => sql`update model_downloads set claim_expires_at = now() - interval '1 s'`);
  await download(watch);
  expect((await state())?.status).toBe("SUCCEEDED");
  await directly(fixture.url, (sql) => sql`truncate base_models cascade`);
  await store.modelDownloads.cancel("base");
  await ask();
  hub.repositories.clear();
  await download((await watchOf(hub, { name: "next", modelsDir })).watch);
  expect((await state())?.status).toBe("SUCCEEDED");
});

test("while files come, it tells which one, how far that is, and how many are there", async () => {
  const hub = await hubOf();
  hub.faults.heldAt = 600_000;
  const { watch, stop } = await watchOf(hub);
  await ask();
  const working = download({ ...watch, hubOf: async () => new Hub({ endpoint: hub.url, token: undefined }) });
  await until("a held file", 10_000, async () => ((await state())?.currentDoneBytes ?? 0) > 0);
  const held = { currentName: "model.safetensors", currentDoneBytes: 600_000, currentTotalBytes: 1_317_936 };
  expect(await state()).toMatchObject({ ...held, stage: "downloading", filesDone: 5, filesTotal: 6 });
  stop();
  await working;
});

test("one that was cancelled while nobody had it ends without asking the hub, and what there was of it is swept", async () => {
  const hub = await hubOf();
  const { watch, modelsDir } = await watchOf(hub);
  await leave(modelsDir, "base", 0);
  await ask();
  await store.modelDownloads.claim({ worker: "dead", leaseMs: 60_000 });
  await store.modelDownloads.cancel("base");
  await directly(fixture.url, (sql) => sql`update model_downloads set claim_expires_at = now() - interval '1 s'`);
  await download(watch);
  expect([(await state())?.status, hub.seen, await leftOf(modelsDir)]).toEqual(["CANCELLED", [], []]);
});

test("abandoned files are swept: those of a cancelled request at once, others after a week", async () => {
  const { modelsDir } = await watchOf(await hubOf());
  for (const [name, days] of [
    ["base", 0],
    ["going-on", 30],
    ["young", 6],
    ["old", 8],
    ["held", 8],
  ] as const)
    await leave(modelsDir, name, days);
  await ask();
  await store.modelDownloads.cancel("base");
  await ask("tiny/base", "going-on");
  const held = join(modelsDir, ".steplog", "partial", "held.lock");
  await withLock(held, "adding this model", async () => {
    await utimes(held, longAgo(8), longAgo(8));
    expect((await sweepPartial({ store, modelsDir })).toSorted()).toEqual(["base", "old"]);
  });
  expect(await leftOf(modelsDir)).toEqual(["going-on", "going-on.json", "held", "held.json", "young", "young.json"]);
});

const longAgo = (days: number) => new Date(Date.now() - days * 86_400_000 - 1_000);

/** What an interrupted download of `days` ago leaves. */
async function leave(modelsDir: string, name: string, days: number): Promise<void> {
  const folder = join(modelsDir, ".steplog", "partial", name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "model.safetensors.part"), "half");
  await writeFile(`${folder}.json`, "{}");
  for (const path of [join(folder, "model.safetensors.part"), folder, `${folder}.json`])
    await utimes(path, longAgo(days), longAgo(days));
}

test("while somebody else is at the same files it waits, and then finds them whole", { timeout: 30_000 }, async () => {
  const hub = await hubOf();
  const { watch, modelsDir } = await watchOf(hub);
  const lock = join(modelsDir, ".steplog", "partial", "base.lock");
  await mkdir(join(modelsDir, ".steplog", "partial"), { recursive: true });
  await ask();
  let over = Promise.resolve(false);
  await withLock(lock, "adding this model", async () => {
    over = download(watch);
    await until("a claim", 10_000, async () => (await state())?.status === "RUNNING");
    await until("the commit", 10_000, () => hub.seen.length > 2);
    await delay(500);
    expect((await state())?.status).toBe("RUNNING");
  });
  await over;
  expect((await state())?.status).toBe("SUCCEEDED");
});

test.each([
  ["a process before it with its id", () => `${process.pid} ${hostname()} touched`, "taken"],
  ["a machine that has not touched it for minutes", () => "1 elsewhere touched", "taken"],
  ["a machine of the release before, which touches none", () => "1 elsewhere", "Process 1 on elsewhere"],
  ["a process that was killed before it wrote its name", () => "", "taken"],
])("a lock of %s", async (_, text, outcome) => {
  const lock = join(await scratch(), "a.lock");
  await writeFile(lock, text());
  await utimes(lock, longAgo(0), new Date(Date.now() - 600_000));
  const taken = withLock(lock, "adding this model", async () => "taken");
  expect(await taken.catch((error: unknown) => String(error))).toContain(outcome);
});

test("a worker that is told to stop gives it back at once", async () => {
  const hub = await hubOf();
  hub.faults.silent = true;
  const { watch, stop } = await watchOf(hub);
  const watching = sharingSandbox(() => watchDownloads({ ...watch, pausesMs: [] }));
  await ask();
  await until("a claim", 10_000, async () => (await state())?.status === "RUNNING");
  stop();
  await watching;
  expect(await state()).toMatchObject({ status: "WAITING", claimedBy: null });
});
