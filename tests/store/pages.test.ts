import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Page, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, newInput, newRun, newTraining, sha256 } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
/** Newest first. */
let ids: string[];
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  const made = { sha256: sha256("x"), bytes: 1, rows: 1 };
  for (let n = 0; n < 23; n += 1) await store.datasets.create({ name: `${n}`, ...made });
  // Places that a clock of milliseconds cannot tell apart: a microsecond between neighbours, and some at one instant.
  await directly(
    fixture.url,
    (sql) => sql`
    update datasets set created_at = '2026-01-01'::timestamptz + (name::int / 3) * interval '1 microsecond'`,
  );
  const rows = await directly(fixture.url, (sql) => sql`select id from datasets order by created_at desc, id desc`);
  ids = rows.map((row) => String(row["id"]));
});
afterAll(() => fixture.drop());

const page = async (page: Page): Promise<string[]> => (await store.datasets.list(page)).map(({ id }) => id);

describe("keyset pages neither skip nor repeat", () => {
  test.for([1, 2, 5, 23, 50])("forward, %i at a time", async (limit) => {
    const seen: string[] = [];
    for (let next = await page({ limit }); next.length > 0; next = await page({ limit, after: seen.at(-1) })) {
      seen.push(...next);
    }
    expect(seen).toEqual(ids);
  });

  test.for([1, 4, 23])("backward, %i at a time", async (limit) => {
    const seen: string[] = [];
    const inverted = true;
    for (let next = await page({ limit, inverted }); next.length > 0;) {
      seen.push(...next);
      next = await page({ limit, inverted, before: seen.at(-1) });
    }
    expect(seen).toEqual(ids.toReversed());
  });

  test("between two cursors, from either end", async () => {
    const [after, before] = [ids[4], ids[12]];
    expect(await page({ limit: 50, after, before })).toEqual(ids.slice(5, 12));
    expect(await page({ limit: 3, after, before, inverted: true })).toEqual(ids.slice(9, 12).toReversed());
  });

  test("while new rows come in, which stand before the first page", async () => {
    const first = await page({ limit: 10 });
    const fresh = await store.datasets.create({ name: "999", sha256: sha256("x"), bytes: 1, rows: 1 });
    expect([...first, ...(await page({ limit: 50, after: first.at(-1) }))]).toEqual(ids);
    expect(await page({ limit: 50, before: first[0] })).toEqual([fresh.id]);
  });

  test("a cursor that is not from the list is an INVALID_ARGUMENT", async () => {
    for (const after of ["x", "00000000-0000-4000-8000-000000000000"]) {
      await expect(page({ limit: 1, after })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });
});

test("fine-tunes are filtered by status across pages", async () => {
  const runs = [await newRun(store), await newRun(store), await newRun(store), await newRun(store)];
  const running = (await claimed(store)).subject;
  const queued = runs
    .map(({ id }) => id)
    .filter((id) => id !== running)
    .toReversed();
  const [first] = await store.fineTunes.list({ limit: 1, status: "QUEUED" });
  const rest = await store.fineTunes.list({ limit: 10, status: "QUEUED", after: first?.id });
  expect([first, ...rest].map((run) => run?.id)).toEqual(queued);
  expect(await store.fineTunes.list({ limit: 10, status: "RUNNING" })).toMatchObject([{ id: running }]);
  expect(await store.fineTunes.list({ limit: 10 })).toHaveLength(4);
  // One that has left the filter since is still a place in the list.
  await store.fineTunes.cancel(first?.id ?? "");
  const after = await store.fineTunes.list({ limit: 10, status: "QUEUED", after: first?.id });
  expect(after.map(({ id }) => id)).toEqual(queued.slice(1));
  // Takes the rest out of the queue, for the test below.
  for (const id of queued) await store.fineTunes.cancel(id);
});

test("checkpoints are listed from the latest place in the log, and only those of the run", async () => {
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 3);
  for (const entries of [3, 1, 2]) {
    await store.recordCheckpoint(job, {
      entries,
      step: entries,
      chain: chainAfter(entries),
      weightsDigest: sha256(`${entries}`),
    });
  }
  const [latest] = await store.checkpoints.list(run.id, { limit: 1 });
  const rest = await store.checkpoints.list(run.id, { limit: 5, after: latest?.id });
  expect([latest, ...rest].map((checkpoint) => checkpoint?.entries)).toEqual([3, 2, 1]);
  const other = await newTraining(store);
  expect(await store.checkpoints.list(other.run.id, { limit: 5 })).toEqual([]);
  const elsewhere = store.checkpoints.list(other.run.id, { limit: 5, after: latest?.id });
  await expect(elsewhere).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("base models are listed newest first", async () => {
  const model = { hash: sha256("a"), family: "opt", dtype: "F32", parameters: 1, bytes: 1, contextLength: 1 };
  for (const name of ["a", "b"]) await store.baseModels.register({ ...model, name });
  expect((await store.baseModels.list({ limit: 2 })).map(({ name }) => name)).toEqual(["b", "a"]);
});

test("a dataset that was deleted since, and that a run still names, is still a place in the list", async () => {
  const { id: datasetId } = await store.datasets.create({ name: "gone", sha256: sha256("x"), bytes: 1, rows: 1 });
  const { fineTune } = await store.fineTunes.create({ ...(await newInput(store)), datasetId });
  await store.fineTunes.cancel(fineTune.id);
  const older = (await page({ limit: 50 })).filter((id) => id !== datasetId);
  expect(await store.datasets.delete(datasetId)).toBe(true);
  expect(await store.datasets.get(datasetId)).toBeNull();
  expect(older).toEqual(expect.arrayContaining(await page({ limit: 50, after: datasetId })));
  expect((await page({ limit: 50, after: datasetId })).slice(-ids.length)).toEqual(ids);
});
