/** Measurements of workers: who makes them, what comes before them, and what stays of them. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { placeOf } from "../../schema/estimate.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { JobKind } from "../../schema/jobs.ts";
import { forgetMeasureMs } from "../../schema/limits.ts";
import type { StepBatch, Store } from "../../store/store.ts";
import { everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { chainAfter, directly, longMs, metricsOf, newInput, newRun, scalarsOf, sha256 } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeEach(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterEach(() => fixture.drop());

const key = "ab".repeat(32);
const speeds = { start: 1, stepToken: 0.001, evaluationToken: { VALIDATION: 0.002 }, checkpoint: 0.1 };
const worker = { name: "host-1", device: "plain" };

async function ask(): Promise<void> {
  const { baseModelId, labelWords } = await newInput(store);
  const rows = { training: "aa", validation: null, test: null, calibrationPrompt: "a secret" };
  const measurement = { key, baseModelId, ...rows, labelWords: [...labelWords], hyperparameters };
  await store.speeds.ask([{ worker, needs: {}, measurement }]);
}
const hyperparameters = hyperparametersSchema.parse({});

async function claimAs(name: string, kinds?: JobKind[]) {
  const can = await everything(store);
  return store.claimJob({ worker: name, leaseMs: longMs, capabilities: { ...can, ...(kinds && { kinds }) } });
}

const jobs = () => directly(fixture.url, (sql) => sql`select kind, payload::text as text from jobs`);

test("only the worker that is asked measures, and none of a release that does not", async () => {
  await ask();
  await ask();
  expect(await claimAs("host-2")).toBeNull();
  expect(await claimAs("host-1", ["FINE_TUNE", "MATERIALISE"])).toBeNull();
  const job = await claimAs("host-1");
  expect(job).toMatchObject({ kind: "MEASURE", payload: { key, labelWords: ["good", "bad"] } });
  expect(await store.speeds.pending(key)).toStrictEqual(new Set(["host-1"]));
  expect(await claimAs("host-1")).toBeNull();
});

test("what was measured is kept for the machine and device; nothing else stays", async () => {
  await ask();
  const job = await claimAs("host-1");
  if (!job) throw new Error("there is a job");
  await store.speeds.finish(job, speeds);
  expect(await store.speeds.kept(key)).toStrictEqual(new Map([[placeOf({ ...worker, name: "host-99" }), speeds]]));
  expect(await jobs()).toHaveLength(0);
  const kept = await directly(fixture.url, (sql) => sql`select run_speeds::text as text from run_speeds`);
  expect(JSON.stringify(kept)).not.toMatch(/secret|good/u);

  await ask();
  const again = await claimAs("host-1");
  if (!again) throw new Error("there is a job");
  await store.speeds.finish(again, { ...speeds, start: 2 });
  expect((await store.speeds.kept(key)).get(placeOf(worker))?.start).toBe(2);
});

const batch: StepBatch = {
  firstEntry: 40,
  scalars: scalarsOf(40, 9),
  decays: null,
  chainAfter: chainAfter(9),
  metrics: metricsOf(20, 9),
  tokens: 100,
};

/** Rows that were put into tables since the last look, those that were taken back among them. */
async function inserted(tables: readonly string[]): Promise<number[]> {
  const rows = await directly(
    fixture.url,
    (sql) => sql<{ count: number }[]>`
      select coalesce(sum(n_tup_ins), 0)::int as count from unnest(${tables}::text[]) with ordinality as wanted (name, at)
      left join pg_stat_user_tables on relname = name group by at order by at`,
  );
  return rows.map(({ count }) => count);
}

const stored = async () =>
  directly(
    fixture.url,
    (
      sql,
    ) => sql`select (select count(*)::int from fine_tunes) as runs, (select count(*)::int from step_metrics) as steps,
      (select count(*)::int from log_segments) as segments, (select count(*)::int from usage_days) as usage`,
  );

