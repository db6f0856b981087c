/** What the queue shows of itself: jobs by what they need, and the number of workers that autoscalers ask for. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { jobKinds, soleJobKinds } from "../../schema/jobs.ts";
import { operator } from "../../schema/projects.ts";
import { workersWantedSql } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { claimed, directly, lapse, newRun } from "./fixtures.ts";

let service: TestStore;
beforeAll(async () => (service = await testStore()));
afterAll(() => service.drop());

const capable = { families: ["opt"], precisions: ["FLOAT32"], memoryBytes: 1e9, models: [] } as const;

test("free, held and waiting jobs by what they need, and the workers for them", async () => {
  const { store, url } = service;
  expect(await store.queue.depth()).toEqual([]);
  expect(await store.queue.workersWanted()).toBe(0);
  await newRun(store);
  await newRun(store);
  const [entry] = await store.queue.depth();
  expect(entry).toMatchObject({
    kind: "FINE_TUNE",
    family: "opt",
    model: "tiny",
    precision: "FLOAT32",
    memoryBytes: 16,
    free: 2,
    held: 0,
    waiting: 0,
    lack: "No worker is running. Start one: steplog worker.",
  });
  expect(entry?.oldestSeconds).toBeGreaterThan(0);

  const held = await claimed(store);
  expect(await store.queue.depth()).toMatchObject([{ free: 1, held: 1, waiting: 0 }]);
  expect(await store.queue.workersWanted()).toBe(2);
  // Its worker died.
  await lapse(url, held);
  expect(await store.queue.depth()).toMatchObject([{ free: 2, held: 0, waiting: 0 }]);
  const again = await claimed(store, "another");
  await store.repeatJob(again, { message: "UNAVAILABLE: full", attempts: 20 });
  expect(await store.queue.depth()).toMatchObject([{ free: 1, held: 0, waiting: 1 }]);
  expect(await store.queue.workersWanted()).toBe(1);
});

test("runs beyond those that their project may train at once are not free: they want no worker", async () => {
  const { store, url } = service;
  await directly(url, (sql) => sql`delete from jobs`);
  for (let run = 0; run < 5; run++) await newRun(store);
  await store.of(operator).accounts.setQuotas({ concurrentRuns: 2 });
  expect(await store.queue.depth()).toMatchObject([{ free: 2, held: 0, waiting: 3 }]);
  expect(await store.queue.workersWanted()).toBe(2);
  const first = await claimed(store);
  expect(await store.queue.depth()).toMatchObject([{ free: 1, held: 1, waiting: 3 }]);
  await claimed(store);
  expect(await store.queue.depth()).toMatchObject([{ free: 0, held: 2, waiting: 3 }]);
  expect(await store.queue.workersWanted()).toBe(2);
  await lapse(url, first);
  expect(await store.queue.depth()).toMatchObject([{ free: 1, held: 1, waiting: 3 }]);
  // Fewer than are trained already.
  await store.of(operator).accounts.setQuotas({ concurrentRuns: 0 });
  expect(await store.queue.depth()).toMatchObject([{ free: 0, held: 1, waiting: 4 }]);
  await store.of(operator).accounts.setQuotas({ concurrentRuns: null });
  expect(await store.queue.depth()).toMatchObject([{ free: 4, held: 1, waiting: 0 }]);
  await directly(url, (sql) => sql`delete from jobs`);
  await newRun(store);
});

test("nor are runs beyond those that the whole service may train at once, whatever their project", async () => {
  const { store, url } = service;
  await directly(url, (sql) => sql`delete from jobs`);
  await store.projects.create("busy");
  const [first, second] = [await newRun(store), await newRun(store)];
  for (let run = 0; run < 4; run++) await newRun(store);
  await directly(
    url,
    (sql) => sql`update jobs set project_id = (select id from projects where name = 'busy')
    where subject not in (${first.id}, ${second.id})`,
  );
  const told = async (mostRuns: number | null, depth: object) => {
    (await service.another({ mostRuns })).doChores();
    await expect.poll(() => store.queue.depth()).toMatchObject([depth]);
  };
  await told(3, { free: 3, held: 0, waiting: 3 });
  expect(await store.queue.workersWanted()).toBe(3);
  // What one project may not have is room for another.
  await store.of(operator).accounts.setQuotas({ concurrentRuns: 0 });
  await claimed(store);
  expect(await store.queue.depth()).toMatchObject([{ free: 2, held: 1, waiting: 3 }]);
  expect(await store.queue.workersWanted()).toBe(3);
  await told(5, { free: 3, held: 1, waiting: 2 });
  // Fewer than are trained already; then as many as there are workers.
  await store.of(operator).accounts.setQuotas({ concurrentRuns: null });
  await told(1, { free: 0, held: 1, waiting: 5 });
  expect(await store.queue.workersWanted()).toBe(1);
  // Only runs are counted.
  await directly(
    url,
    (sql) => sql`insert into jobs (kind, subject, needs) values ('EVALUATE', gen_random_uuid(), '{}')`,
  );
  expect(await store.queue.workersWanted()).toBe(2);
  await directly(url, (sql) => sql`delete from jobs where kind = 'EVALUATE'`);
  await told(null, { free: 5, held: 1, waiting: 0 });
  await directly(url, (sql) => sql`delete from jobs`);
  await newRun(store);
});

test("work is counted by the memory that it needs", async () => {
  const { queue } = service.store;
  expect(await queue.depth({ fromBytes: 17 })).toEqual([]);
  expect(await queue.depth({ belowBytes: 16 })).toEqual([]);
  expect(await queue.depth({ fromBytes: 16, belowBytes: 17 })).toHaveLength(1);
  const wanted = [{ fromBytes: 17 }, { belowBytes: 16 }, { fromBytes: 16, belowBytes: 17 }];
  expect(await Promise.all(wanted.map((range) => queue.workersWanted(range)))).toEqual([0, 0, 1]);
});

test("a worker is wanted for sixteen requests, and one job beside them; a measurement wants none", async () => {
  const { store, url } = service;
  const add = (kind: string, count: number, needs = {}) =>
    directly(
      url,
      (sql) => sql`insert into jobs (kind, subject, needs)
        select ${kind}, gen_random_uuid(), ${JSON.stringify(needs)}::text::jsonb from generate_series(1, ${count})`,
    );
  await add("MEASURE", 5, { workers: ["another"] });
  await add("COMPLETE", 16);
  expect(await store.queue.workersWanted()).toBe(1);
  await add("COMPLETE", 17);
  expect(await store.queue.workersWanted()).toBe(3);
  const kinds = (await store.queue.depth()).map(({ kind }) => kind);
  expect(kinds).toEqual(["COMPLETE", "FINE_TUNE"]);
  await directly(url, (sql) => sql`delete from jobs`);
});

test("a model that waits to be registered wants a worker, which need not have it", async () => {
  const { store, url } = service;
  const size = { parameters: 4, bytes: 16, contextLength: 32 };
  await store.foundModels.report("gone", [{ name: "found", family: "opt", dtype: "F32", ...size }]);
  expect(await store.queue.workersWanted()).toBe(0);
  await store.foundModels.requestRegistration("found");
  const lack: unknown = expect.stringMatching(/^No worker is running/u);
  expect(await store.queue.depth()).toMatchObject([{ kind: "REGISTER", free: 1, held: 0, lack }]);
  expect(await store.queue.workersWanted()).toBe(1);
  const report = { name: "w", device: "plain", version: "1", kinds: ["COMPLETE"], ...capable } as const;
  await store.workers.report({ id: crypto.randomUUID(), ...report });
  await store.foundModels.claimRegistration({ worker: "w", leaseMs: 60_000, names: ["found"] });
  expect(await store.queue.depth()).toMatchObject([{ kind: "REGISTER", free: 0, held: 1, lack: null }]);
  await directly(url, (sql) => sql`delete from found_models`);
});

test("a model that waits to be downloaded wants a worker, until its download has ended", async () => {
  const { store } = service;
  const name = "opt-350m";
  await store.modelDownloads.request({ name, repository: "facebook/opt-350m", revision: "main" });
  expect(await store.queue.depth()).toMatchObject([{ kind: "DOWNLOAD", free: 1, held: 0 }]);
  expect(await store.queue.workersWanted({ belowBytes: 16e9 })).toBe(1);
  await store.modelDownloads.claim({ worker: "w", leaseMs: 60_000 });
  expect(await store.queue.depth()).toMatchObject([{ kind: "DOWNLOAD", free: 0, held: 1, lack: null }]);
  expect(await store.queue.workersWanted()).toBe(1);
  await store.modelDownloads.finish(name, "w", { status: "SUCCEEDED" });
  expect(await store.queue.workersWanted()).toBe(0);
});

test("what no live worker can do is said with what it lacks", async () => {
  const { store } = service;
  await newRun(store);
  const report = { name: "sole", device: "plain", version: "1", kinds: soleJobKinds, ...capable };
  const id = crypto.randomUUID();
  await store.workers.report({ id, ...report });
  const lack: unknown = expect.stringMatching(/^No live worker has the base model tiny/u);
  expect(await store.queue.depth()).toMatchObject([{ lack }]);
  const needs = (await store.queue.depth())[0]?.needs;
  await store.workers.report({ id, ...report, kinds: jobKinds, models: needs?.models ?? [] });
  expect(await store.queue.depth()).toMatchObject([{ lack: null }]);
});

test("the query that autoscalers make needs nothing but the database", async () => {
  const rows = await directly(service.url, (sql) => sql.unsafe(workersWantedSql({ belowBytes: 16_000_000_000 })));
  expect(rows).toEqual([{ wanted: 1 }]);
});

// Pools: workers that one autoscaler starts

/** A worker of a pool that reports itself, and what it changes of what it can do. */
async function look(pool: string, change: object = {}) {
  const name = `${pool}-${crypto.randomUUID()}`;
  const [entry] = await service.store.queue.depth();
  const can = { ...capable, kinds: jobKinds, models: entry?.needs.models ?? [], ...change };
  const id = crypto.randomUUID();
  await service.store.workers.report({ id, name, device: "plain", version: "1", pool, ...can });
  return { name, end: () => service.store.workers.remove(id) };
}
const wantedOf = (pool: string, leftBy?: string) =>
  service.store.queue.workersWanted(
    leftBy === undefined ? { pool, belowBytes: 16e9 } : { pool, leftBy, fromBytes: 16e9 },
  );
