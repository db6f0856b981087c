/**
 * Every instruction set of the native device: joined operations on odd shapes against the plain device, any number of
 * threads, long rows, and what is not finite.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Device, Perturbation, Precision, Weight } from "../../engine/devices/device.ts";
import { createNativeDevice } from "../../engine/devices/native.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { loadModel } from "../../engine/model/model.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { nativeAddon } from "../../engine/native/addon.ts";
import { encodeRow } from "../../dataset/encode.ts";
import { tensorId } from "../../engine/numbers/noise.ts";
import { expectSameBytes } from "../support/equal.ts";
import { golden } from "../support/models.ts";
import { remember } from "../support/remember.ts";
import type { Computation } from "./devices.inputs.ts";
import { Draw, load, lookup, propertySeed } from "./devices.inputs.ts";
import type { BlockShape } from "./native.inputs.ts";
import { blockOf, entriesOf, instructionSets, noisy } from "./native.inputs.ts";

const parameters = { seed: propertySeed };

const small = (max: number) => fc.integer({ min: 1, max });
const shapes: fc.Arbitrary<BlockShape> = fc.record({
  seed: fc.nat(),
  lengths: fc.array(small(27), { minLength: 1, maxLength: 3 }),
  keyValueHeads: small(3),
  group: small(3),
  pairs: fc.oneof(small(9), fc.constant(16), fc.constant(32)),
  hidden: fc.oneof(small(300), fc.constant(256)),
  vocab: fc.oneof(small(70), small(400)),
  dtype: fc.constantFrom("F32" as const, "BF16" as const),
  gated: fc.boolean(),
  rms: fc.boolean(),
  rotary: fc.boolean(),
  postNorm: fc.boolean(),
  inOut: fc.boolean(),
  tied: fc.boolean(),
  frozen: fc.boolean(),
  window: fc.oneof(fc.constant(0), small(9)),
  softcap: fc.constantFrom(0, 4),
  prefix: fc.oneof(fc.constant(0), small(90)),
});

const signs: Perturbation = { ...noisy, noise: "rademacher" };
const perturbations = { normal: noisy, rademacher: signs, none: null } as const;

const steady: BlockShape = {
  seed: 5,
  lengths: [9, 4],
  keyValueHeads: 2,
  group: 1,
  pairs: 8,
  hidden: 70,
  vocab: 33,
  dtype: "F32",
  gated: true,
  rms: true,
  rotary: true,
  postNorm: false,
  inOut: false,
  tied: false,
  frozen: false,
  window: 0,
  softcap: 0,
  prefix: 6,
};

/** Of one pass; logits, which would compute it again, are for the conformance suite. */
async function lossesOf(
  device: Device,
  block: Computation,
  weights: ReadonlyMap<string, Weight>,
  perturbation: Perturbation | null,
  precision: Precision = "float32",
): Promise<Float64Array> {
  const find = lookup(weights);
  const pass = device.begin(perturbation, precision);
  const hidden = block.forward(pass, find);
  const losses = await pass.losses(hidden, find(block.head), block.targets, block.headOptions(find));
  pass.end();
  return losses;
}

/** The bytes of every weight, which are given back. */
async function taken(device: Device, weights: ReadonlyMap<string, Weight>): Promise<Uint8Array[]> {
  const bytes = await Promise.all([...weights.values()].map((weight) => device.readWeight(weight)));
  for (const weight of weights.values()) device.freeWeight(weight);
  return bytes;
}

function trainableOf(weights: ReadonlyMap<string, Weight>): Weight[] {
  return [...weights.values()].filter(({ trainable }) => trainable);
}

interface Update {
  readonly shape: BlockShape;
  readonly noise: "normal" | "rademacher";
}

async function updatedOn(device: Device, { shape, noise }: Update) {
  const block = blockOf(shape);
  const weights = load(device, block);
  device.update(trainableOf(weights), entriesOf(3, 2), noise);
  const losses = await lossesOf(device, block, weights, perturbations[noise]);
  return { losses, bytes: await taken(device, weights) };
}

const plain = createPlainDevice();
const plainUpdate = remember((input: Update) => updatedOn(plain, input));

const plainLosses = remember(
  async ({ shape, noise }: { shape: BlockShape; noise: keyof typeof perturbations }): Promise<Float64Array> => {
    const block = blockOf(shape);
    const weights = load(plain, block);
    const losses = await lossesOf(plain, block, weights, perturbations[noise]);
    await taken(plain, weights);
    return losses;
  },
);

