/** A run that pauses stops at once, and is resumed with the log and weights of one that does not. Real engines. */
import { expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { trainingService, when } from "./service.ts";

/** More steps than any machine makes here, so that no run ends before it is paused. */
const settings = { steps: 100_000, learningRate: 1e-4, batchSize: 2, seed: 3 };

test(
  "the append after a pause sees it, and few have the steps that were made meanwhile",
  { timeout: 120_000 },
  async () => {
    let id = "";
    const after: number[] = [];
    let isPaused = false;
    const { store, create } = await trainingService({
      storeOf: (one: Store) => ({
        ...one,
        async appendSteps(job, batch) {
          if (batch.firstEntry >= 20 && !isPaused) {
            await one.fineTunes.pause(id);
            isPaused = true;
          }
          if (isPaused) after.push(batch.metrics.length);
          return one.appendSteps(job, batch);
        },
      }),
    });
    id = await create(settings);
    const paused = await when(store, id, ({ status }) => status === "PAUSED");
    expect(after.length).toBeGreaterThanOrEqual(1);
    // One that sees it, those under way until the thread that trains hears of it, and its last steps.
    expect(after.length).toBeLessThanOrEqual(3);
    expect(paused.stepsDone).toBeGreaterThanOrEqual(20 + after.reduce((sum, steps) => sum + steps, 0));
  },
);

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
