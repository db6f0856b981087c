/**
 * A process that freezes at any moment of any transaction, its connection open and silent, keeps nobody from its job: once
 * the lease has expired, whoever looks for work gets it.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type ClaimedJob, type Store, openStore } from "../../store/store.ts";
import { claimAny } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { type Relay, relayTo } from "../support/relay.ts";
import { append, chainAfter, chainStart, directly, headerBytes, newTraining } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
/** A store waits some seconds for a transaction that has been cut off. */
const closing: Promise<void>[] = [];
afterAll(async () => {
  await Promise.all(closing);
  await fixture.drop();
});

const leaseMs = 1_000;
const failed = { message: "UNAVAILABLE: no room", attempts: 20 };
const position = { entries: 1, step: 1 };

/** Everything that locks a job. */
const moves: Readonly<Record<string, (frozen: Store, job: ClaimedJob) => Promise<unknown>>> = {
  claim: (frozen) => claimAny(frozen, "frozen", leaseMs),
  renewal: (frozen, job) => frozen.renewLease(job, leaseMs),
  release: (frozen, job) => frozen.releaseJob(job),
  "failed attempt": (frozen, job) => frozen.repeatJob(job, failed),
  "start of the log": (frozen, job) =>
    frozen.beginLog(job, { headerBytes, chain: chainStart, device: "plain", pickedRate: null }),
  append: (frozen, job) => append(frozen, job, 1, 1),
  evaluation: (frozen, job) => frozen.recordEvaluation(job, { ...position, rows: 1, loss: 1, accuracy: null }),
  checkpoint: (frozen, job) =>
    frozen.recordCheckpoint(job, { ...position, chain: chainAfter(1), weightsDigest: "ab".repeat(32) }),
  event: (frozen, job) => frozen.recordEvent(job, { type: "NOTE", message: "" }),
  end: (frozen, job) => frozen.finishFineTune(job, { status: "SUCCEEDED" }),
  cancel: (frozen, job) => frozen.fineTunes.cancel(job.subject),
};

/** A store by way of a relay, connected. */
async function relayed(): Promise<{ frozen: Store; relay: Relay }> {
  const relay = await relayTo(fixture.url);
  const frozen = await openStore({ databaseUrl: relay.url, storageDir: fixture.storageDir });
  await frozen.ping();
  return { frozen, relay };
}

/** Held under a lease that lasts until `lapseAll`. */
async function newJob(): Promise<ClaimedJob> {
  const { job } = await newTraining(store);
  await append(store, job, 0, 1);
  return job;
}

const lapseAll = () =>
  directly(fixture.url, (sql) => sql`update jobs set lease_expires_at = now() - interval '1 second'`);
const clear = () => directly(fixture.url, (sql) => sql`delete from jobs`);
/** But for those whose attempt failed, which are due later. */
const jobsLeft = async () =>
  directly(fixture.url, async (sql) => {
    const rows = await sql`select id from jobs where not_before is null`;
    return rows.length;
  });

/** How often the client sends something while it moves. */
async function sendsOf(move: (frozen: Store, job: ClaimedJob) => Promise<unknown>): Promise<number> {
  const { frozen, relay } = await relayed();
  const job = await newJob();
  relay.freezeAfter(Infinity);
  await move(frozen, job);
  const sends = relay.sends();
  await frozen.close();
  relay.close();
  await clear();
  return sends;
}

/** The others are a minute, when asked for. */
const quick = new Set(["claim", "append"]);
const long = process.env["STEPLOG_LONG_TESTS"] !== undefined;
const chosen = Object.entries(moves).filter(([name]) => long || quick.has(name));

afterEach(clear);

test.for(chosen)("within its %s", async ([, move]) => {
  const sends = await sendsOf(move);
  const cases = await Promise.all(Array.from({ length: sends }, relayed));
  const jobs: ClaimedJob[] = [];
  for (const _ of cases) jobs.push(await newJob());
  await lapseAll();
  await Promise.all(
    cases.map(async ({ frozen, relay }, index) => {
      const job = jobs[index];
      if (!job) throw new Error("each case has a job");
      relay.freezeAfter(index + 1);
      let isOver = false;
      const ended = () => {
        isOver = true;
      };
      move(frozen, job).then(ended, ended);
      // Statements that are not waited for may go out together, in fewer sends than the first time.
      await expect.poll(() => isOver || relay.sends() === index + 1).toBe(true);
    }),
  );
  const takeOver = async () => {
    for (;;) {
      const job = await claimAny(store, "other", leaseMs);
      if (!job) return jobsLeft();
      await store.finishFineTune(job, { status: "CANCELLED" });
    }
  };
  await expect.poll(takeOver, { interval: 10, timeout: 10_000 }).toBe(0);
  for (const { relay } of cases) relay.close();
  closing.push(...cases.map(({ frozen }) => frozen.close()));
});