const plainWeights = remember(async ({ shape, counts }: { shape: BlockShape; counts: readonly number[] }) => {
  const weights = load(plain, blockOf(shape));
  counts.forEach((count, step) => plain.update(trainableOf(weights), entriesOf(step, count), "rademacher"));
  return taken(plain, weights);
});

describe.each(instructionSets)("on %s", (set) => {
  const devices = [1, 2, 3, 5].map((threads) => createNativeDevice(set, threads));
  const device = createNativeDevice(set, 2);

  test("a block has the losses of the plain device, under noise and without, in every precision", async () => {
    const property = fc.asyncProperty(shapes, async (shape) => {
      const block = blockOf(shape);
      const weights = load(device, block);
      for (const noise of ["normal", "none", "rademacher"] as const) {
        const expected = await plainLosses({ shape, noise });
        for (const precision of device.precisions) {
          const seen = await lossesOf(device, block, weights, perturbations[noise], precision);
          // Random blocks make large scores of few terms, which bfloat16 moves far; what it does to a model is below.
          expect(distance(seen, expected)).toBeLessThan(precision === "float32" ? 1e-4 : 0.3);
        }
      }
      for (const weight of weights.values()) device.freeWeight(weight);
    });
    await fc.assert(property, { ...parameters, numRuns: 25 });
  }, 240_000);

  test("a block too large to compute at once goes a few heads at a time, with or without a prefix", async () => {
    const repeats = 25;
    for (const prefix of [0, 7]) {
      // Queries, keys and values of both sides take 18 MB; beyond 16 MiB they are computed two heads at a time. The plain
      // device would take seconds for all sequences, so it computes those that are repeated.
      const lengths = Array.from({ length: 23 }, () => 20);
      const shape = { ...steady, seed: 6, lengths, pairs: 4, keyValueHeads: 8, hidden: 24, prefix };
      const block = blockOf({ ...shape, repeats });
      const seen = await lossesOf(device, block, load(device, block), signs);
      const expected = await plainLosses({ shape, noise: "rademacher" });
      const sides = [0, 1].map((side) =>
        expected.subarray((side * expected.length) / 2, ((side + 1) * expected.length) / 2),
      );
      const repeated = sides.flatMap((side) => Array.from({ length: repeats }, () => [...side]).flat());
      expect(distance(seen, Float64Array.from(repeated))).toBeLessThan(1e-4);
    }
  }, 120_000);

  test("losses and weights are the same, bit for bit, whatever the number of threads", async () => {
    const property = fc.asyncProperty(
      shapes,
      fc.array(fc.constantFrom(0, 1, 1, 3, 9, 35), { minLength: 1, maxLength: 2 }),
      async (shape, counts) => {
        const block = blockOf(shape);
        const loaded = devices.map((each) => ({ each, weights: load(each, block) }));
        const trained = loaded.map(async ({ each, weights }) => {
          const losses: number[] = [];
          for (const [step, count] of counts.entries()) {
            each.update(trainableOf(weights), entriesOf(step, count), "rademacher");
            losses.push(...(await lossesOf(each, block, weights, signs)));
          }
          return { losses, bytes: await taken(each, weights) };
        });
        const results = await Promise.all(trained);
        const expected = await plainWeights({ shape, counts });
        for (const { losses, bytes } of results) {
          expect(losses).toStrictEqual(results[0]?.losses);
          expected.forEach((weight, i) => expectSameBytes(bytes[i], weight));
        }
      },
    );
    await fc.assert(property, { ...parameters, numRuns: 2 });
  }, 240_000);

  test("weights of long rows take up updates and noise as on plain, wherever a row begins", async () => {
    // Rows that begin with whole bytes of signs, rows that do not, and some that fall into few places of a cache.
    const hidden = fc.constantFrom(264, 1016, 1337, 1409, 2048);
    const inOuts = fc.uniqueArray(fc.boolean(), { minLength: 2, maxLength: 2 });
    const property = fc.asyncProperty(shapes, hidden, inOuts, async (any, width, layouts) => {
      for (const [k, noise] of (["normal", "rademacher", "rademacher"] as const).entries()) {
        const small = { lengths: [3, 1], hidden: width, pairs: 24, keyValueHeads: 1, group: 1, vocab: 20 };
        const shape = { ...any, ...small, frozen: false, inOut: layouts[k % 2] ?? false };
        const [seen, expected] = [await updatedOn(device, { shape, noise }), await plainUpdate({ shape, noise })];
        expected.bytes.forEach((bytes, i) => expectSameBytes(seen.bytes[i], bytes));
        expect(distance(seen.losses, expected.losses)).toBeLessThan(1e-4);
      }
    });
    await fc.assert(property, { ...parameters, numRuns: 3 });
  }, 240_000);

  test("knows a peak of its processor", async () => {
    const native = new (nativeAddon().NativeDevice)(set, 2);
    const peaks = await Promise.all([native.peak(false), native.peak(true)]);
    // No two threads do less than this, nor those of today more.
    for (const peak of peaks) expect(peak > 0.1 && peak < 1e6, `${peak} GFLOP/s`).toBe(true);
  });

  test("elements far into a tensor, whose block number has an upper word, are updated as on plain", async () => {
    for (const noise of ["normal", "rademacher"] as const) {
      const edge = (noise === "normal" ? 8 : 128) * 2 ** 32;
      for (const first of [edge - 777, edge - 8, edge, edge + 4096, 3 * edge + 5]) {
        for (const dtype of ["F32", "BF16"] as const) {
          const bytes = new Draw(first % 1e9).bytes(1999, dtype, 1);
          const [a, b] = [bytes.slice(), bytes.slice()];
          await device.replay({ name: "far", dtype, first, bytes: a }, entriesOf(7, 3), noise);
          await plain.replay({ name: "far", dtype, first, bytes: b }, entriesOf(7, 3), noise);
          expectSameBytes(a, b);
        }
      }
    }
  });

  test("NaN and infinity in a weight never give a finite loss", async () => {
    for (const [value, name] of [
      [NaN, "q"],
      [NaN, "v"],
      [NaN, "up"],
      [NaN, "norm3"],
      [NaN, "head"],
      [Infinity, "down"],
      [-Infinity, "o"],
    ] as const) {
      const block = blockOf(steady);
      for (const weight of block.weights) {
        if (weight.name === name) new Float32Array(weight.bytes.buffer).fill(value, 0, 40);
      }
      const weights = load(device, block);
      for (const precision of device.precisions) {
        const losses = await lossesOf(device, block, weights, signs, precision);
        expect(
          losses.some((loss) => !Number.isFinite(loss)),
          `${value} in ${name}`,
        ).toBe(true);
      }
    }
  });

  test("the noise is that of the known answers", async () => {
    const native = new (nativeAddon().NativeDevice)(set, 2);
    const text = readFileSync(golden("noise-vectors.json"), "utf8");
    const { cases } = JSON.parse(text) as {
      cases: { tensor: string; seed: string; start: number; normal: number[]; rademacher: number[] }[];
    };
    for (const { tensor, seed, start, normal, rademacher } of cases) {
      for (const [kind, expected] of [normal, rademacher].entries()) {
        const n = await native.noise(expected.length, kind, BigInt(seed), tensorId(tensor), start);
        expect([...n]).toStrictEqual(expected);
      }
    }
  });
});

