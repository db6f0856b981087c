/**
 * Estimators against the truth: each estimate of SPSA, ONE_SIDED and FZOO against differences in float64 of an independent
 * forward pass, and the mean over many seeds against the gradient by automatic differentiation (TensorFlow.js).
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { beginning, estimate, train } from "../../engine/train/mezo.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import type { Noise } from "../../engine/numbers/noise.ts";
import { fillNoise, sigma, tensorId } from "../../engine/numbers/noise.ts";
import { batchRows } from "../../engine/train/batches.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import type { TinyOpt, Weights } from "../support/float64-opt.ts";
import { lossOf } from "../support/float64-opt.ts";
import { randomModel } from "../support/models.ts";

const config: TinyOpt = { hidden: 8, heads: 2, layers: 1, inner: 16 };
const rows = Array.from({ length: 4 }, (_, i) => {
  const ids = Array.from({ length: 5 }, (__, j) => (i * 5 + j * 3) % 16);
  return encodeRow(null, { input_ids: ids, labels: ids.map((id, j) => (j < 2 ? -100 : id)) });
});
const settings = { steps: 6, batchSize: 4, learningRate: 1e-3, epsilon: 1e-3, weightDecay: 0, seed: 8 };

beforeAll(async () => {
  await tf.setBackend("cpu");
});

async function load(noise: Noise): Promise<Model> {
  return loadModel(await openModelFolder(await tinyModel()), createPlainDevice(), noise);
}

async function tinyModel(): Promise<string> {
  const sizes = { vocab_size: 16, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, ffn_dim: 16 };
  return randomModel("F32", { ...sizes, max_position_embeddings: 12, word_embed_proj_dim: 8 });
}

async function weightsOf(model: Model): Promise<Weights> {
  const weights = new Map<string, Float64Array>();
  for (const { name } of model.trainable) {
    const bytes = await model.read(name);
    weights.set(name, Float64Array.from(new Float32Array(bytes.slice().buffer)));
  }
  return weights;
}

/** z of a seed, with mean 0 and variance 1, for each tensor. */
function directionOf(weights: Weights, noise: Noise, seed: bigint): Map<string, Float64Array> {
  return new Map(
    Array.from(weights, ([name, values]) => {
      const n = new Int8Array(values.length);
      fillNoise(n, noise, seed, tensorId(name), 0);
      return [name, Float64Array.from(n, (value) => value / sigma[noise])];
    }),
  );
}

function moved(weights: Weights, along: Weights, by: number): Weights {
  return new Map(
    Array.from(weights, ([name, values]) => [name, values.map((value, i) => value + by * (along.get(name)?.[i] ?? 0))]),
  );
}

/** Central differences, extrapolated to size 0 (Richardson): an error of the fourth order. */
function derivative(weights: Weights, along: Weights, batch: typeof rows): number {
  const of = (h: number) =>
    (lossOf(config, moved(weights, along, h), batch) - lossOf(config, moved(weights, along, -h), batch)) / (2 * h);
  return (4 * of(5e-5) - of(1e-4)) / 3;
}

test("the float64 model is the engine's", async () => {
  const model = await load("normal");
  const losses = await model.losses(rows);
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  expect(lossOf(config, await weightsOf(model), rows)).toBeCloseTo(mean, 5);
});

/** (L+ - L-) / 2 epsilon, in float64. */
function twoSided(weights: Weights, along: Weights, batch: typeof rows, epsilon: number): number {
  const of = (by: number) => lossOf(config, moved(weights, along, by), batch);
  return (of(epsilon) - of(-epsilon)) / (2 * epsilon);
}

const within = (limit: number, exact: number) => limit * Math.max(1, Math.abs(exact));

test.each(["normal", "rademacher"] as const)(
  "each step's projected gradient is the difference of float64 losses, but for the rounding of float32 (%s)",
  async (noise) => {
    const epsilon = 2 ** -10;
    const model = await load(noise);
    let weights = await weightsOf(model);
    for await (const step of train(model, tokenLoss(rows), { ...settings, epsilon, noise }, beginning)) {
      const along = directionOf(weights, noise, step.entries[0]?.seed ?? 0n);
      const batch = batchRows(rows, settings.batchSize, settings.seed, step.step - 1);
      const exact = twoSided(weights, along, batch, epsilon);
      expect(Math.abs(step.projectedGradient - exact)).toBeLessThan(within(2e-3, exact));
      weights = await weightsOf(model);
    }
  },
);

