/** A run that goes on from a checkpoint has the log before it without a copy. */
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeStepLog, packDecays, streamStepLog } from "../../schema/step-log.ts";
import type { Checkpoint } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import {
  append,
  batchOf,
  chainAfter,
  claimed,
  directly,
  headerBytes,
  newInput,
  newTraining,
  scalarsOf,
} from "./fixtures.ts";

let fixture: TestStore;
let store: Store;

beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

async function checkpointAt(entries: number): Promise<Checkpoint> {
  const { job } = await newTraining(store);
  await append(store, job, 0, entries);
  const place = { entries, step: entries, chain: chainAfter(entries), weightsDigest: "cd".repeat(32) };
  const checkpoint = await store.recordCheckpoint(job, place);
  await append(store, job, entries, 2);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  return checkpoint;
}

async function fork(from: Checkpoint) {
  const input = { ...(await newInput(store)), from: { checkpointId: from.id, firstStep: 0 } };
  const { fineTune } = await store.fineTunes.create(input);
  const job = await claimed(store);
  await store.beginLog(job, { headerBytes, chain: chainAfter(0), device: "plain" });
  return { fineTune, job };
}

/** The file of a log as it is sent, part by part. */
async function streamed(id: string, entries: number | null): Promise<Buffer | null> {
  const parts = await store.fineTunes.logParts(id, entries);
  return parts && Buffer.concat((await Readable.from(streamStepLog(parts)).toArray()) as Uint8Array[]);
}

test("its log is the parent's up to the checkpoint, then its own; a fork of the fork likewise", async () => {
  const { fineTune, job } = await fork(await checkpointAt(4));
  expect(fineTune).toMatchObject({ entries: 4, firstEntry: 4, stepsDone: 0 });
  await store.appendSteps(job, { ...batchOf(4, 3), metrics: batchOf(0, 3).metrics });
  const log = await store.fineTunes.log(fineTune.id);
  expect(log?.entries).toBe(7);
  expect(Buffer.compare(log?.scalars ?? Buffer.alloc(0), scalarsOf(0, 7))).toBe(0);
  expect(Buffer.compare(log?.chain ?? Buffer.alloc(0), chainAfter(7))).toBe(0);
  const stored = await directly(
    fixture.url,
    (sql) => sql`select first_entry, count from log_segments where fine_tune_id = ${fineTune.id}`,
  );
  expect([...stored]).toMatchObject([{ first_entry: 4, count: 3 }]);

  const place = { entries: 6, step: 2, chain: chainAfter(6), weightsDigest: "ab".repeat(32) };
  const grandchild = await fork(await store.recordCheckpoint(job, place));
  for (const entries of [0, 3, 4, 5, 6]) {
    const prefix = await store.fineTunes.logPrefix(grandchild.fineTune.id, entries);
    expect(Buffer.compare(prefix?.scalars ?? Buffer.alloc(1), scalarsOf(0, entries))).toBe(0);
    expect(Buffer.compare(prefix?.chain ?? Buffer.alloc(1), chainAfter(entries))).toBe(0);
    expect(await streamed(grandchild.fineTune.id, entries)).toEqual(prefix && encodeStepLog(prefix));
  }
});

test("entries without a decay have a decay of 1 where others have one", async () => {
  const { fineTune, job } = await fork(await checkpointAt(2));
  const decays = packDecays([0.5, 0.25]);
  await store.appendSteps(job, { ...batchOf(2, 2), decays, metrics: batchOf(0, 2).metrics });
  const log = await store.fineTunes.log(fineTune.id);
  expect(Buffer.compare(log?.decays ?? Buffer.alloc(0), packDecays([1, 1, 0.5, 0.25]))).toBe(0);
  expect(await streamed(fineTune.id, null)).toEqual(log && encodeStepLog(log));
  const before = await store.fineTunes.logPrefix(fineTune.id, 2);
  expect(before?.decays).toBeNull();
  expect(await streamed(fineTune.id, 2)).toEqual(before && encodeStepLog(before));
});

test("a checkpoint that is not there is NOT_FOUND, and the same key with another origin a CONFLICT", async () => {
  const input = await newInput(store, "forked");
  const unknown = { checkpointId: "7e5f0f0e-0000-4000-8000-000000000000", firstStep: 0 };
  await expect(store.fineTunes.create({ ...input, from: unknown })).rejects.toMatchObject({ code: "NOT_FOUND" });
  const from = { checkpointId: (await checkpointAt(1)).id, firstStep: 0 };
  const first = await store.fineTunes.create({ ...input, from });
  expect(await store.fineTunes.create({ ...input, from })).toMatchObject({
    created: false,
    fineTune: { id: first.fineTune.id },
  });
  await expect(store.fineTunes.create(input)).rejects.toMatchObject({ code: "CONFLICT" });
});
