/** Projects share the workers: whose turn it is, however long the queue, and how many runs of a project or service train at once. */
import { and, sql as drizzleSql } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Capabilities } from "../../schema/jobs.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { openPool } from "../../store/postgres/database.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import { fits, fitsAny, isDue, isFree } from "../../store/queue/claimable.ts";
import { nextJobs } from "../../store/queue/turns.ts";
import { type ClaimedJob, type Store, openStore } from "../../store/store.ts";
import { claimAny, everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { claimed, directly, newInput } from "./fixtures.ts";

const [one, two] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  await directly(fixture.url, (sql) => sql`insert into projects (id, name) values (${one}, 'one'), (${two}, 'two')`);
});
beforeEach(() =>
  directly(fixture.url, async (sql) => {
    await sql`delete from jobs`;
    await sql`delete from fine_tunes`;
    await sql`delete from project_turns`;
    await sql`delete from workers`;
    await sql`update projects set quotas = '{}'`;
  }),
);
afterAll(() => fixture.drop());

async function newRun(projectId: string, priority = 0): Promise<string> {
  return (await store.fineTunes.create({ ...(await newInput(store)), projectId, priority })).fineTune.id;
}

async function newRuns(projectId: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push(await newRun(projectId));
  return ids;
}

/** As if the job had been held for so long when it ended. */
async function endAfter(job: ClaimedJob, seconds: number): Promise<void> {
  const held = `${seconds} seconds`;
  await directly(
    fixture.url,
    (sql) => sql`update jobs set claimed_at = now() - ${held}::interval where id = ${job.id}`,
  );
  await store.finishFineTune(job, { status: "SUCCEEDED" });
}

const setQuota = (projectId: string, concurrentRuns: number) =>
  directly(
    fixture.url,
    (sql) => sql`update projects set quotas = ${sql.json({ concurrentRuns })} where id = ${projectId}`,
  );

async function report(name: string): Promise<void> {
  const can = await everything(store);
  await store.workers.report({ id: crypto.randomUUID(), name, device: "plain", version: "1", ...can });
}

describe("whose turn it is", () => {
  test("workers that are free at once go to the projects in turn, whoever queued first, and how much", async () => {
    const many = await newRuns(one, 6);
    const [first, second] = await newRuns(two, 2);
    const order: string[] = [];
    for (let i = 0; i < 5; i++) order.push((await claimed(store, `w${i}`)).subject);
    expect(order).toEqual([many[0], first, many[1], second, many[2]]);
  });

  test("a single worker goes to the project that had it for less time lately, not to the one with fewer turns", async () => {
    const [long] = await newRuns(one, 3);
    const short = await newRuns(two, 3);
    const job = await claimed(store);
    expect(job.subject).toBe(long);
    await endAfter(job, 100);
    for (const id of short) {
      const next = await claimed(store);
      expect(next.subject).toBe(id);
      await endAfter(next, 30);
    }
    await newRun(two);
    // 90 seconds are still less than 100.
    const more = await claimed(store);
    expect((await store.fineTunes.get(more.subject))?.projectId).toBe(two);
    await endAfter(more, 30);
    await newRun(two);
    expect((await store.fineTunes.get((await claimed(store)).subject))?.projectId).toBe(one);
  });

  test("what a project had while it was alone counts for half after ten minutes, and is forgotten after some hours", async () => {
    const had = (projectId: string, seconds: number, ago: string) =>
      directly(
        fixture.url,
        (sql) => sql`insert into project_turns values (${projectId}, 1, ${seconds}, now() - ${ago}::interval)`,
      );
    await had(one, 1_000, "10 minutes");
    await had(two, 510, "0 seconds");
    const [mine] = [await newRun(one), await newRun(two)];
    const job = await claimed(store);
    expect(job.subject).toBe(mine);
    await store.releaseJob(job);
    await directly(fixture.url, (sql) => sql`update project_turns set seconds = 490 where project_id = ${two}`);
    expect((await claimed(store)).subject).not.toBe(mine);
    await directly(fixture.url, (sql) => sql`update project_turns set at = now() - interval '5 hours'`);
    await report("w");
    expect(await directly(fixture.url, (sql) => sql`select 1 from project_turns`)).toEqual([]);
  });

  test("a time that is long past counts for nothing, and is no error", async () => {
    await newRun(one);
    await endAfter(await claimed(store), 1_000);
    await directly(fixture.url, (sql) => sql`update project_turns set at = at - interval '10 years'`);
    await newRun(one);
    expect(await claimAny(store)).not.toBeNull();
  });

  test("a priority is the project's own: it orders its runs, and takes no turn from another", async () => {
    const low = await newRun(one);
    const high = await newRun(one, 100);
    const other = await newRun(two, -100);
    const order = [];
    for (const worker of ["a", "b", "c"]) order.push((await claimed(store, worker)).subject);
    expect(order).toEqual([high, other, low]);
  });

  test("a release counts as well as an end, and a job that only waits counts nothing", async () => {
    const [mine] = await newRuns(one, 1);
    const [other] = await newRuns(two, 1);
    const job = await claimed(store);
    expect(job.subject).toBe(mine);
    await directly(
      fixture.url,
      (sql) => sql`update jobs set claimed_at = now() - interval '9 seconds' where id = ${job.id}`,
    );
    await store.releaseJob(job);
    expect((await claimed(store)).subject).toBe(other);
  });

  test("the words for people count the turns of others", async () => {
    await report("w");
    await newRuns(one, 5);
    const [first, second] = await newRuns(two, 2);
    await claimed(store, "w");
    // One has the worker: two's first is next, then one's second, then two's second.
    expect(await store.fineTunes.waitingReason(first ?? "")).toBe("Waiting for a worker: next in line.");
    expect(await store.fineTunes.waitingReason(second ?? "")).toBe("Waiting for a worker: 2 jobs are ahead.");
  });
});

