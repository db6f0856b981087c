/**
 * A run that is paused, cancelled or deleted stops within a batch, and one that paused is resumed with the log and weights of one
 * that did not. Real engines.
 */
import { expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { trainingService, when } from "./service.ts";

/** More steps than any machine makes here, so that no run ends before it is paused. */
const settings = { steps: 100_000, learningRate: 1e-4, batchSize: 2, seed: 3 };
const patient = { timeout: 120_000 };

/** A run to which something is done in front of an append, and of that one and those after it, how many steps they have. */
async function interrupted(act: (store: Store, id: string) => Promise<unknown>) {
  let id = "";
  let stopped: number | null = null;
  const after: number[] = [];
  const service = await trainingService({
    storeOf: (one: Store) => ({
      ...one,
      async appendSteps(job, batch) {
        if (batch.firstEntry >= 20 && stopped === null) {
          await act(one, id);
          stopped = job.id;
        }
        if (job.id === stopped) after.push(batch.metrics.length);
        return one.appendSteps(job, batch);
      },
    }),
  });
  id = await service.create(settings);
  return { ...service, id, after };
}

/** One append that sees it, those under way until the thread that trains hears of it, and its last steps. */
function expectFew(after: readonly number[]): void {
  expect(after.length).toBeGreaterThanOrEqual(1);
  expect(after.length).toBeLessThanOrEqual(3);
}

for (const [deed, status] of [
  ["pause", "PAUSED"],
  ["cancel", "CANCELLED"],
] as const) {
  test(`the append after a ${deed} sees it, and few have the steps that were made meanwhile`, patient, async () => {
    const { store, id, after } = await interrupted((one, run) => one.fineTunes[deed](run));
    const ended = await when(store, id, (run) => run.status === status);
    expectFew(after);
    expect(ended.stepsDone).toBeGreaterThanOrEqual(20 + after.reduce((sum, steps) => sum + steps, 0));
  });
}

test("the append after a deletion is refused, few follow it, and the worker trains the next run", patient, async () => {
  const { store, id, after, create } = await interrupted((one, run) => one.fineTunes.delete(run, { cancel: true }));
  // It waits for the only worker.
  const next = await create(settings);
  await when(store, next, ({ stepsDone }) => stepsDone > 0);
  expectFew(after);
  expect(await store.fineTunes.get(id)).toBeNull();
  await store.fineTunes.cancel(next);
});

/** The log and the digests of checkpoints up to a step. */
async function upTo(store: Store, id: string, step: number) {
  const log = await store.fineTunes.logPrefix(id, step);
  const checkpoints = (await store.checkpoints.list(id, { limit: 1_000 })).filter((one) => one.step <= step);
  const digests = new Map(checkpoints.map((one) => [one.step, one.weightsDigest]));
  return { scalars: log?.scalars, chain: log?.chain, digests };
}

test("a run that paused twice has the bytes of one that did not", { timeout: 120_000 }, async () => {
  const { store, create } = await trainingService();
  const start = () => create({ ...settings, checkpointEvery: 10 });
  const id = await start();
  let done = 0;
  for (const _ of [1, 2]) {
    await when(store, id, ({ stepsDone }) => stepsDone > done);
    await store.fineTunes.pause(id);
    const paused = await when(store, id, ({ status }) => status === "PAUSED");
    // The log and the weights end at the same step.
    const [last] = await store.checkpoints.list(id, { limit: 1 });
    expect(last).toMatchObject({ step: paused.stepsDone, chain: paused.chain });
    done = paused.stepsDone;
    await store.fineTunes.resume(id);
  }
  const compared = 10 * Math.ceil((done + 1) / 10);
  const cancelled = async (one: string) => {
    await when(store, one, ({ stepsDone }) => stepsDone > compared);
    await store.fineTunes.cancel(one);
    await when(store, one, ({ status }) => status === "CANCELLED");
    return upTo(store, one, compared);
  };
  const twice = await cancelled(id);
  const never = await cancelled(await start());
  expect(never.digests.size).toBe(compared / 10);
  expect(twice).toMatchObject({ scalars: never.scalars, chain: never.chain });
  for (const [step, digest] of never.digests) expect([step, twice.digests.get(step)]).toEqual([step, digest]);
});
