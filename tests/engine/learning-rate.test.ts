import { expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { probes } from "../../engine/train/estimators/auto-rate.ts";
import { pickLearningRate } from "../../engine/train/learning-rate.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { perturbationSize } from "../../engine/numbers/scalar.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { randomModel } from "../support/models.ts";

const rows = tokenLoss(
  Array.from({ length: 5 }, (_, i) => encodeRow(null, { input_ids: [1, 2 + i, 3, 4], labels: [-100, -100, 3, 4] })),
);
const settings = { steps: 400, batchSize: 2, epsilon: 1e-3, weightDecay: 0, seed: 1, noise: "rademacher" as const };

/** A model whose loss is `loss` and whose slope along any noise is `gradient`; its seeds are kept. */
async function steep(loss: number, gradient: number): Promise<Model & { seeds: Set<bigint> }> {
  const model = await loadModel(await openModelFolder(await randomModel()), createPlainDevice(), "rademacher");
  const seeds = new Set<bigint>();
  const rise = gradient * perturbationSize(settings.epsilon, "rademacher");
  return {
    ...model,
    seeds,
    sideLosses(_, perturbation) {
      const seed = perturbation?.seed ?? 0n;
      seeds.add(seed);
      const sign = seed % 2n === 0n ? 1 : -1;
      return Promise.resolve([rise, -rise].map((change) => Float64Array.of(loss + sign * change)));
    },
  };
}

test("takes the rate at which a step lowers the loss by a hundredth, in long runs by less", async () => {
  const model = await steep(5, 10);
  const picked = await pickLearningRate(model, rows, settings);
  expect(picked?.learningRate).toBe(5e-4);
  expect(picked?.why).toBe("the first losses are about 5.00, the first projected gradients about 10.0");
  expect((await pickLearningRate(model, rows, { ...settings, steps: 4_000 }))?.learningRate).toBe(5e-5);
  expect((await pickLearningRate(model, rows, { ...settings, steps: 10 }))?.learningRate).toBe(5e-4);
});

test("of FZOO, whose steps have one length, it is three times epsilon, and nothing is measured", async () => {
  const model = await steep(5, 10);
  const rateAt = async (epsilon: number) =>
    (await pickLearningRate(model, rows, { ...settings, epsilon, estimator: "FZOO" }))?.learningRate;
  expect([await rateAt(1e-3), await rateAt(0.1)]).toStrictEqual([3e-3, 0.3]);
  expect(model.seeds.size).toBe(0);
});

test("measures along noise that no step has, and leaves the weights as they are", async () => {
  const model = await steep(5, 10);
  const before = await model.digest();
  await pickLearningRate(model, rows, settings);
  expect(await model.digest()).toBe(before);
  expect(model.seeds.size).toBe(probes);
  for (const seed of model.seeds) expect(seed & 0xffff_ffffn).toBeGreaterThan(0xffff_ff00n);
});

test("is never beyond what may be set, however flat the losses", async () => {
  expect((await pickLearningRate(await steep(5, 1e-9), rows, settings))?.learningRate).toBe(10);
});

test("has nothing to go by where no losses differ, none is finite, or all are 0", async () => {
  expect(await pickLearningRate(await steep(0, 1), rows, settings)).toBeNull();
  expect(await pickLearningRate(await steep(5, 0), rows, settings)).toBeNull();
  expect(await pickLearningRate(await steep(NaN, 1), rows, settings)).toBeNull();
});