describe("how many come before", () => {
  const positions = (ids: readonly string[]) => Promise.all(ids.map((id) => store.fineTunes.queuePosition(id)));

  test("is the order in which they are claimed, of two projects, whatever the priorities", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 9; i++) ids.push(await newRun(i % 3 === 0 ? two : one, [0, 5, -1, 5][i % 4]));
    await report("w0");
    const said = await positions(ids);
    const order: string[] = [];
    for (let i = 0; i < ids.length; i++) order.push((await claimed(store, `w${i}`)).subject);
    expect(said).toEqual(ids.map((id) => order.indexOf(id)));
    expect(await positions(ids)).toEqual(ids.map(() => null));
  });

  test("counts jobs of every kind, and none that the workers for this one cannot do", async () => {
    const [first, second] = await newRuns(one, 2);
    const queued = (kind: string, needs: Record<string, unknown>) =>
      directly(
        fixture.url,
        (sql) => sql`insert into jobs (kind, project_id, subject, priority, needs)
          values (${kind}, ${one}, gen_random_uuid(), 9, ${sql.json(needs as never)})`,
      );
    await queued("EVALUATE", {});
    await queued("EVALUATE", { families: ["of another"] });
    await queued("COMPLETE", {});
    // Nobody knows which worker will come.
    expect(await positions([first ?? "", second ?? ""])).toEqual([2, 3]);
    await report("w");
    expect(await positions([first ?? "", second ?? ""])).toEqual([1, 2]);
    await directly(
      fixture.url,
      (sql) =>
        sql`update jobs set lease_worker = 'w', lease_expires_at = now() + interval '1 minute' where subject = ${first ?? ""}`,
    );
    expect(await store.fineTunes.waitingReason(second ?? "")).toBe("Waiting for a worker: 1 job is ahead.");
  });

  test("is null for a run that is paused, has ended or does not exist, and for those of other projects", async () => {
    const [paused, ended, mine] = await newRuns(one, 3);
    await store.fineTunes.pause(paused ?? "");
    await store.fineTunes.cancel(ended ?? "");
    expect(await positions([paused ?? "", ended ?? "", crypto.randomUUID(), "x"])).toEqual([null, null, null, null]);
    const of = (id: string) => store.of(viewerOf(id)).fineTunes;
    expect(await of(one).queuePosition(mine ?? "")).toBe(0);
    expect(await of(two).queuePosition(mine ?? "")).toBeNull();
    expect(await of(two).timeLeft(mine ?? "")).toBeNull();
  });
});

