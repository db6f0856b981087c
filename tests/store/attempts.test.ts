/** What an attempt costs, and what comes after one that failed. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { leaveToOthersMs, maxAttempts, retryMs } from "../../schema/limits.ts";
import type { ClaimedJob, Store } from "../../store/store.ts";
import { claimAny, everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, lapse, longMs, newTraining } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeEach(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterEach(() => fixture.drop());

const failed = { message: "UNAVAILABLE: /data has no room left.", attempts: maxAttempts };
const eventsOf = async (id: string) =>
  (await store.fineTunes.events(id, { after: 0, limit: 100 })).map(({ type, message }) => ({ type, message }));

/** As if the time had passed. */
const pass = (job: { id: number }, ms: number) =>
  directly(
    fixture.url,
    (sql) => sql`
    update jobs set not_before = not_before - ${ms}::float8 * interval '1 millisecond' where id = ${job.id}`,
  );
const waitedMs = (job: { id: number }) =>
  directly(fixture.url, async (sql) => {
    const [row] = await sql`
      select extract(epoch from not_before - clock_timestamp())::float8 * 1000 as ms from jobs where id = ${job.id}`;
    return Number(row?.["ms"]);
  });
const reportWorker = async (name: string) => {
  const id = crypto.randomUUID();
  await store.workers.report({ id, name, device: "plain", version: "1", ...(await everything(store)) });
};

describe("progress gives all attempts back", () => {
  const position = (entries: number) => ({ entries, step: entries });
  const kinds: Readonly<Record<string, (job: ClaimedJob, turn: number) => Promise<unknown>>> = {
    steps: (job, turn) => append(store, job, turn + 1, 1),
    "an evaluation": (job, turn) =>
      store.recordEvaluation(job, { ...position(turn), rows: 1, loss: 1, accuracy: null }),
  };

  test.for(Object.entries(kinds))("%s: a run survives any number of lost workers", async ([, progress]) => {
    const { job: first } = await newTraining(store);
    await append(store, first, 0, 1);
    let job = first;
    for (let turn = 0; turn < maxAttempts + 2; turn++) {
      await lapse(fixture.url, job);
      job = await claimed(store);
      expect(job.attempts).toBe(1);
      await progress(job, turn);
    }
  });

  test("but an evaluation that was recorded before is none", async () => {
    const { job: first } = await newTraining(store);
    const evaluation = { ...position(0), rows: 1, loss: 1, accuracy: null };
    await store.recordEvaluation(first, evaluation);
    let job = first;
    for (const attempts of [1, 2, 3]) {
      await lapse(fixture.url, job);
      job = await claimed(store);
      expect(job.attempts).toBe(attempts);
      await store.recordEvaluation(job, evaluation);
    }
  });
});