describe.runIf(instructionSets.length > 0)("bfloat16 multiplication", () => {
  const able = instructionSets
    .map((set) => createNativeDevice(set, 2))
    .filter((device) => device.precisions.includes("bfloat16"));

  test.each(["opt", "gpt2", "llama", "qwen2", "gemma2"])("moves the loss of %s by less than 5e-3", async (name) => {
    const expected = JSON.parse(readFileSync(golden("hf", name, "expected.json"), "utf8")) as {
      input_ids: number[][];
      labels: number[][];
      loss_float64: number;
    };
    const rows = expected.input_ids.map((ids, row) =>
      encodeRow(null, { input_ids: ids, labels: expected.labels[row] ?? [] }),
    );
    const seen: number[] = [];
    for (const device of able) {
      const model = await loadModel(await openModelFolder(golden("hf", name)), device, "normal", {
        precision: "bfloat16",
      });
      seen.push(mean(await model.losses(rows)));
    }
    for (const loss of seen) {
      expect(Math.abs(loss / expected.loss_float64 - 1)).toBeLessThan(5e-3);
      expect(Math.abs(loss - (seen[0] ?? NaN))).toBeLessThan(1e-3);
    }
  });
});

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The largest difference, relative where values are large. */
function distance(seen: Float64Array, expected: Float64Array): number {
  expect(seen.length).toBe(expected.length);
  return seen.reduce((most, value, i) => {
    const right = expected[i] ?? NaN;
    const off = Math.abs(value - right) / Math.max(1, Math.abs(right));
    return Number.isNaN(off) ? Infinity : Math.max(most, off);
  }, 0);
}