describe("a run that has had its slice", () => {
  const asks = async (job: ClaimedJob, worker = "w") =>
    store.giveWay(job, { worker, capabilities: await everything(store) });
  const had = (projectId: string, seconds: number) =>
    directly(fixture.url, (sql) => sql`insert into project_turns values (${projectId}, 1, ${seconds}, now())`);
  const heldFor = (job: ClaimedJob, seconds: number) => {
    const held = `${seconds} seconds`;
    return directly(
      fixture.url,
      (sql) => sql`update jobs set claimed_at = now() - ${held}::interval where id = ${job.id}`,
    );
  };

  test("gives way to another project, whose job the worker then claims, and comes back in its turn", async () => {
    const [mine] = await newRuns(one, 1);
    const job = await claimed(store, "w");
    await heldFor(job, 60);
    expect(await asks(job)).toBe(false);
    const other = await newRun(two);
    expect(await asks(job)).toBe(true);
    expect(await asks(job)).toBe(true);
    await store.releaseJob(job);
    const events = await store.fineTunes.events(mine ?? "", { after: 0, limit: 10 });
    const message = "Gave way after 0 steps: others had their turn. It goes on in its own.";
    expect(events.at(-1)).toMatchObject({ type: "GAVE_WAY", message });
    const next = await claimed(store, "w");
    expect(next.subject).toBe(other);
    await heldFor(next, 70);
    expect(await asks(next)).toBe(true);
    await store.releaseJob(next);
    expect((await claimed(store, "w")).subject).toBe(mine);
  });

  test("keeps its worker from a project that had more of it lately, from its own later runs, and from what cannot run", async () => {
    await newRun(one);
    const job = await claimed(store, "w");
    await heldFor(job, 60);
    await newRuns(one, 2);
    expect(await asks(job)).toBe(false);
    await newRun(two);
    await had(two, 100);
    expect(await asks(job)).toBe(false);
    await directly(fixture.url, (sql) => sql`delete from project_turns`);
    await directly(
      fixture.url,
      (sql) => sql`update jobs set needs = '{"families": ["other"]}' where project_id = ${two}`,
    );
    expect(await asks(job)).toBe(false);
    await directly(fixture.url, (sql) => sql`update jobs set needs = '{}' where project_id = ${two}`);
    await setQuota(two, 0);
    expect(await asks(job)).toBe(false);
    await setQuota(two, 1);
    expect(await asks(job)).toBe(true);
  });

  test("gives way to a run of its own project with a higher priority", async () => {
    await newRun(one);
    const job = await claimed(store, "w");
    const high = await newRun(one, 1);
    await setQuota(one, 1);
    expect(await asks(job)).toBe(true);
    await store.releaseJob(job);
    expect((await claimed(store, "w")).subject).toBe(high);
  });

  test("does not give way while another worker is idle", async () => {
    await newRun(one);
    const job = await claimed(store, "w");
    await heldFor(job, 60);
    await newRun(two);
    await report("w");
    await report("idle");
    expect(await asks(job)).toBe(false);
    await directly(fixture.url, (sql) => sql`delete from workers where name = 'idle'`);
    expect(await asks(job)).toBe(true);
  });

  test("one of many workers gives way for one job, and one more for a second; never below the other's share", async () => {
    await newRuns(one, 4);
    const jobs: ClaimedJob[] = [];
    for (let i = 0; i < 4; i++) jobs.push(await claimed(store, `w${i}`));
    await newRun(two);
    const atOnce = await Promise.all(jobs.map((job, i) => asks(job, `w${i}`)));
    expect(atOnce.filter(Boolean)).toHaveLength(1);
    await newRuns(two, 3);
    const given: boolean[] = [];
    for (const [i, job] of jobs.entries()) given.push(await asks(job, `w${i}`));
    expect(given.filter(Boolean)).toHaveLength(2);
    for (const [i, job] of jobs.entries()) if (given[i]) await store.releaseJob(job);
    const held: string[] = [];
    for (const name of ["x", "y"]) held.push((await claimed(store, name)).subject);
    const owners = await Promise.all(held.map(async (id) => (await store.fineTunes.get(id))?.projectId));
    expect(owners).toEqual([two, two]);
  });
});

describe("with 10,000 jobs in the queue", () => {
  test("a claim reads a job for each project that it asks, not the queue", async () => {
    await directly(fixture.url, async (sql) => {
      const kinds = sql`case when n % 2 = 0 then ${one}::uuid else ${two}::uuid end`;
      await sql`insert into jobs (kind, project_id, subject, priority, needs)
        select 'EVALUATE', ${kinds}, gen_random_uuid(), n % 7, '{"families": ["opt"], "memoryBytes": 16}' from generate_series(1, 10000) as n`;
      await sql`update jobs set lease_worker = 'x' || id, lease_expires_at = now() + interval '1 hour', claimed_at = now()
        where id in (select id from jobs order by priority desc, id limit 8)`;
      await sql`analyze jobs`;
    });
    const can = await everything(store);
    const { scans, read } = await claimExplained(can);
    // Those that are held, three times: of the project, of the service, and at the head of the project's queue.
    expect(scans.length).toBeGreaterThan(2);
    expect(read).toBeLessThan(40);
    expect(scans.map((node) => node["Node Type"])).not.toContain("Seq Scan");

    // A worker that can do none of them.
    const other = { ...can, families: ["gpt2"] };
    expect((await claimExplained(other)).read).toBeLessThan(10);
    expect((await claimExplained(other)).found).toBe(0);
    const needs = { families: ["gpt2"] };
    await directly(
      fixture.url,
      (sql) =>
        sql`insert into jobs (kind, project_id, subject, needs) values ('EVALUATE', ${one}, 'mine', ${sql.json(needs)})`,
    );
    expect((await claimExplained(other)).found).toBe(1);
  });
});

