/** Connections end: Postgres restarts, an administrator ends a session. Nothing may crash, hang or be written by half. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StepMetric } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, directly, metricsOf, newRun, newTraining, scalarsOf } from "./fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import { claimAny } from "../support/claims.ts";

let fixture: TestStore;
let store: Store;
beforeEach(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterEach(() => fixture.drop());

/** Ends all connections of the store, as a restart of Postgres would, but for those that only listen if asked so. */
const endConnections = (which: "all" | "listening" = "all") =>
  directly(
    fixture.url,
    (sql) => sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and (${which} = 'all' or query ilike 'listen%')`,
  );

describe("while transactions are under way", () => {
  test("callers on a lost connection get UNAVAILABLE, and the store opens new ones", firstTry, async () => {
    const { run, job } = await newTraining(store);
    let entries = 0;
    let failures = 0;
    const writing = new AbortController();
    const write = async (): Promise<void> => {
      while (!writing.signal.aborted) {
        try {
          await append(store, job, entries, 1);
          entries += 1;
        } catch (error) {
          expect(error).toMatchObject({ code: "UNAVAILABLE" });
          failures += 1;
          // The answer may have been lost after the commit, so a worker asks where the log ends.
          entries = await whereItEnds(run.id);
        }
      }
    };
    const read = async (): Promise<void> => {
      while (!writing.signal.aborted)
        await store.fineTunes
          .get(run.id)
          .catch((error: unknown) => expect(error).toMatchObject({ code: "UNAVAILABLE" }));
    };
    const busy = Promise.all([write(), read(), read(), read()]);
    for (let outage = 0; outage < 12; outage += 1) {
      await endConnections();
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    writing.abort();
    await busy;
    expect(failures).toBeGreaterThan(0);
    const log = await store.fineTunes.log(run.id);
    expect(log?.entries).toBe(entries);
    expect(Buffer.compare(log?.scalars ?? Buffer.alloc(0), scalarsOf(0, entries))).toBe(0);
    expect(Buffer.compare(log?.chain ?? Buffer.alloc(0), chainAfter(entries))).toBe(0);
    expect(await store.fineTunes.metrics(run.id, { afterStep: 0, limit: 10_000 })).toHaveLength(entries);
  });
});

describe("feed", () => {
  test("survives the loss of its LISTEN connection, with no gap and no double", firstTry, async () => {
    const { run, job } = await newTraining(store);
    const other = await fixture.another();
    const seen: StepMetric[] = [];
    const reading = (async () => {
      for await (const step of store.feed.steps(run.id, { afterStep: 0 })) seen.push(step);
    })();
    for (let first = 0; first < 40; first += 2) {
      await append(other, job, first, 2);
      if (first % 10 === 4) await endConnections("listening");
    }
    await other.finishFineTune(job, { status: "SUCCEEDED" });
    await reading;
    expect(seen.map(({ step }) => step)).toEqual(metricsOf(0, 40).map(({ step }) => step));
  });

  test("hears at once again after the loss, not only at its safety poll", firstTry, async () => {
    const { run, job } = await newTraining(store);
    const other = await fixture.another();
    const steps = store.feed.steps(run.id, { afterStep: 0 });
    await append(other, job, 0, 1);
    await steps.next();
    await endConnections("listening");
    await expect.poll(listeners).toBe(1);
    const waiting = steps.next();
    const start = performance.now();
    await append(other, job, 1, 1);
    expect((await waiting).value).toMatchObject({ step: 2 });
    expect(performance.now() - start).toBeLessThan(2_000);
    await steps.return();
  });

  test("survives the loss of all connections while it reads", firstTry, async () => {
    const { run, job } = await newTraining(store);
    const other = await fixture.another();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { step } of store.feed.steps(run.id, { afterStep: 0 })) seen.push(step);
    })();
    for (let first = 0; first < 12; first += 1) {
      await append(other, job, first, 1).catch(() => {});
      const ends = await whereItEnds(run.id);
      if (ends !== first + 1) await append(other, job, first, 1);
      if (first % 4 === 1) await endConnections();
    }
    await untilAnswered(() => other.finishFineTune(job, { status: "SUCCEEDED" }));
    await reading;
    expect(seen).toEqual(Array.from({ length: 12 }, (_, n) => n + 1));
  });
});

test("an outage while a worker waits for work does not hide the work", firstTry, async () => {
  expect(await claimAny(store, "w", 1_000)).toBeNull();
  await endConnections();
  await newRun(await fixture.another());
  const claim = async () => {
    await store.waitForJob({ timeoutMs: 200 });
    return untilAnswered(() => claimAny(store, "w", 1_000));
  };
  await expect.poll(claim).not.toBeNull();
});

const listeners = () =>
  directly(fixture.url, async (sql) => {
    const rows = await sql`select 1 from pg_stat_activity where datname = current_database() and query ilike 'listen%'`;
    return rows.length;
  });

const whereItEnds = async (id: string): Promise<number> =>
  (await untilAnswered(() => store.fineTunes.get(id)))?.entries ?? 0;

async function untilAnswered<Result>(call: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      expect(error).toMatchObject({ code: "UNAVAILABLE" });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
