import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { soleJobKinds } from "../../schema/jobs.ts";
import { leaseMs } from "../../schema/limits.ts";
import { connectionOptions } from "../../store/postgres/connection.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import type { ClaimedJob, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainStart, claimed, directly, headerBytes, lapse, longMs, newRun, newTraining } from "./fixtures.ts";
import { newCompletion } from "./serving-fixtures.ts";
import { claimAny, everything } from "../support/claims.ts";

// A queue of its own for each test: what is free must be what the test put there.
let fixture: TestStore;
let store: Store;
beforeEach(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterEach(() => fixture.drop());

const lost = { code: "LEASE_LOST" };
const typesOf = async (id: string) =>
  (await store.fineTunes.events(id, { after: 0, limit: 100 })).map(({ sequence, type }) => `${sequence} ${type}`);

describe("claim", () => {
  test("a claim takes the oldest job and starts its run", async () => {
    const [first] = [await newRun(store), await newRun(store)];
    const job = await claimed(store, "alice");
    expect(job).toMatchObject({ kind: "FINE_TUNE", subject: first.id, token: 1, attempts: 1, payload: {} });
    const run = await store.fineTunes.get(first.id);
    expect(run?.status).toBe("RUNNING");
    expect(run?.startedAt).toBeInstanceOf(Date);
    expect(await typesOf(first.id)).toEqual(["1 QUEUED", "2 RUNNING"]);
  });

  test("two workers never claim the same job", async () => {
    const runs = await Promise.all(Array.from({ length: 30 }, () => newRun(store)));
    const others = await Promise.all([fixture.another(), fixture.another()]);
    const capabilities = await everything(store);
    const worker = async (from: Store, name: string): Promise<ClaimedJob[]> => {
      const jobs: ClaimedJob[] = [];
      // A claim may find nothing while others hold all the rows that are left, so it tries until none is left.
      while ((await unclaimed()) > 0) {
        const job = await from.claimJob({ worker: name, leaseMs: longMs, capabilities });
        if (job) jobs.push(job);
      }
      return jobs;
    };
    const workers = [store, ...others].flatMap((from, index) => [0, 1, 2, 3].map((n) => worker(from, `${index}.${n}`)));
    const jobs = (await Promise.all(workers)).flat();
    expect(jobs).toHaveLength(runs.length);
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(runs.length);
    expect(jobs.every(({ token }) => token === 1)).toBe(true);
  });

  test("a job that is held is not claimed", async () => {
    await newRun(store);
    await claimed(store);
    expect(await claimAny(store, "b", longMs)).toBeNull();
  });

  test("a lapsed lease returns the job to the queue, and the run continues where its log ends", async () => {
    const run = await newRun(store);
    const first = await claimed(store, "a", 30);
    await store.beginLog(first, { headerBytes, chain: chainStart, device: "plain" });
    await append(store, first, 0, 3);
    await expect.poll(() => claimAny(store, "b", longMs), { timeout: 5_000 }).not.toBeNull();
    expect(await store.fineTunes.get(run.id)).toMatchObject({ status: "RUNNING", entries: 3 });
    expect(await typesOf(run.id)).toEqual(["1 QUEUED", "2 RUNNING", "3 RESUMED"]);
  });

  test("a renewed lease does not lapse", async () => {
    await newRun(store);
    const job = await claimed(store, "a", 1);
    await store.renewLease(job, longMs);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await claimAny(store, "b", longMs)).toBeNull();
  });
});

describe("a worker that lost its lease", () => {
  test("cannot write anything at all", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 2);
    await lapse(fixture.url, job);
    const next = await claimed(store, "next");
    expect(next.token).toBe(job.token + 1);
    const before = await allRows();

    await expect(append(store, job, 2, 1)).rejects.toMatchObject(lost);
    await expect(store.renewLease(job, longMs)).rejects.toMatchObject(lost);
    await expect(store.releaseJob(job)).rejects.toMatchObject(lost);
    await expect(store.recordEvent(job, { type: "NOTE", message: "late" })).rejects.toMatchObject(lost);
    await expect(store.finishFineTune(job, { status: "SUCCEEDED" })).rejects.toMatchObject(lost);
    await expect(store.finishMaterialise(job, { error: "late" })).rejects.toMatchObject(lost);
    const begin = { headerBytes, chain: chainStart, device: "other" };
    await expect(store.beginLog(job, begin)).rejects.toMatchObject(lost);
    const evaluation = { entries: 2, step: 2, rows: 1, loss: 1, accuracy: null };
    await expect(store.recordEvaluation(job, evaluation)).rejects.toMatchObject(lost);
    const checkpoint = { entries: 2, step: 2, chain: chainStart, weightsDigest: "d" };
    await expect(store.recordCheckpoint(job, checkpoint)).rejects.toMatchObject(lost);

    expect(await allRows()).toEqual(before);
    await append(store, next, 2, 1);
    expect((await store.fineTunes.get(run.id))?.entries).toBe(3);
  });

  test("keeps it while nobody else took it, even after its time", async () => {
    const { run, job } = await newTraining(store);
    await lapse(fixture.url, job);
    await append(store, job, 0, 1);
    await store.renewLease(job, longMs);
    expect((await store.fineTunes.get(run.id))?.entries).toBe(1);
    expect(await claimAny(store, "b", longMs)).toBeNull();
  });

  test("a worker that freezes within a transaction does not hold its job for ever", async () => {
    const { job } = await newTraining(store);
    await lapse(fixture.url, job);
    // What the store sets for its own connections, only shorter. Neither commit nor rollback follows.
    const frozen = postgres(fixture.url, { max: 1, connection: { idle_in_transaction_session_timeout: 500 } });
    await frozen.unsafe("begin");
    await frozen`select 1 from jobs where id = ${job.id} for update`;
    expect(await claimAny(store, "b", longMs)).toBeNull();
    await expect.poll(() => claimAny(store, "b", longMs), { timeout: 5_000 }).not.toBeNull();
    await frozen.end();
    const { connection } = connectionOptions(readDatabaseUrl(fixture.url));
    expect(connection?.idle_in_transaction_session_timeout).toBe(String(leaseMs));
  });
});

