/** A worker that is asked how fast it would train: its steps are recorded as those of a run, and nothing of them stays. */
import { expect, test, vi } from "vitest";
import { placeOf } from "../../schema/estimate.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { Store } from "../../store/store.ts";
import { trainingService } from "./service.ts";

test("it stores the steps that it measures, in the order in which it made them, and keeps only its speeds", async () => {
  const seen: number[] = [];
  let entries = 0;
  const watched = (store: Store): Store => {
    const rehearse: Store["speeds"]["rehearse"] = async (job, batch) => {
      expect(batch.firstEntry).toBe(entries);
      entries += batch.scalars.length / 2;
      seen.push(...batch.metrics.map(({ step }) => step));
      expect(batch.tokens).toBeGreaterThan(0);
      await store.speeds.rehearse(job, batch);
    };
    return { ...store, speeds: { ...store.speeds, rehearse } };
  };
  const { store, validation } = await trainingService({ storeOf: watched });
  const model = await store.baseModels.getByName("demo");
  const dataset = await store.datasets.get(validation);
  if (!model || !dataset) throw new Error("there are the demo's model and rows");
  const measurement = {
    key: "ab".repeat(32),
    baseModelId: model.id,
    training: dataset.sha256,
    validation: null,
    test: null,
    labelWords: [],
    calibrationPrompt: null,
    hyperparameters: hyperparametersSchema.parse({ steps: 9, batchSize: 2, estimator: "FZOO", estimates: 3 }),
  };
  const worker = { name: "w", device: "plain" };
  await store.speeds.ask([{ worker, needs: {}, measurement }]);
  const speeds = await vi.waitFor(
    async () => {
      const found = (await store.speeds.kept(measurement.key)).get(placeOf(worker));
      if (!found) throw new Error("it is still measuring");
      return found;
    },
    { timeout: 60_000, interval: 100 },
  );
  expect(speeds.stepToken).toBeGreaterThan(0);
  expect(seen.length).toBeGreaterThan(1);
  expect(seen).toStrictEqual(seen.map((_, at) => at + 1));
  expect(entries).toBe(3 * seen.length);
  expect(await store.fineTunes.list({ limit: 10 })).toStrictEqual([]);
}, 90_000);