/** What a claim reads of the jobs, and how many it finds. */
async function claimExplained(can: Capabilities) {
  const may = and(isFree, isDue("w"), fits("w", can));
  const pool = openPool(readDatabaseUrl(fixture.url), 1);
  const [explained] = await pool.database.execute<{ "QUERY PLAN": unknown }>(drizzleSql`
    explain (analyze, format json) select job.id from ${nextJobs(may, 1, 100)} where ${fitsAny("w", can)} limit 1`);
  await pool.close();
  const nodes = nodesOf(explained?.["QUERY PLAN"]);
  const scans = nodes.filter((node) => node["Relation Name"] === "jobs");
  return { found: Number(nodes[0]?.["Actual Rows"]), scans, read: scans.reduce((sum, node) => sum + rowsOf(node), 0) };
}

type PlanNode = Readonly<Record<string, unknown>>;

function nodesOf(plan: unknown): PlanNode[] {
  if (typeof plan !== "object" || plan === null) return [];
  const inside = Object.values(plan).flatMap(nodesOf);
  return "Node Type" in plan ? [plan, ...inside] : inside;
}

/** Rows that it gave or threw away, in all its loops. */
function rowsOf(node: PlanNode): number {
  const each = Number(node["Actual Rows"]) + Number(node["Rows Removed by Filter"] ?? 0);
  return each * Number(node["Actual Loops"]);
}

describe("runs at once", () => {
  test("beyond the quota they wait and say why, while others' are claimed", async () => {
    await setQuota(one, 1);
    await report("a");
    const [first, second] = await newRuns(one, 2);
    const job = await claimed(store, "a");
    expect(job.subject).toBe(first);
    expect(await claimAny(store, "b")).toBeNull();
    const reason = "The project trains 1 run at once at most: waiting for one to end.";
    expect(await store.fineTunes.waitingReason(second ?? "")).toBe(reason);
    const other = await newRun(two);
    expect((await claimed(store, "b")).subject).toBe(other);
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    expect((await claimed(store, "a")).subject).toBe(second);
  });

  test("are never more than the quota, however many workers claim at once", async () => {
    await setQuota(one, 2);
    await newRuns(one, 12);
    const can = await everything(store);
    const stores = await Promise.all([fixture.another(), fixture.another(), fixture.another()]);
    const claims = () =>
      stores.flatMap((from, i) =>
        ["a", "b"].map((lane) => from.claimJob({ worker: `w${i}${lane}`, leaseMs: 60_000, capabilities: can })),
      );
    const got: ClaimedJob[] = [];
    for (let round = 0; round < 6; round++) {
      for (const job of got.splice(0)) await store.releaseJob(job);
      got.push(...(await Promise.all(claims())).filter((job) => job !== null));
      expect(got.length).toBeLessThanOrEqual(2);
    }
    // Those that stood back left no trace, and the places are taken in the end.
    while (got.length < 2) got.push(await claimed(store, `late ${got.length}`));
    expect(await claimAny(store, "more")).toBeNull();
    const rows = await directly(
      fixture.url,
      (sql) => sql`select 1 from jobs where lease_worker is not null or attempts > 0`,
    );
    expect(rows).toHaveLength(2);
    expect(await store.of(viewerOf(one)).accounts.quotas()).toMatchObject([
      { name: "concurrentRuns", limit: 2, used: 2 },
    ]);
  });

  test("of the whole service are limited as well, and only runs are", async () => {
    const limited = await openStore({ databaseUrl: fixture.url, storageDir: fixture.storageDir, mostRuns: 1 });
    try {
      const [mine] = await newRuns(one, 1);
      const [other] = await newRuns(two, 1);
      await report("w");
      const job = await claimed(limited, "w");
      expect(job.subject).toBe(mine);
      expect(await claimAny(limited, "v")).toBeNull();
      const reason = "The service trains 1 run at once at most: waiting for one to end.";
      expect(await limited.fineTunes.waitingReason(other ?? "")).toBe(reason);
      expect(await limited.sleeper(await sleeping()).isWanted()).toBe(false);
      expect(await store.sleeper(await sleeping()).isWanted()).toBe(true);
      await limited.releaseJob(job);
      expect(await claimAny(limited, "v")).not.toBeNull();
    } finally {
      await limited.close();
    }
  });
});

const viewerOf = (projectId: string) => ({
  projectId,
  scopes: new Set(["read", "write", "train", "infer", "admin"] as const),
  key: null,
});

/** A worker that can do everything, asleep. */
async function sleeping(): Promise<string> {
  const id = crypto.randomUUID();
  const can = await everything(store);
  await store.workers.report({ id, name: id, device: "plain", version: "1", ...can });
  await store.workers.fallAsleep(id);
  return id;
}

test("the default project has turns as any other", async () => {
  const [mine] = await newRuns(defaultProjectId, 2);
  const [other] = await newRuns(one, 1);
  expect((await claimed(store, "a")).subject).toBe(mine);
  expect((await claimed(store, "b")).subject).toBe(other);
});
