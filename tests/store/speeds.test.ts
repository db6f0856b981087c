/** Measurements of workers: who makes them, what comes before them, and what stays of them. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { placeOf } from "../../schema/estimate.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { JobKind } from "../../schema/jobs.ts";
import { forgetMeasureMs } from "../../schema/limits.ts";
import type { Store } from "../../store/store.ts";
import { everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly, longMs, newInput, newRun } from "./fixtures.ts";

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
