import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { settingsOf } from "../../schema/hyperparameters.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import {
  append,
  chainStart,
  claimed,
  directly,
  headerBytes,
  newInput,
  newRun,
  newTraining,
  sha256,
} from "./fixtures.ts";
import { claimAny } from "../support/claims.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

const nowhere = "00000000-0000-4000-8000-000000000000";

describe("create", () => {
  test("a new run is queued, with one job and an event", async () => {
    const input = await newInput(store);
    const { fineTune, created } = await store.fineTunes.create(input);
    expect(created).toBe(true);
    // The release before knows none of these, and refuses what it does not know.
    const { whenDiverged: _, truncate: _truncate, maxSeconds: _max, ...hyperparameters } = input.hyperparameters;
    expect(fineTune.hyperparameters).toStrictEqual(hyperparameters);
    expect([fineTune.lateSettings, settingsOf(fineTune)]).toEqual([null, input.hyperparameters]);
    expect(fineTune).toMatchObject({ ...input, hyperparameters, status: "QUEUED", entries: 0, wanted: "RUN" });
    expect(await store.fineTunes.events(fineTune.id, { after: 0, limit: 10 })).toMatchObject([
      { sequence: 1, type: "QUEUED" },
    ]);
    expect((await claimed(store)).subject).toBe(fineTune.id);
  });

  test("a second create with the same key and input returns the first run", async () => {
    const input = await newInput(store, "wish-1");
    const first = await store.fineTunes.create(input);
    const again = await store.fineTunes.create({ ...input });
    expect(again).toEqual({ fineTune: first.fineTune, created: false });
  });

  test("ten creates at once with one key make one run", async () => {
    const input = await newInput(store, "wish-2");
    const results = await Promise.all(Array.from({ length: 10 }, () => store.fineTunes.create(input)));
    expect(new Set(results.map((result) => result.fineTune.id)).size).toBe(1);
    expect(results.filter((result) => result.created)).toHaveLength(1);
  });

  test("the same key with another input is a CONFLICT", async () => {
    const input = await newInput(store, "wish-3");
    await store.fineTunes.create(input);
    const other = { ...input, hyperparameters: { ...input.hyperparameters, seed: 1 } };
    await expect(store.fineTunes.create(other)).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("runs without a key are never merged", async () => {
    const input = await newInput(store);
    const [a, b] = [await store.fineTunes.create(input), await store.fineTunes.create(input)];
    expect(a.fineTune.id).not.toBe(b.fineTune.id);
  });

  test.for(["baseModelId", "datasetId", "validationDatasetId"])("an unknown %s is NOT_FOUND", async (field) => {
    const input = await newInput(store);
    await expect(store.fineTunes.create({ ...input, [field]: nowhere })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(store.fineTunes.create({ ...input, [field]: "x" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("text that Postgres cannot hold is an INVALID_ARGUMENT", async () => {
    const input = await newInput(store);
    const bad = store.fineTunes.create({ ...input, name: "a\0b" });
    await expect(bad).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("lookups", () => {
  test("an unknown or malformed id is null, and byIds keeps the order", async () => {
    const run = await newRun(store);
    expect(await store.fineTunes.get(nowhere)).toBeNull();
    expect(await store.fineTunes.get("'; drop table jobs")).toBeNull();
    expect(await store.fineTunes.byIds([nowhere, run.id, "x", run.id])).toEqual([null, run, null, run]);
    expect(await store.datasets.get("x")).toBeNull();
    expect(await store.baseModels.getByName("none")).toBeNull();
    expect(await store.checkpoints.get("x")).toBeNull();
  });
});

describe("cancel", () => {
  test("of a queued run ends it at once and deletes its job", async () => {
    await drain();
    const run = await newRun(store);
    const cancelled = await store.fineTunes.cancel(run.id);
    expect(cancelled.status).toBe("CANCELLED");
    expect(cancelled.finishedAt).toBeInstanceOf(Date);
    expect(await claimAny(store, "w", 1_000)).toBeNull();
  });

  test("of a running run reaches its worker with the next renewal and append", async () => {
    const { run, job } = await newTraining(store);
    expect(await store.renewLease(job, 60_000)).toEqual({ wanted: "RUN" });
    expect(await store.fineTunes.cancel(run.id)).toMatchObject({ status: "RUNNING", wanted: "CANCEL" });
    expect(await store.renewLease(job, 60_000)).toEqual({ wanted: "CANCEL" });
    await append(store, job, 0, 1);
    await store.finishFineTune(job, { status: "CANCELLED" });
    expect(await store.fineTunes.get(run.id)).toMatchObject({ status: "CANCELLED", entries: 1 });
  });

  test("of a cancelled run, or a second time, changes nothing", async () => {
    const queued = await newRun(store);
    const cancelled = await store.fineTunes.cancel(queued.id);
    expect(await store.fineTunes.cancel(queued.id)).toEqual(cancelled);
    const { run } = await newTraining(store);
    const asked = await store.fineTunes.cancel(run.id);
    expect(await store.fineTunes.cancel(run.id)).toEqual(asked);
  });

  test.for(["SUCCEEDED", "FAILED"] as const)("of a %s run is INVALID_STATE", async (status) => {
    const { run, job } = await newTraining(store);
    await store.finishFineTune(
      job,
      status === "FAILED" ? { status, code: "LOSS_NOT_FINITE", message: "no", issues: [] } : { status },
    );
    await expect(store.fineTunes.cancel(run.id)).rejects.toMatchObject({ code: "INVALID_STATE" });
  });

  test("of an unknown run is NOT_FOUND", async () => {
    await expect(store.fineTunes.cancel(nowhere)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(store.fineTunes.cancel("x")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("against claim: whoever comes first, the run is either cancelled or told to stop", async () => {
    await drain();
    const runs = await Promise.all(Array.from({ length: 12 }, () => newRun(store)));
    const claims = runs.map(() => claimAny(store, "w", 60_000));
    await Promise.all([...claims, ...runs.map((run) => store.fineTunes.cancel(run.id))]);
    for (const run of await store.fineTunes.byIds(runs.map(({ id }) => id))) {
      expect(run?.status === "CANCELLED" || (run?.status === "RUNNING" && run.wanted === "CANCEL")).toBe(true);
    }
  });
});

describe("base models", () => {
  const model = {
    name: "m",
    hash: sha256("a"),
    family: "opt",
    dtype: "F32",
    parameters: 1,
    bytes: 1,
    contextLength: 1,
  };

  test("new weights under a name are taken until a fine-tune refers to it", async () => {
    const first = await store.baseModels.register(model);
    const changed = await store.baseModels.register({ ...model, hash: sha256("b") });
    expect(changed).toMatchObject({ id: first.id, hash: sha256("b") });
    await store.fineTunes.create({ ...(await newInput(store)), baseModelId: first.id });
    await expect(store.baseModels.register(model)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await store.baseModels.getByName("m")).toEqual(changed);
  });

  test("the same weights may be registered by many workers at once", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => store.baseModels.register({ ...model, name: "n" })));
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
  });
});

describe("the store as a whole", () => {
  test("ping answers, and says UNAVAILABLE when Postgres is gone", async () => {
    await store.ping();
    const gone = await fixture.another();
    await gone.close();
    await expect(gone.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test("several processes may migrate at once", async () => {
    const others = await Promise.all([fixture.another(), fixture.another(), fixture.another()]);
    await Promise.all(others.map((other) => other.migrate()));
    const applied = await directly(fixture.url, (sql) => sql`select hash from drizzle.__drizzle_migrations`);
    const files = (await readdir(new URL("../../migrations/", import.meta.url))).filter((name) => /^\d/u.test(name));
    expect(applied).toHaveLength(files.length);
    expect(new Set(applied.map((row) => String(row["hash"]))).size).toBe(files.length);
  });

  test("a log has a header before it has entries", async () => {
    const run = await newRun(store);
    expect(await store.fineTunes.log(run.id)).toBeNull();
    await drain(run.id);
    const log = await store.fineTunes.log(run.id);
    expect(log).toMatchObject({ entries: 0, decays: null });
    expect(log && Buffer.from(log.headerBytes).equals(headerBytes)).toBe(true);
  });
});

/** Claims whatever is free, and begins the log of one run. */
async function drain(id?: string): Promise<void> {
  for (let job = await next(); job; job = await next()) {
    if (job.subject === id) await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
  }
}

const next = () => claimAny(store, "drain", 60_000);
