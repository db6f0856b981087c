/** Files that nothing names end after a day, and never while somebody stores them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { sweepIfDue } from "../../store/ends/chores.ts";
import { openPool } from "../../store/postgres/database.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, newTraining, sha256 } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

async function put(text: string): Promise<string> {
  return (await store.blobs.put(bytesOf(text))).sha256;
}

async function* bytesOf(text: string) {
  yield Buffer.from(text);
}

/** Lets a day pass for files without a name. */
const aDayPasses = () =>
  directly(fixture.url, (sql) => sql`update loose_blobs set since = since - interval '25 hours'`);
const swept = async (dryRun = false) => (await store.sweep({ dryRun })).swept.count;

test("only what nothing has named for a day goes, and a dry run changes nothing", async () => {
  const named = await put("a dataset");
  const { id } = await store.datasets.create({ name: "rows", sha256: named, bytes: 9, rows: 1 });
  const { run, job } = await newTraining(store);
  const base = [{ name: "base.safetensors", sha256: await put("a base model"), bytes: 12 }];
  await directly(
    fixture.url,
    (sql) => sql`insert into base_model_files values (${run.baseModelId}, ${sha256("tiny")}, ${sql.json(base)})`,
  );
  await append(store, job, 0, 1);
  const weights = { name: "model.safetensors", sha256: await put("weights"), bytes: 7 };
  const place = { entries: 1, step: 1, chain: chainAfter(1), weightsDigest: "ab".repeat(32), weightsFiles: [weights] };
  const checkpoint = await store.recordCheckpoint(job, place);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  await store.exports.request(checkpoint.id, { merged: false, dtype: "bfloat16" });
  const exported = { name: "model.safetensors", sha256: await put("an export"), bytes: 9 };
  await store.finishExport(await claimed(store), { files: [exported] });
  const loose = await put("nobody's");
  await aDayPasses();
  const nine = { count: 3, bytes: 25 };
  expect(await store.sweep({ dryRun: true })).toEqual({
    named: { count: 4, bytes: 37 },
    waiting: { count: 0, bytes: 0 },
    swept: { count: 1, bytes: 8 },
  });
  expect(await store.blobs.has(loose)).toBe(true);
  expect(await swept()).toBe(1);
  expect(await store.blobs.has(loose)).toBe(false);
  for (const kept of [named, weights.sha256, exported.sha256]) expect(await store.blobs.has(kept)).toBe(true);
  // Without a name, they have a day.
  await store.datasets.delete(id);
  await store.checkpoints.deleteWeights(checkpoint.id);
  expect(await store.sweep({ dryRun: false })).toMatchObject({ waiting: nine, swept: { count: 0 } });
  await aDayPasses();
  expect(await swept(true)).toBe(3);
  expect(await swept()).toBe(3);
  expect(await store.blobs.has(named)).toBe(false);
});

test("bytes that are stored while their file is swept are there, each time", async () => {
  const rounds = Array.from({ length: 40 }, (_, round) => round);
  for (const round of rounds) {
    const sha256 = await put("the same");
    await aDayPasses();
    const [count] = await Promise.all([swept(), round % 2 === 0 ? put("the same") : later(() => put("the same"))]);
    expect({ round, count, has: await store.blobs.has(sha256) }).toMatchObject({ has: true });
    expect(await swept()).toBe(0);
  }
});

/** After a few turns, so that both orders happen. */
async function later<Value>(work: () => Promise<Value>): Promise<Value> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  return work();
}

test("one of several processes sweeps in an hour, and a database that never had a dataset does not", async () => {
  const pool = openPool(readDatabaseUrl(fixture.url));
  const { database } = pool;
  const { signal } = new AbortController();
  await directly(fixture.url, (sql) => sql`delete from chores`);
  const reports = await Promise.all([1, 2, 3].map(() => sweepIfDue(database, store.blobs, signal)));
  expect(reports.filter((report) => report !== null)).toHaveLength(1);
  await directly(fixture.url, (sql) => sql`update chores set begun_at = begun_at - interval '61 minutes'`);
  expect(await sweepIfDue(database, store.blobs, signal)).not.toBeNull();
  await directly(fixture.url, (sql) => sql`delete from chores`);
  await directly(fixture.url, (sql) => sql`truncate datasets cascade`);
  expect(await sweepIfDue(database, store.blobs, signal)).toBeNull();
  await pool.close();
});
