/** A worker that is asleep is listed as it was, and is wanted for exactly what it could claim. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { liveMs } from "../../schema/limits.ts";
import { jobKinds } from "../../schema/jobs.ts";
import type { Sleeper, WorkerReport } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly, newRun } from "./fixtures.ts";

let service: TestStore;
beforeAll(async () => (service = await testStore()));
afterAll(() => service.drop());

const serving = { memoryBytes: 100, usedBytes: 60, places: 16, requests: 2, warm: [{ base: "ab", chain: null }] };
let report: WorkerReport;
let sleeper: Sleeper;

beforeEach(async () => {
  await directly(service.url, (sql) => sql`truncate jobs, workers, found_models`);
  const can = { kinds: jobKinds, families: ["opt"], precisions: ["FLOAT32"], memoryBytes: 1_000, models: [] } as const;
  report = { id: randomUUID(), name: "sleepy", device: "plain", version: "1", serving, ...can };
  sleeper = service.store.sleeper(report.id);
  await service.store.workers.report(report);
  await service.store.workers.fallAsleep(report.id);
});

const addJob = (kind: string, needs: object) =>
  directly(
    service.url,
    (sql) => sql`insert into jobs (kind, subject, needs)
      values (${kind}, gen_random_uuid(), ${JSON.stringify(needs)}::text::jsonb)`,
  );

test("it stays listed for as long as it is kept alive, with nothing in its memory; a report wakes it", async () => {
  const { workers } = service.store;
  const emptied = { ...serving, usedBytes: 0, requests: 0, warm: [] };
  expect(await workers.list()).toMatchObject([{ name: "sleepy", asleep: true, serving: emptied, job: null }]);
  const before = liveMs / 1_000 - 1;
  await directly(service.url, (sql) => sql`update workers set last_seen_at = now() - ${before} * interval '1 second'`);
  expect(await sleeper.isWanted()).toBe(false);
  const [row] = await workers.list();
  expect(Date.now() - (row?.lastSeenAt.getTime() ?? 0)).toBeLessThan(5_000);
  await workers.report(report);
  expect(await workers.list()).toMatchObject([{ asleep: false, serving }]);
});

test.each([
  ["a job that it can do", "EXPORT", {}, true],
  ["a measurement for it", "MEASURE", { workers: ["sleepy"] }, true],
  ["another's measurement", "MEASURE", { workers: ["another"] }, false],
  ["a job with too much memory", "EXPORT", { memoryBytes: 1_001 }, false],
  ["a job of a model that it lacks", "EXPORT", { models: [{ name: "m", hash: "ab" }] }, false],
  ["a request that fits its part for requests", "COMPLETE", { memoryBytes: 100 }, true],
  ["a larger request", "COMPLETE", { memoryBytes: 101 }, false],
])("it is wanted, or not, for %s", async (_what, kind, needs, wanted) => {
  await addJob(kind, needs);
  expect(await sleeper.isWanted()).toBe(wanted);
});

test("it is not wanted for a job that is held, or that waits after its own failure", async () => {
  await addJob("EXPORT", {});
  const held = (set: string) => directly(service.url, (sql) => sql.unsafe(`update jobs set ${set}`));
  await held("lease_worker = 'other', lease_expires_at = now() + interval '1 minute'");
  expect(await sleeper.isWanted()).toBe(false);
  await held("lease_expires_at = now() - interval '1 second'");
  expect(await sleeper.isWanted()).toBe(true);
  await held("lease_expires_at = null, not_before = now() - interval '1 second', failed_by = 'sleepy'");
  expect(await sleeper.isWanted()).toBe(false);
  await held("failed_by = 'other'");
  expect(await sleeper.isWanted()).toBe(true);
});

test("it is wanted to register what it has found, and when its row is gone", async () => {
  const { store } = service;
  const size = { parameters: 4, bytes: 16, contextLength: 32 };
  await store.foundModels.report("sleepy", [{ name: "found", family: "opt", dtype: "F32", ...size }]);
  expect(await sleeper.isWanted()).toBe(false);
  await store.foundModels.requestRegistration("found");
  expect(await sleeper.isWanted()).toBe(true);
  await store.foundModels.claimRegistration({ worker: "other", leaseMs: 60_000, names: ["found"] });
  expect(await sleeper.isWanted()).toBe(false);
  await store.workers.remove(report.id);
  expect(await sleeper.isWanted()).toBe(true);
});

test("it hears of new work at once; a run says that a worker starts for it", async () => {
  const { store } = service;
  const stop = new AbortController();
  const wait = () => sleeper.waitForWork({ timeoutMs: 60_000, signal: stop.signal });
  // Until LISTEN is there, news may be missed.
  await newRun(store);
  await sleeper.isWanted();
  const first = wait();
  await newRun(store);
  await first;
  await sleeper.isWanted();
  const second = wait();
  const { id } = await newRun(store);
  const started = performance.now();
  await second;
  expect(performance.now() - started).toBeLessThan(5_000);
  const reason = () => store.fineTunes.waitingReason(id);
  expect(await reason()).toMatch(/^No live worker has the base model tiny/u);
  const [entry] = await store.queue.depth();
  await store.workers.report({ ...report, models: entry?.needs.models ?? [] });
  await store.workers.fallAsleep(report.id);
  expect(await sleeper.isWanted()).toBe(true);
  await directly(service.url, (sql) => sql`delete from jobs where subject <> ${id}`);
  expect(await reason()).toBe("A worker starts for it.");
});
