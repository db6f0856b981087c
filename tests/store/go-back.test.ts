/** A run that ends and goes back: the run that takes its remaining steps is created with its end, or not at all. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Hyperparameters, hyperparametersSchema, settingsOf } from "../../schema/hyperparameters.ts";
import type { FineTune } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, chainStart, claimed, headerBytes, newInput } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

const settings = (changes: Partial<Hyperparameters>) =>
  hyperparametersSchema.parse({ steps: 100, whenDiverged: "GO_BACK", ...changes });
const failed = { status: "FAILED", code: "DIVERGED", message: "It diverged.", issues: [] } as const;

async function children(id: string): Promise<FineTune[]> {
  return (await store.fineTunes.list({ limit: 50 })).filter((run) => run.wentBackFrom === id);
}

test("it goes on from the checkpoint, with the given settings, once; both runs say so", async () => {
  const input = { ...(await newInput(store)), hyperparameters: settings({ learningRate: 3e-4 }) };
  const { fineTune: run } = await store.fineTunes.create(input);
  const job = await claimed(store);
  await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
  await append(store, job, 0, 8);
  const place = { entries: 8, step: 8, chain: chainAfter(8), weightsDigest: "ab".repeat(32) };
  const { id: checkpointId } = await store.recordCheckpoint(job, place);
  const hyperparameters = settings({ learningRate: 1e-4, steps: 92 });
  const goBack = { from: { checkpointId, firstStep: 8 }, step: 8, hyperparameters, otherwise: "Lower the rate." };
  await store.finishFineTune(job, { ...failed, goBack });
  // A worker that did not hear the answer asks again.
  await expect(store.finishFineTune(job, { ...failed, goBack })).rejects.toMatchObject({ code: "LEASE_LOST" });

  const [next, ...others] = await children(run.id);
  expect(others).toEqual([]);
  if (!next) throw new Error("there is a run that goes on");
  expect(next).toMatchObject({ status: "QUEUED", entries: 8, firstStep: 8, fromCheckpointId: checkpointId });
  expect(settingsOf(next)).toEqual(hyperparameters);
  const goesOn = `The run "run" (${next.id}) goes on from its checkpoint at step 8, with learning rate 0.0001.`;
  expect(await store.fineTunes.get(run.id)).toMatchObject({ errorMessage: `It diverged. ${goesOn}` });
  const told = async (id: string) =>
    (await store.fineTunes.events(id, { after: 0, limit: 20 })).filter(({ type }) => type === "WENT_BACK");
  expect(await told(run.id)).toMatchObject([{ message: goesOn }]);
  expect(await told(next.id)).toMatchObject([{ message: `The run "run" (${run.id}) diverged. ${goesOn}` }]);
  await store.fineTunes.cancel(next.id);
});

test("at most three runs in a row go back; the next ends and says what to do", async () => {
  const input = { ...(await newInput(store)), hyperparameters: settings({}) };
  let { fineTune: run } = await store.fineTunes.create(input);
  const goBack = { from: null, step: 0, hyperparameters: settings({}), otherwise: "Lower the rate." };
  for (let times = 0; times < 3; times++) {
    await store.finishFineTune(await claimed(store), { ...failed, goBack });
    const [next] = await children(run.id);
    if (!next) throw new Error(`the run goes back for the ${times + 1}th time`);
    run = next;
  }
  await store.finishFineTune(await claimed(store), { ...failed, goBack });
  expect(await children(run.id)).toEqual([]);
  expect(await store.fineTunes.get(run.id)).toMatchObject({
    errorMessage: "It diverged. It does not go back: 3 runs in a row did, and diverged. Lower the rate.",
  });
});
