/** A run that pauses and is resumed has, byte for byte, the log and the weights of one that does not. A real engine. */
import { expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { trainingService, when } from "./service.ts";

/** Steps that take longer than the store, so that the engine is not many of them ahead. */
const [steps, batchSize] = [30, 2];

/** A worker, and runs of it. The first append after each of these entries asks for a pause of its run. */
async function service(pauseAfter: number[]) {
  const ids: string[] = [];
  const { store, create } = await trainingService({
    storeOf: (one: Store) => ({
      ...one,
      async appendSteps(job, batch) {
        const isTime = batch.firstEntry >= (pauseAfter[0] ?? Infinity);
        if (isTime && pauseAfter.shift() !== undefined) await one.fineTunes.pause(ids[0] ?? "");
        return one.appendSteps(job, batch);
      },
    }),
  });
  const createOne = async () => {
    const id = await create({ steps, learningRate: 1e-4, batchSize, seed: 3, checkpointEvery: 10 });
    ids.push(id);
    return id;
  };
  return { store, create: createOne };
}

test("a run that paused twice has the bytes of one that did not", { timeout: 120_000 }, async () => {
  const { store, create } = await service([0, 10]);
  const id = await create();
  for (const _ of [1, 2]) {
    const paused = await when(store, id, ({ status }) => status === "PAUSED");
    // It stopped within the run, and the log and the weights end at the same step.
    expect(paused.stepsDone).toBeLessThan(steps);
    const [last] = await store.checkpoints.list(id, { limit: 1 });
    expect(last).toMatchObject({ step: paused.stepsDone, chain: paused.chain });
    await store.fineTunes.resume(id);
  }
  const straight = await create();
  const [twice, never] = [
    await when(store, id, ({ status }) => status === "SUCCEEDED"),
    await when(store, straight, ({ status }) => status === "SUCCEEDED"),
  ];
  expect(await store.fineTunes.log(twice.id)).toEqual(await store.fineTunes.log(never.id));
  const digests = async (run: string) =>
    new Map(
      (await store.checkpoints.list(run, { limit: 100 })).map(({ step, weightsDigest }) => [step, weightsDigest]),
    );
  const [paused, expected] = [await digests(id), await digests(straight)];
  expect([...expected.keys()]).toEqual([30, 20, 10]);
  for (const [step, digest] of expected) expect([step, paused.get(step)]).toEqual([step, digest]);
});