describe("a failed attempt", () => {
  test("is told as an event, and repeated after a while that doubles, until it was made often enough", async () => {
    const { run, job: first } = await newTraining(store);
    let job: ClaimedJob = first;
    for (let attempt = 1; attempt < 4; attempt++) {
      expect(await store.repeatJob(job, { ...failed, attempts: 4 })).toBe(true);
      await expect(append(store, job, 0, 1)).rejects.toMatchObject({ code: "LEASE_LOST" });
      const ms = await waitedMs(job);
      expect(ms).toBeGreaterThan(retryMs.first * 2 ** (attempt - 1) - 1_000);
      expect(ms).toBeLessThanOrEqual(retryMs.first * 2 ** (attempt - 1));
      await pass(job, ms);
      job = await claimed(store, `next ${attempt}`);
      expect(job).toMatchObject({ attempts: attempt + 1, lastError: failed.message });
    }
    expect(await store.repeatJob(job, { ...failed, attempts: 4 })).toBe(false);
    await append(store, job, 0, 1);
    const told = (await eventsOf(run.id)).filter(({ type }) => type === "ATTEMPT_FAILED");
    expect(told).toEqual(
      Array.from({ length: 3 }, () => ({
        type: "ATTEMPT_FAILED",
        message: `It will be repeated. ${failed.message}`,
      })),
    );
  });

  test("never waits longer than the longest time", async () => {
    const { job } = await newTraining(store);
    await directly(fixture.url, (sql) => sql`update jobs set attempts = ${maxAttempts - 1}`);
    await store.repeatJob(job, failed);
    expect(await waitedMs(job)).toBeLessThanOrEqual(retryMs.longest);
  });

  test("is repeated by another worker first, and the run says what it waits for", async () => {
    const { run, job } = await newTraining(store);
    const reason = () => store.fineTunes.waitingReason(run.id);
    const last = `The last attempt failed: ${failed.message}`;
    await reportWorker("worker");
    await store.repeatJob(job, failed);
    expect(await claimAny(store, "other")).toBeNull();
    expect(await reason()).toMatch(/^Waiting for the next attempt, in [45] seconds\. /u);
    expect(await reason()).toContain(last);
    await pass(job, retryMs.first);
    expect(await claimAny(store, "worker")).toBeNull();
    expect(await reason()).toMatch(/^Waiting for the next attempt, in [34] seconds\. /u);
    await reportWorker("other");
    expect(await reason()).toBeNull();
    const other = await claimed(store, "other");
    expect(await reason()).toBeNull();
    await directly(fixture.url, (sql) => sql`delete from workers`);
    await lapse(fixture.url, other);
    expect(await reason()).toBe(`No worker is running. Start one: steplog worker. ${last}`);
    await pass(job, leaveToOthersMs);
    expect(await claimAny(store, "worker")).not.toBeNull();
  });

  test("is forgotten once there is progress", async () => {
    const { run, job } = await newTraining(store);
    await store.repeatJob(job, failed);
    await pass(job, longMs);
    const next = await claimed(store);
    await append(store, next, 0, 1);
    await store.releaseJob(next);
    expect(await store.fineTunes.waitingReason(run.id)).toBe("No worker is running. Start one: steplog worker.");
    expect(await claimed(store, "worker")).toMatchObject({ attempts: 1, lastError: null });
  });

  test("of a run that was cancelled ends it", async () => {
    const { run, job } = await newTraining(store);
    await store.fineTunes.cancel(run.id);
    expect(await store.repeatJob(job, failed)).toBe(true);
    expect(await store.fineTunes.get(run.id)).toMatchObject({ status: "CANCELLED" });
    expect(await directly(fixture.url, (sql) => sql`select * from jobs`)).toHaveLength(0);
  });

  test("leaves a run that is cancelled at once", async () => {
    const { run, job } = await newTraining(store);
    await store.repeatJob(job, failed);
    expect(await store.fineTunes.cancel(run.id)).toMatchObject({ status: "CANCELLED", wanted: "CANCEL" });
    expect((await eventsOf(run.id)).at(-1)).toEqual({ type: "CANCELLED", message: "Cancelled after 0 steps." });
    expect(await directly(fixture.url, (sql) => sql`select * from jobs`)).toHaveLength(0);
  });

  test("of a rebuild is told by the checkpoint", async () => {
    const { job } = await newTraining(store);
    await append(store, job, 0, 1);
    const position1 = { entries: 1, step: 1, chain: chainAfter(1), weightsDigest: "ab".repeat(32) };
    const { id } = await store.recordCheckpoint(job, position1);
    await store.checkpoints.requestWeights(id);
    const rebuild = await claimed(store);
    await store.repeatJob(rebuild, failed);
    expect(await store.checkpoints.get(id)).toMatchObject({ weightsStatus: "QUEUED", weightsError: failed.message });
    await pass(rebuild, longMs);
    await store.finishMaterialise(await claimed(store), { weightsFiles: [] });
    expect(await store.checkpoints.get(id)).toMatchObject({ weightsStatus: "STORED", weightsError: null });
  });
});