test("a one-sided estimate is off by half the curvature along the noise times epsilon", async () => {
  const noise = "rademacher";
  const model = await load(noise);
  const weights = await weightsOf(model);
  const seed = ruleSeed(3, 0);
  const along = directionOf(weights, noise, seed);
  const still = lossOf(config, weights, rows);
  const oneSided = (epsilon: number) => (lossOf(config, moved(weights, along, epsilon), rows) - still) / epsilon;
  const epsilon = 2 ** -10;
  const chosen = { batchSize: 4, epsilon, noise, estimator: "ONE_SIDED" } as const;
  const [measured] = await estimate(model, tokenLoss(rows), [0, 1, 2, 3], chosen, [seed]);
  const seen = measured?.projectedGradient ?? NaN;
  expect(Math.abs(seen - oneSided(epsilon))).toBeLessThan(within(2e-3, seen));

  const [small, exact] = [2 ** -16, derivative(weights, along, rows)];
  // (L+ + L- - 2 L) / epsilon^2, as the difference of the slopes on both sides.
  const error = (small / 2) * ((oneSided(small) - oneSided(-small)) / small);
  expect(Math.abs(oneSided(small) - exact - error)).toBeLessThan(0.1 * Math.abs(error));
});

test("a step of FZOO is that of float64: one-sided slopes, divided by their standard deviation", async () => {
  const noise = "rademacher";
  const epsilon = 2 ** -10;
  const model = await load(noise);
  let weights = await weightsOf(model);
  const fzoo = { ...settings, epsilon, noise, estimator: "FZOO", estimates: 4 } as const;
  for await (const step of train(model, tokenLoss(rows), fzoo, beginning)) {
    const batch = batchRows(rows, settings.batchSize, settings.seed, step.step - 1);
    const still = lossOf(config, weights, batch);
    const slopes = step.entries.map(({ seed }) => {
      const along = directionOf(weights, noise, seed);
      return (lossOf(config, moved(weights, along, epsilon), batch) - still) / epsilon;
    });
    const middle = slopes.reduce((sum, slope) => sum + slope, 0) / slopes.length;
    const spread = Math.sqrt(slopes.reduce((sum, slope) => sum + (slope - middle) ** 2, 0) / (slopes.length - 1));
    for (const [i, { scalar }] of step.entries.entries()) {
      const exact = (settings.learningRate * (slopes[i] ?? NaN)) / spread / slopes.length;
      // Of the scalar, 8 bits are kept; the slopes are of float32 losses.
      const rounding = 2 ** -8 * Math.abs(exact) + (within(2e-3, 1) * settings.learningRate) / spread;
      expect(Math.abs(scalar - exact)).toBeLessThan(rounding);
    }
    weights = await weightsOf(model);
  }
});

/** The gradient of the mean loss by tfjs: the same model once more, in its operations. */
function gradientOf(weights: Weights, shapes: ReadonlyMap<string, readonly number[]>): Map<string, Float64Array> {
  const names = [...weights.keys()];
  const values = names.map((name) => tf.tensor([...(weights.get(name) ?? [])], [...(shapes.get(name) ?? [])]));
  const gradients = tf.grads((...given: tf.Tensor[]) => {
    const of = (name: string) => {
      const found = given[names.indexOf(`model.decoder.${name}`)];
      if (!found) throw new Error(`the model has ${name}`);
      return found;
    };
    return meanLoss(of);
  })(values);
  return new Map(names.map((name, i) => [name, Float64Array.from(gradients[i]?.dataSync() ?? [])]));
}

type Lookup = (name: string) => tf.Tensor;

function meanLoss(of: Lookup): tf.Tensor {
  const losses = rows.flatMap((row) => {
    const { length } = row.ids;
    const ids = tf.cast(tf.oneHot(tf.tensor1d(row.ids, "int32"), 16), "float32") as tf.Tensor2D;
    const places = tf.slice2d(of("embed_positions.weight") as tf.Tensor2D, [2, 0], [length, config.hidden]);
    let x: tf.Tensor = tf.add(tf.matMul(ids, of("embed_tokens.weight") as tf.Tensor2D), places);
    x = tf.add(x, attended(of, norm(of, "layers.0.self_attn_layer_norm", x), length));
    const inner = tf.relu(linear(of, "layers.0.fc1", norm(of, "layers.0.final_layer_norm", x)));
    x = norm(of, "final_layer_norm", tf.add(x, linear(of, "layers.0.fc2", inner)));
    const logits = tf.matMul(x, of("embed_tokens.weight"), false, true);
    const all = tf.logSoftmax(logits);
    return Array.from(row.positions, (at, i) =>
      tf.neg(tf.reshape(tf.slice(all, [at, row.targets[i] ?? 0], [1, 1]), [])),
    );
  });
  return tf.div(tf.addN(losses), losses.length);
}

