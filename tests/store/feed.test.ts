import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asSteplogError } from "../../schema/errors.ts";
import type { FineTune, StepMetric } from "../../schema/tables.ts";
import type { Rows, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, claimed, directly, longMs, newRun, newTraining } from "./fixtures.ts";

let fixture: TestStore;
/** The worker's store and the gateway's, as two processes have them. */
let store: Store;
let gateway: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  gateway = await fixture.another();
});
afterAll(() => fixture.drop());

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

async function take<Row>(rows: Rows<Row>, count: number): Promise<Row[]> {
  const taken: Row[] = [];
  for await (const row of rows) {
    taken.push(row);
    if (taken.length === count) break;
  }
  return taken;
}

const numbers = (steps: StepMetric[]): number[] => steps.map(({ step }) => step);

describe("steps", () => {
  test("what was before and what comes are one story, and it ends with the run", async () => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 3);
    const all = take(gateway.feed.steps(run.id, { afterStep: 0 }), Number.POSITIVE_INFINITY);
    for (let first = 3; first < 30; first += 3) await append(store, job, first, 3);
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    expect(numbers(await all)).toEqual(upTo(30));
    const late = await take(gateway.feed.steps(run.id, { afterStep: 28 }), Number.POSITIVE_INFINITY);
    expect(numbers(late)).toEqual([29, 30]);
  });

  test("a subscriber that reconnects with its cursor sees every step once", async () => {
    const { run, job } = await newTraining(store);
    const writing = (async () => {
      for (let first = 0; first < 40; first += 2) await append(store, job, first, 2);
      await store.finishFineTune(job, { status: "SUCCEEDED" });
    })();
    const seen: number[] = [];
    while (seen.length < 40) {
      // It hangs up after a few, whenever that is, and comes back with the last step that it saw.
      const some = await take(gateway.feed.steps(run.id, { afterStep: seen.at(-1) ?? 0 }), 7);
      seen.push(...numbers(some));
    }
    await writing;
    expect(seen).toEqual(upTo(40));
  });

  test("a stalled subscriber does not hurt the others, and misses nothing itself", async () => {
    const { run, job } = await newTraining(store);
    const stalled = gateway.feed.steps(run.id, { afterStep: 0 });
    await append(store, job, 0, 1);
    expect((await stalled.next()).value).toMatchObject({ step: 1 });

    // It pulls no more, while others get 1,100 steps, far more than any buffer of sockets or queues would hold.
    const lively = take(gateway.feed.steps(run.id, { afterStep: 0 }), Number.POSITIVE_INFINITY);
    for (let first = 1; first < 1_101; first += 20) await append(store, job, first, 20);
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    expect(numbers(await lively)).toEqual(upTo(1_101));
    expect(numbers(await take(stalled, Number.POSITIVE_INFINITY))).toEqual(upTo(1_101).slice(1));
  });

  test("many subscribers of one run all get it all", async () => {
    const { run, job } = await newTraining(store);
    const all = upTo(25).map(() => take(gateway.feed.steps(run.id, { afterStep: 0 }), Number.POSITIVE_INFINITY));
    for (let first = 0; first < 30; first += 5) await append(store, job, first, 5);
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    for (const steps of await Promise.all(all)) expect(numbers(steps)).toEqual(upTo(30));
  });

  test("a step is heard within a moment of its append, not at the safety poll", async () => {
    const { run, job } = await newTraining(store);
    const steps = gateway.feed.steps(run.id, { afterStep: 0 });
    await append(store, job, 0, 1);
    await steps.next();
    const waiting = steps.next();
    const start = performance.now();
    await append(store, job, 1, 1);
    await waiting;
    expect(performance.now() - start).toBeLessThan(2_000);
    await steps.return();
  });

  test("what is rolled back is neither heard nor seen", async () => {
    const { run, job } = await newTraining(store);
    const steps = gateway.feed.steps(run.id, { afterStep: 0 });
    const waiting = steps.next();
    await expect(append(store, job, 5, 1)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await append(store, job, 0, 1);
    expect((await waiting).value).toMatchObject({ step: 1 });
    await steps.return();
  });
});