describe("release", () => {
  test("gives the job to another worker at once", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 1);
    await store.releaseJob(job);
    await expect(append(store, job, 1, 1)).rejects.toMatchObject(lost);
    const next = await claimed(store, "next");
    expect(next.subject).toBe(run.id);
    await append(store, next, 1, 1);
    expect(await typesOf(run.id)).toEqual(["1 QUEUED", "2 RUNNING", "3 RELEASED", "4 RESUMED"]);
  });
});

describe("waitForJob", () => {
  const within = async (wait: Promise<void>, ms: number): Promise<"news" | "nothing"> =>
    Promise.race([
      wait.then(() => "news" as const),
      new Promise<"nothing">((resolve) => setTimeout(resolve, ms, "nothing")),
    ]);
  /** Looks for work and waits until the listening connection stands, whose coming up counts as news. */
  const settled = async (): Promise<void> => {
    expect(await claimAny(store, "w", longMs)).toBeNull();
    await store.waitForJob({ timeoutMs: 2_000 });
    expect(await claimAny(store, "w", longMs)).toBeNull();
  };

  test("returns when another process submits work", async () => {
    await settled();
    const wait = within(store.waitForJob({ timeoutMs: longMs, signal: AbortSignal.timeout(5_000) }), 4_000);
    await newRun(await fixture.another());
    expect(await wait).toBe("news");
  });

  test("leaves requests to the lane that answers them", async () => {
    const lane = store.claimer();
    const claim = { worker: "w", leaseMs: longMs, capabilities: await everything(store) };
    const requests = { ...claim, capabilities: { ...claim.capabilities, kinds: ["COMPLETE"] as const } };
    const jobs = { ...claim, capabilities: { ...claim.capabilities, kinds: soleJobKinds } };
    expect(await lane.claimJobs(requests, 1)).toEqual([]);
    await lane.waitForJob({ timeoutMs: 2_000 });
    expect(await lane.claimJobs(requests, 1)).toEqual([]);
    expect(await store.claimJob(jobs)).toBeNull();
    const heard = lane.waitForJob({ timeoutMs: longMs, signal: AbortSignal.timeout(5_000) });
    await newCompletion(await fixture.another());
    expect(await within(heard, 4_000)).toBe("news");
    const signal = AbortSignal.timeout(1_000);
    expect(await within(store.waitForJob({ timeoutMs: longMs, signal }), 100)).toBe("nothing");
  });

  test("returns when a worker gives its job back", async () => {
    const other = await fixture.another();
    await newRun(store);
    const job = await claimed(other);
    await settled();
    const wait = within(store.waitForJob({ timeoutMs: longMs, signal: AbortSignal.timeout(5_000) }), 4_000);
    await other.releaseJob(job);
    expect(await wait).toBe("news");
  });

  test("returns at once when work came between the look and the wait", async () => {
    await settled();
    await newRun(store);
    await expect
      .poll(() => within(store.waitForJob({ timeoutMs: longMs, signal: AbortSignal.timeout(50) }), 5))
      .toBe("news");
  });

  test("returns on its signal and after its time", async () => {
    await settled();
    const stop = new AbortController();
    const wait = store.waitForJob({ timeoutMs: longMs, signal: stop.signal });
    expect(await within(wait, 50)).toBe("nothing");
    stop.abort();
    await wait;
    await store.waitForJob({ timeoutMs: 10 });
  });
});

const unclaimed = () =>
  directly(fixture.url, async (sql) => {
    const rows = await sql`select count(*)::int as n from jobs where lease_worker is null`;
    return Number(rows[0]?.["n"]);
  });

/** All that a late worker could have touched. */
const allRows = () =>
  directly(fixture.url, async (sql) => [
    await sql`select * from jobs`,
    await sql`select * from fine_tunes`,
    await sql`select * from log_segments`,
    await sql`select * from step_metrics order by step`,
    await sql`select * from events order by sequence`,
    await sql`select * from evaluations`,
    await sql`select * from checkpoints`,
  ]);