function attended(of: Lookup, x: tf.Tensor, length: number): tf.Tensor {
  const size = config.hidden / config.heads;
  const [q, k, v] = ["q_proj", "k_proj", "v_proj"].map(
    (part) => linear(of, `layers.0.self_attn.${part}`, x) as tf.Tensor2D,
  );
  const hidden = tf.tensor2d(Array.from({ length }, (_, i) => Array.from({ length }, (__, j) => (j > i ? -1e9 : 0))));
  const heads = Array.from({ length: config.heads }, (_, head) => {
    const part = (all: tf.Tensor2D | undefined) => {
      if (!all) throw new Error("there are three projections");
      return tf.slice2d(all, [0, head * size], [length, size]);
    };
    const scores = tf.add(tf.div(tf.matMul(part(q), part(k), false, true), Math.sqrt(size)), hidden);
    return tf.matMul(tf.softmax(scores as tf.Tensor2D), part(v));
  });
  return linear(of, "layers.0.self_attn.out_proj", tf.concat(heads, 1));
}

function linear(of: Lookup, name: string, x: tf.Tensor): tf.Tensor {
  return tf.add(tf.matMul(x as tf.Tensor2D, of(`${name}.weight`) as tf.Tensor2D, false, true), of(`${name}.bias`));
}

function norm(of: Lookup, name: string, x: tf.Tensor): tf.Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const scaled = tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5)));
  return tf.add(tf.mul(scaled, of(`${name}.weight`)), of(`${name}.bias`));
}

test.each(["normal", "rademacher"] as const)(
  "over many seeds the mean of g z is the gradient that automatic differentiation gives (%s)",
  async (noise) => {
    const count = 2_000;
    const model = await load(noise);
    const weights = await weightsOf(model);
    const shapes = new Map(model.trainable.map(({ name, shape }) => [name, shape]));
    const gradient = gradientOf(weights, shapes);
    const names = [...weights.keys()];

    // What the gradient is compared with is right itself: along some noise it is the derivative.
    // And the smaller epsilon is, the closer to it are the two-sided differences that SPSA takes.
    for (const seed of [97n, 98n, 99n]) {
      const along = directionOf(weights, noise, seed);
      const slope = names.reduce((sum, name) => sum + dot(gradient.get(name), along.get(name)), 0);
      const errors = [2 ** -14, 2 ** -18].map((epsilon) => Math.abs(slope - twoSided(weights, along, rows, epsilon)));
      expect(errors[0]).toBeLessThan(within(2e-2, slope));
      expect(errors[1]).toBeLessThan(within(1e-4, slope));
    }

    const mean = new Map(names.map((name) => [name, new Float64Array(weights.get(name)?.length ?? 0)]));
    for (let i = 0; i < count; i++) {
      const seed = ruleSeed(17, i);
      const [one] = await estimate(model, tokenLoss(rows), [0, 1, 2, 3], { ...settings, noise }, [seed]);
      const g = (one?.projectedGradient ?? NaN) / count;
      for (const [name, z] of directionOf(weights, noise, seed)) {
        const sums = mean.get(name) ?? new Float64Array();
        for (let j = 0; j < sums.length; j++) sums[j] = (sums[j] ?? 0) + g * (z[j] ?? 0);
      }
    }

    const squared = names.reduce((sum, name) => sum + dot(gradient.get(name), gradient.get(name)), 0);
    const projected = names.reduce((sum, name) => sum + dot(gradient.get(name), mean.get(name)), 0);
    // The mean of (z . gradient)^2 / |gradient|^2 has a standard deviation of sqrt(2 / count) = 0.03.
    expect(Math.abs(projected / squared - 1)).toBeLessThan(0.12);
    // Each coordinate is off by about |gradient| / sqrt(count), as chance has it, and by no more.
    const elements = names.reduce((sum, name) => sum + (weights.get(name)?.length ?? 0), 0);
    const off = names.reduce((sum, name) => {
      const [exact, seen] = [gradient.get(name), mean.get(name)];
      return (
        sum + (exact ?? new Float64Array()).reduce((total, value, j) => total + ((seen?.[j] ?? NaN) - value) ** 2, 0)
      );
    }, 0);
    expect(off / elements / (squared / count)).toBeGreaterThan(0.8);
    expect(off / elements / (squared / count)).toBeLessThan(1.2);
  },
  60_000,
);

function dot(a: Float64Array | undefined, b: Float64Array | undefined): number {
  return (a ?? new Float64Array()).reduce((sum, value, i) => sum + value * (b?.[i] ?? 0), 0);
}