const forget = () => directly(service.url, (sql) => sql`with gone as (delete from worker_pools) delete from workers`);

/** As if all pools had said it so long ago. */
const passes = (interval: string) =>
  directly(service.url, (sql) => sql`update worker_pools set seen_at = seen_at - ${interval}::interval`);

test.each([
  ["the base model", { models: [] }],
  ["the family", { families: ["llama"] }],
  ["the precision", { precisions: ["BFLOAT16"] }],
  ["the memory", { memoryBytes: 15 }],
  ["the kind of job", { kinds: ["COMPLETE"] }],
] as const)(
  "what workers of a pool cannot do for lack of %s wants no more of them, and one of another pool",
  async (_, lack) => {
    await forget();
    expect(await wantedOf("cpu")).toBe(1);
    const worker = await look("cpu", lack);
    expect(await wantedOf("cpu")).toBe(0);
    expect(await service.store.queue.depth()).toMatchObject([{ free: 1, leftBy: ["cpu"] }]);
    // Nor once it has ended; those of another pool may have what it takes, and are asked whatever the size.
    await worker.end();
    expect(await wantedOf("cpu")).toBe(0);
    expect([await wantedOf("gpu"), await wantedOf("gpu", "cpu")]).toEqual([1, 1]);
    await look("gpu", lack);
    expect([await wantedOf("gpu"), await wantedOf("gpu", "cpu")]).toEqual([0, 0]);
    // Who is not told about pools counts all of it, as ever.
    expect(await service.store.queue.workersWanted()).toBe(1);
  },
);

