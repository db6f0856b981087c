/** A run that pauses keeps what is done, no worker has it until it is resumed, and no worker of any release goes on with it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Wanted } from "../../schema/states.ts";
import type { Store } from "../../store/store.ts";
import { claimAny, everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, claimed, lapse, longMs, newRun, newTraining } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

/** A worker of this release says that it heeds a pause; one of the release before says nothing. */
async function reportWorker(name: string, heeds?: readonly Wanted[]): Promise<void> {
  const able = await everything(store);
  const about = { id: crypto.randomUUID(), name, device: "plain", version: "0", ...able };
  await store.workers.report({ ...about, ...(heeds && { heeds }) });
}

const eventsOf = async (id: string) =>
  (await store.fineTunes.events(id, { after: 0, limit: 100 })).map(({ type, message }) => `${type}: ${message}`);

test("a queued run pauses at once, and takes its place in the queue anew", async () => {
  const [first, second] = [await newRun(store), await newRun(store)];
  expect(await store.fineTunes.pause(first.id)).toMatchObject({ status: "PAUSED", wanted: "PAUSE" });
  expect(await store.fineTunes.pause(first.id)).toMatchObject({ status: "PAUSED" });
  expect(await store.fineTunes.resume(first.id)).toMatchObject({ status: "QUEUED", wanted: "RUN" });
  expect(await store.fineTunes.resume(first.id)).toMatchObject({ status: "QUEUED" });
  for (const { id } of [second, first]) {
    const job = await claimed(store);
    expect(job).toMatchObject({ subject: id });
    await store.finishFineTune(job, { status: "SUCCEEDED" });
  }
  expect(await eventsOf(first.id)).toEqual([
    "QUEUED: Waiting for a worker.",
    "PAUSED: Paused before it started.",
    "QUEUED: Resumed: waiting for a worker.",
    "RUNNING: Worker worker starts.",
    "SUCCEEDED: Finished after 0 steps.",
  ]);
});

test("a running run pauses when its worker leaves it, and is continued by another after the resume", async () => {
  await reportWorker("worker", ["PAUSE", "CANCEL"]);
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 3);
  for (let times = 0; times < 2; times++) {
    expect(await store.fineTunes.pause(run.id)).toMatchObject({ status: "RUNNING", wanted: "PAUSE" });
  }
  expect(await store.renewLease(job, longMs)).toEqual({ wanted: "PAUSE" });
  await append(store, job, 3, 1);
  await store.releaseJob(job);
  expect(await store.fineTunes.get(run.id)).toMatchObject({ status: "PAUSED", stepsDone: 4 });
  expect(await claimAny(store)).toBeNull();
  expect(await store.fineTunes.waitingReason(run.id)).toBeNull();
  await store.fineTunes.resume(run.id);
  const next = await claimed(store, "other");
  await append(store, next, 4, 1);
  await store.finishFineTune(next, { status: "SUCCEEDED" });
  expect((await eventsOf(run.id)).slice(2)).toEqual([
    "PAUSE_REQUESTED: Stops after the current step.",
    "PAUSED: Paused after 4 steps.",
    "QUEUED: Resumed: waiting for a worker.",
    "RESUMED: Worker other continues after step 4.",
    "SUCCEEDED: Finished after 5 steps.",
  ]);
});

test("a resume before the worker has left it lets it go on", async () => {
  const { run, job } = await newTraining(store);
  await store.fineTunes.pause(run.id);
  expect(await store.fineTunes.resume(run.id)).toMatchObject({ status: "RUNNING", wanted: "RUN" });
  await store.releaseJob(job);
  const next = await claimed(store);
  expect(next).toMatchObject({ subject: run.id });
  await store.finishFineTune(next, { status: "SUCCEEDED" });
});

test("a worker that does not know what a pause is loses the run at once", async () => {
  await reportWorker("before");
  const run = await newRun(store);
  const job = await claimed(store, "before");
  expect(await store.fineTunes.pause(run.id)).toMatchObject({ status: "PAUSED" });
  await expect(store.renewLease(job, longMs)).rejects.toMatchObject({ code: "LEASE_LOST" });
  await store.fineTunes.cancel(run.id);
});

test("one whose worker died, or whose attempt failed, pauses too", async () => {
  const { run, job } = await newTraining(store);
  await store.fineTunes.pause(run.id);
  await lapse(fixture.url, job);
  // Whoever finds it leaves it.
  expect(await claimAny(store)).toBeNull();
  expect(await store.fineTunes.get(run.id)).toMatchObject({ status: "PAUSED" });

  const other = await newTraining(store);
  await lapse(fixture.url, other.job);
  expect(await store.fineTunes.pause(other.run.id)).toMatchObject({ status: "PAUSED" });

  const third = await newTraining(store);
  await store.fineTunes.pause(third.run.id);
  expect(await store.repeatJob(third.job, { message: "No memory.", attempts: 3 })).toBe(true);
  expect(await store.fineTunes.get(third.run.id)).toMatchObject({ status: "PAUSED" });
  expect((await eventsOf(third.run.id)).at(-1)).toBe(
    "PAUSED: Paused after 0 steps. The last attempt failed: No memory.",
  );
  expect(await claimAny(store)).toBeNull();
});

test("a paused run can be cancelled, and one that is to pause too; an end cannot be paused", async () => {
  const run = await newRun(store);
  await store.fineTunes.pause(run.id);
  expect(await store.fineTunes.cancel(run.id)).toMatchObject({ status: "CANCELLED" });
  const training = await newTraining(store);
  await store.fineTunes.pause(training.run.id);
  expect(await store.fineTunes.cancel(training.run.id)).toMatchObject({ status: "RUNNING", wanted: "CANCEL" });
  const refused = { code: "INVALID_STATE", message: expect.stringMatching(/about to be cancelled/u) as string };
  await expect(store.fineTunes.pause(training.run.id)).rejects.toMatchObject(refused);
  await store.finishFineTune(training.job, { status: "CANCELLED" });
  await expect(store.fineTunes.pause(run.id)).rejects.toMatchObject({ code: "INVALID_STATE" });
  await expect(store.fineTunes.resume(run.id)).rejects.toMatchObject({ code: "INVALID_STATE" });
  await expect(store.fineTunes.pause(crypto.randomUUID())).rejects.toMatchObject({ code: "NOT_FOUND" });
});