test("steps of a measurement are stored as those of a run, and taken back", async () => {
  await ask();
  await directly(
    fixture.url,
    (sql) => sql`update jobs set payload = payload || ${sql.json({ training: sha256("rows") })}`,
  );
  const job = await claimAs("host-1");
  if (!job) throw new Error("there is a job");
  const before = await stored();
  const tables = ["step_metrics", "log_segments", "merged_steps"];
  let seen: number[] = [];
  const rehearsed = async () => {
    await store.speeds.rehearse(job, batch);
    return (seen = await inserted(tables))[0];
  };
  // A connection of Postgres' tells of the rows that it put in with a transaction that comes a second later.
  await expect.poll(rehearsed, { timeout: 30_000, interval: 300 }).toBeGreaterThan(0);
  const [, segments = 0] = seen;
  expect(seen).toStrictEqual([9 * segments, segments, segments]);
  expect(await stored()).toStrictEqual(before);
  await store.speeds.finish(job, speeds);
  await expect(store.speeds.rehearse(job, batch)).rejects.toMatchObject({ code: "LEASE_LOST" });
});

test("without the dataset nothing is stored, and nothing fails", async () => {
  await ask();
  const job = await claimAs("host-1");
  if (!job) throw new Error("there is a job");
  const before = await stored();
  await store.speeds.rehearse(job, batch);
  expect(await stored()).toStrictEqual(before);
});

test("runs come first, and a measurement gives way to them", async () => {
  await ask();
  await newRun(store);
  expect((await claimAs("other-3"))?.kind).toBe("FINE_TUNE");
  const job = await claimAs("host-1");
  if (!job) throw new Error("there is a job");
  const can = await everything(store);
  await store.workers.report({ id: crypto.randomUUID(), version: "1", ...worker, ...can, memoryBytes: 1_000 });
  expect(await store.renewLease(job, longMs)).toStrictEqual({ wanted: "RUN" });
  await newRun(store);
  expect(await store.renewLease(job, longMs)).toStrictEqual({ wanted: "CANCEL" });
  // Requests wait for the measurement, which takes seconds: there may always be some.
  await directly(fixture.url, (sql) => sql`update jobs set kind = 'COMPLETE' where kind = 'FINE_TUNE'`);
  expect(await store.renewLease(job, longMs)).toStrictEqual({ wanted: "RUN" });
  await directly(fixture.url, (sql) => sql`update jobs set kind = 'FINE_TUNE' where kind = 'COMPLETE'`);
  // One that it could not train is none of its business.
  await directly(fixture.url, (sql) => sql`update workers set memory_bytes = 1`);
  expect(await store.renewLease(job, longMs)).toStrictEqual({ wanted: "RUN" });
  await store.speeds.finish(job, null);
  expect((await store.speeds.kept(key)).size).toBe(0);
});

test("a failed measurement is not repeated", async () => {
  await ask();
  const job = await claimAs("host-1");
  if (!job) throw new Error("there is a job");
  expect(await store.repeatJob(job, { message: "UNAVAILABLE: x", attempts: 20 })).toBe(true);
  expect(await jobs()).toHaveLength(0);
});

test("what nobody has begun is taken back, or forgotten when whoever asked has died", async () => {
  await ask();
  await store.speeds.withdraw(key);
  expect(await jobs()).toHaveLength(0);

  await ask();
  const can = await everything(store);
  const report = () => store.workers.report({ id: crypto.randomUUID(), version: "1", name: "w", device: "d", ...can });
  await report();
  expect(await jobs()).toHaveLength(1);
  await directly(
    fixture.url,
    (sql) => sql`update jobs set created_at = now() - ${forgetMeasureMs + 1_000} * interval '1 millisecond'`,
  );
  await report();
  expect(await jobs()).toHaveLength(0);

  await ask();
  expect(await claimAs("host-1")).not.toBeNull();
  await store.speeds.withdraw(key);
  expect(await jobs()).toHaveLength(1);
});
