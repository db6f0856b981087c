import { expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { pickLearningRate, probes } from "../../engine/train/learning-rate.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import type { Objective } from "../../engine/objective/objective.ts";
import type { MezoSettings } from "../../engine/train/settings.ts";
import { randomModel } from "../support/models.ts";

const rows = tokenLoss(
  Array.from({ length: 5 }, (_, i) => encodeRow(null, { input_ids: [1, 2 + i, 3, 4], labels: [-100, -100, 3, 4] })),
);
const settings = { steps: 400, batchSize: 2, epsilon: 1e-3, weightDecay: 0, seed: 1, noise: "rademacher" as const };

interface Shape {
  readonly loss?: number;
  readonly slope: number;
  readonly curvature: number;
}

/** A model whose loss along any noise is a parabola, which is linear up to slope / curvature; its seeds are kept. */
async function parabola({ loss = 5, slope, curvature }: Shape): Promise<Model & { seeds: Set<bigint> }> {
  const model = await loadModel(await openModelFolder(await randomModel()), createPlainDevice(), "rademacher");
  const seeds = new Set<bigint>();
  return {
    ...model,
    seeds,
    sideLosses(_, perturbation) {
      if (!perturbation) return Promise.resolve([Float64Array.of(loss)]);
      const { seed, size } = perturbation;
      seeds.add(seed);
      const along = (seed % 2n === 0n ? 1 : -1) * size;
      return Promise.resolve([along, -along].map((s) => Float64Array.of(loss + slope * s + (curvature / 2) * s ** 2)));
    },
  };
}

async function rateOf(shape: Shape, changes: Partial<MezoSettings> = {}, objective: Objective = rows) {
  return (await pickLearningRate(await parabola(shape), objective, { ...settings, ...changes }, "FULL"))?.learningRate;
}

test("the noise of all steps would add up to six times the distance to which losses are linear", async () => {
  const shape = { slope: 10, curvature: 1_000 };
  const picked = await pickLearningRate(await parabola(shape), rows, settings, "FULL");
  // 6 * 0.01 / (10 * sqrt(400))
  expect(picked?.learningRate).toBe(3e-4);
  expect(picked?.why).toContain("6 times 0.0100 a weight");
  expect(await rateOf(shape, { steps: 1_600 })).toBe(1.5e-4);
  expect(await rateOf(shape, { estimates: 4 })).toBe(6e-4);
  expect(await rateOf(shape, { schedule: "LINEAR" })).toBe(5.2e-4);
  expect(await rateOf({ slope: 20, curvature: 2_000 })).toBe(1.5e-4);
  expect(await rateOf({ slope: 10, curvature: 2_000 })).toBe(1.5e-4);
});

test("of FZOO, whose gradients have one size, it is three times that, and the slope does not matter", async () => {
  const fzoo = { estimator: "FZOO", estimates: 4 } as const;
  const rates = [1, 1e3].map((times) => rateOf({ slope: 10 * times, curvature: 1_000 * times }, fzoo));
  expect(await Promise.all(rates)).toStrictEqual([3e-3, 3e-3]);
});

test("of a prefix by FZOO it is three times epsilon, and nothing is measured", async () => {
  const model = await parabola({ slope: 10, curvature: 1_000 });
  const prefix = { ...settings, epsilon: 0.1, estimator: "FZOO", estimates: 4 } as const;
  expect((await pickLearningRate(model, rows, prefix, "PREFIX"))?.learningRate).toBe(0.3);
  expect(model.seeds.size).toBe(0);
});

test("an objective without a gradient has the radius of its smooth one, and gradients of its own", async () => {
  const measure: Objective["measure"] = async (model, indices, perturbation) => {
    const sides = await rows.measure(model, indices, perturbation);
    return sides.map((side) => side.map((loss) => (loss > 5 ? 1 : 0)));
  };
  const choices = { count: 5, measure, smooth: rows };
  // Slope 500: half of the difference 1, over epsilon.
  expect(await rateOf({ slope: 10, curvature: 1_000 }, {}, choices)).toBe(6e-6);
});

test("measures along noise that no step has, and leaves the weights as they are", async () => {
  const model = await parabola({ slope: 10, curvature: 1_000 });
  const before = await model.digest();
  await pickLearningRate(model, rows, settings, "FULL");
  expect(await model.digest()).toBe(before);
  expect(model.seeds.size).toBe(probes);
  for (const seed of model.seeds) expect(seed & 0xffff_ffffn).toBeGreaterThan(0xffff_ff00n);
});

test("is never beyond what may be set, however flat the losses", async () => {
  expect(await rateOf({ slope: 1e-9, curvature: 0 })).toBe(10);
});

test("stays within the distances that it measures", async () => {
  // 64 and 1/16 times epsilon.
  expect(await rateOf({ slope: 10, curvature: 0 })).toBe(1.9e-3);
  expect(await rateOf({ slope: 10, curvature: 1e9 })).toBe(1.9e-6);
});

test("has nothing to go by where no losses differ, or none is finite", async () => {
  expect(await rateOf({ slope: 0, curvature: 0 })).toBeUndefined();
  expect(await rateOf({ loss: NaN, slope: 1, curvature: 1 })).toBeUndefined();
});