test("a pool is asked again when a worker of it can, when nobody knows any more, and when the model has come since", async () => {
  const { store, url } = service;
  await forget();
  await directly(url, (sql) => sql`update base_models set created_at = now() - interval '1 day'`);
  await look("cpu", { models: [] });
  expect(await wantedOf("cpu")).toBe(0);
  await look("cpu");
  expect(await wantedOf("cpu")).toBe(1);
  await look("cpu", { models: [] });
  await passes("29 minutes");
  expect(await wantedOf("cpu")).toBe(0);
  await passes("1 minute");
  expect(await wantedOf("cpu")).toBe(1);
  await look("cpu", { models: [] });
  expect(await wantedOf("cpu")).toBe(0);
  await directly(url, (sql) => sql`update base_models set created_at = clock_timestamp()`);
  expect(await wantedOf("cpu")).toBe(1);
  expect(await store.queue.depth()).toMatchObject([{ leftBy: [] }]);
});

test("what a pool holds counts for it alone, whatever its size", async () => {
  const { store, url } = service;
  await forget();
  const [cpu, gpu] = [await look("cpu"), await look("gpu")];
  await claimed(store, gpu.name);
  expect(await store.queue.depth()).toMatchObject([{ free: 0, held: 1, heldBy: ["gpu"] }]);
  expect([await wantedOf("cpu"), await wantedOf("gpu", "cpu")]).toEqual([0, 1]);
  // Beside its one job it answers requests, which it holds by another name.
  const until = "clock_timestamp() + interval '1 hour'";
  await directly(url, (sql) =>
    sql.unsafe(`insert into jobs (kind, subject, needs, lease_worker, lease_expires_at)
      select 'COMPLETE', gen_random_uuid(), '{}', '${cpu.name}/serve', ${until} from generate_series(1, 3)`),
  );
  expect([await wantedOf("cpu"), await wantedOf("gpu", "cpu")]).toEqual([1, 1]);
  // A worker without a pool: nobody's.
  await directly(url, (sql) => sql`update workers set pool = null where name = ${gpu.name}`);
  expect([await wantedOf("cpu"), await wantedOf("gpu", "cpu")]).toEqual([1, 0]);
  await directly(url, (sql) => sql`delete from jobs`);
  await store.modelDownloads.request({ name: "other", repository: "facebook/other", revision: "main" });
  await store.modelDownloads.claim({ worker: cpu.name, leaseMs: 60_000 });
  expect([await wantedOf("cpu"), await wantedOf("gpu", "cpu")]).toEqual([1, 0]);
  await store.modelDownloads.finish("other", cpu.name, { status: "SUCCEEDED" });
  await newRun(store);
});