describe("the end of a subscription", () => {
  test.for(["return", "signal", "signal before"] as const)(
    "comes at once by %s, though the run is quiet",
    async (how) => {
      const { run } = await newTraining(store);
      const stop = new AbortController();
      if (how === "signal before") stop.abort();
      const steps = gateway.feed.steps(run.id, { afterStep: 0, signal: stop.signal });
      const waiting = steps.next();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const start = performance.now();
      if (how === "return") await steps.return();
      else stop.abort();
      expect(await waiting).toEqual({ done: true, value: undefined });
      expect(performance.now() - start).toBeLessThan(1_000);
    },
  );

  test("an unknown run is NOT_FOUND", async () => {
    const nowhere = "00000000-0000-4000-8000-000000000000";
    for (const id of [nowhere, "x"]) {
      await expect(gateway.feed.steps(id, { afterStep: 0 }).next()).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(gateway.feed.status(id).next()).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(gateway.feed.events(id, { after: 0 }).next()).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  test("a store that closes ends its feeds with UNAVAILABLE, so that nobody takes it for the end of the run", async () => {
    const { run } = await newTraining(store);
    const closing = await fixture.another();
    const waiting = closing.feed.steps(run.id, { afterStep: 0 }).next().catch(asSteplogError);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await closing.close();
    expect(await waiting).toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("status", () => {
  test("gives the present row at once, then each change, and ends after the last", async () => {
    const run = await newRun(store);
    const status = gateway.feed.status(run.id);
    expect((await status.next()).value).toMatchObject({ status: "QUEUED" });
    const running = status.next();
    while ((await claimed(store)).subject !== run.id) await newRun(store);
    expect((await running).value).toMatchObject({ status: "RUNNING" });
    const asked = status.next();
    await store.fineTunes.cancel(run.id);
    expect((await asked).value).toMatchObject({ status: "RUNNING", wanted: "CANCEL" });
    const end = status.next();
    await finish(run);
    expect((await end).value).toMatchObject({ status: "CANCELLED" });
    expect(await status.next()).toMatchObject({ done: true });
  });

  test("merges what happens while nobody pulls, and repeats nothing", async () => {
    const { run, job } = await newTraining(store);
    const status = gateway.feed.status(run.id);
    await status.next();
    for (let first = 0; first < 10; first += 1) await append(store, job, first, 1);
    await store.recordEvent(job, { type: "NOTE", message: "changes no status" });
    // What it had heard of when it was asked, which may be all.
    let pulls = 0;
    for (let entries = 0; entries < 10; pulls += 1) entries = (await status.next()).value?.entries ?? 10;
    expect(pulls).toBeLessThan(5);
    const next = status.next();
    await append(store, job, 10, 1);
    expect((await next).value).toMatchObject({ entries: 11 });
    await status.return();
  });
});

describe("events", () => {
  test("are numbered without gaps and told in order, to the end", async () => {
    const { run, job } = await newTraining(store);
    const told = take(gateway.feed.events(run.id, { after: 1 }), Number.POSITIVE_INFINITY);
    await Promise.all(upTo(8).map((n) => store.recordEvent(job, { type: "NOTE", message: `${n}` })));
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    const events = await told;
    expect(events.map(({ sequence }) => sequence)).toEqual(upTo(11).slice(1));
    expect(events.at(-1)).toMatchObject({ type: "SUCCEEDED" });
  });
});

/** Ends a cancelled run as its worker would, by the lease that is in the table. */
async function finish(run: FineTune): Promise<void> {
  const [job] = await directly(
    fixture.url,
    (sql) => sql`
    select id, lease_token from jobs where subject = ${run.id}`,
  );
  const lease = { id: Number(job?.["id"]), token: Number(job?.["lease_token"]) };
  await store.renewLease(lease, longMs);
  await store.finishFineTune(lease, { status: "CANCELLED" });
}
