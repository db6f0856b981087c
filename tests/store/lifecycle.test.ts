/** The moves of a run: each legal one is made elsewhere; here each illegal one is refused and changes nothing. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FineTuneStatus, fineTuneStatuses, fineTuneTransitions } from "../../schema/states.ts";
import type { Lease, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, claimed, directly, newTraining } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

/** What moves a run, and the status that it leads to. */
const moves: Readonly<Record<string, { to: FineTuneStatus; make: (job: Lease, id: string) => Promise<unknown> }>> = {
  claim: {
    to: "RUNNING",
    make: async (job) => {
      await directly(
        fixture.url,
        (sql) => sql`update jobs set lease_expires_at = null, priority = 1 where id = ${job.id}`,
      );
      return claimed(store);
    },
  },
  release: { to: "RUNNING", make: (job) => store.releaseJob(job) },
  succeed: { to: "SUCCEEDED", make: (job) => store.finishFineTune(job, { status: "SUCCEEDED" }) },
  fail: {
    to: "FAILED",
    make: (job) => store.finishFineTune(job, { status: "FAILED", code: "INTERNAL", message: "no", issues: [] }),
  },
  "end as cancelled": { to: "CANCELLED", make: (job) => store.finishFineTune(job, { status: "CANCELLED" }) },
};

const cases = fineTuneStatuses.flatMap((status) =>
  Object.entries(moves)
    .filter(([, { to }]) => !fineTuneTransitions[status].includes(to))
    .map(([name, { make }]) => ({ status, name, make })),
);

test("there are illegal moves from every status but RUNNING", () => {
  expect(new Set(cases.map(({ status }) => status))).toEqual(
    new Set(["QUEUED", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"]),
  );
});

describe("a run", () => {
  test.for(cases)("that is $status does not $name", async ({ status, name, make }) => {
    const { run, job } = await newTraining(store);
    await append(store, job, 0, 1);
    // No caller can bring a run there while its job exists, so the row is changed directly.
    await directly(fixture.url, (sql) => sql`update fine_tunes set status = ${status} where id = ${run.id}`);
    // The lease of a claim stands by itself: it lapses.
    const all = async () => [await rows(run.id), name === "claim" ? null : await jobRows(run.id)];
    const before = await all();
    await expect(make(job, run.id)).rejects.toThrow(/cannot become/u);
    expect(await all()).toEqual(before);
    await directly(fixture.url, (sql) => sql`delete from jobs where subject = ${run.id}`);
  });
});

const rows = (id: string) =>
  directly(fixture.url, async (sql) => [
    [...(await sql`select * from fine_tunes where id = ${id}`)],
    [...(await sql`select sequence, type from events where fine_tune_id = ${id} order by sequence`)],
  ]);

const jobRows = (id: string) =>
  directly(fixture.url, (sql) => sql`select lease_token, attempts from jobs where subject = ${id}`);

test("a release costs no attempt, a lost lease does", async () => {
  const { run, job } = await newTraining(store);
  await store.releaseJob(job);
  const again = await claimed(store);
  expect(again).toMatchObject({ subject: run.id, attempts: 1, token: 3 });
  await directly(fixture.url, (sql) => sql`update jobs set lease_expires_at = now() where id = ${again.id}`);
  expect(await claimed(store)).toMatchObject({ attempts: 2, token: 4 });
});
