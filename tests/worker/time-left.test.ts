/** How long a run says that it will take, against what it then took; and what waits. Real engines. */
import { expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { oneDevice } from "../support/open-devices.ts";
import { trainingService, when } from "./service.ts";

/** Evaluations take most of the time of this run, so that an estimate without them is far off. */
const settings = { steps: 100, learningRate: 1e-4, batchSize: 4, seed: 3, evaluateEvery: 4, checkpointEvery: 30 };
/**
 * What is estimated is within this factor of what happens. Quiet machines do better (decision 59). Here others begin
 * and end in its few seconds, and a run cannot foresee that: so one of three tries has to hold.
 */
const factor = 2.5;
const patient = { timeout: 120_000, retry: 2 };

test("at a quarter, half and three quarters the time left is what it then takes", patient, async () => {
  const { store, create, validation } = await trainingService({ device: oneDevice });
  const labelWords = [" great", " terrible"];
  const input = { validationDatasetId: validation, testDatasetId: validation, labelWords };
  const id = await create(settings, input);
  // There is no run like it yet.
  expect(await store.fineTunes.timeLeft(id)).toBeNull();
  const said = await estimates(store, id, [0.25, 0.5, 0.75]);
  expect(await store.fineTunes.timeLeft(id)).toBeNull();
  for (const { at, ratio } of said) expect(ratio, `at ${at}`).toBeGreaterThan(1 / factor);
  for (const { at, ratio } of said) expect(ratio, `at ${at}`).toBeLessThan(factor);

  // Another seed and twice the steps: the first tells how long it will take, and the second waits for its turn.
  const first = await create({ ...settings, seed: 4, steps: 200 }, input);
  const second = await create({ ...settings, seed: 5 }, input);
  expect(await store.fineTunes.queuePosition(second)).toBeLessThanOrEqual(1);
  const [one, both] = [await store.fineTunes.timeLeft(first), await store.fineTunes.timeLeft(second)];
  if (one === null || both === null) throw new Error("there is a run like them");
  const began = performance.now();
  expect(both).toBeGreaterThan(one);
  await when(store, first, ({ status }) => status === "SUCCEEDED");
  const tookS = (performance.now() - began) / 1000;
  expect(one / tookS).toBeGreaterThan(1 / factor);
  expect(one / tookS).toBeLessThan(factor);
  await store.fineTunes.cancel(second);
});

/** Estimates at shares of the steps, divided by what the run then took. */
async function estimates(store: Store, id: string, shares: readonly number[]) {
  const said: { at: number; left: number | null; when: number }[] = [];
  for (const at of shares) {
    await when(store, id, ({ stepsDone }) => stepsDone >= at * settings.steps);
    said.push({ at, left: await store.fineTunes.timeLeft(id), when: performance.now() });
  }
  await when(store, id, ({ status }) => status === "SUCCEEDED");
  const end = performance.now();
  return said.map(({ at, left, when: then }) => ({ at, ratio: (left ?? NaN) / ((end - then) / 1000) }));
}