test("for a request counts the memory that workers give to requests, the most of it, and not the whole", async () => {
  const { url } = service;
  await forget();
  await directly(url, (sql) => sql`delete from jobs`);
  const needs = JSON.stringify({ memoryBytes: 100 });
  await directly(
    url,
    (sql) => sql`insert into jobs (kind, subject, needs) values ('COMPLETE', gen_random_uuid(), ${needs}::text::jsonb)`,
  );
  const serving = { memoryBytes: 100, usedBytes: 0, places: 16, requests: 0, warm: [] };
  await look("cpu", { serving });
  expect(await wantedOf("cpu")).toBe(1);
  // Of which it has less while a run needs it.
  await look("cpu", { serving: { ...serving, memoryBytes: 50 } });
  expect(await wantedOf("cpu")).toBe(1);
  // What other workers of the pool gave once is forgotten.
  await passes("1 minute");
  await look("cpu", { serving: { ...serving, memoryBytes: 50 } });
  expect(await wantedOf("cpu")).toBe(0);
  expect(await wantedOf("gpu", "cpu")).toBe(1);
  await directly(url, (sql) => sql`delete from jobs`);
  await newRun(service.store);
});

test("a run that no pool can do takes no other's place where few may be trained at once", async () => {
  const { store, url } = service;
  await forget();
  await directly(url, (sql) => sql`delete from jobs`);
  const first = await newRun(store);
  await newRun(store);
  const large = JSON.stringify({ memoryBytes: 2e9 });
  await directly(url, (sql) => sql`update jobs set needs = needs || ${large}::text::jsonb where subject = ${first.id}`);
  const limits: [string, (limit: number | null) => Promise<unknown>][] = [
    ["of its project", (concurrentRuns) => store.of(operator).accounts.setQuotas({ concurrentRuns })],
    [
      "of the service",
      (most) =>
        directly(
          url,
          (sql) => sql`insert into service_limits (name, most) values ('concurrentRuns', ${most})
            on conflict (name) do update set most = excluded.most`,
        ),
    ],
  ];
  for (const [, limit] of limits) {
    await forget();
    await limit(1);
    const counts = async () => (await store.queue.depth()).map(({ free, waiting }) => [free, waiting]);
    // Nobody has looked: the first comes first.
    expect(await counts()).toEqual([
      [0, 1],
      [1, 0],
    ]);
    await look("cpu");
    expect(await counts()).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(await wantedOf("cpu")).toBe(1);
    await limit(null);
  }
  await directly(url, (sql) => sql`delete from jobs`);
  await newRun(store);
});

test("the name of a pool may be any text", async () => {
  await forget();
  await look("it's; --", { models: [] });
  expect(await wantedOf("it's; --")).toBe(0);
  expect(await wantedOf("its")).toBe(1);
});
