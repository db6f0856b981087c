/**
 * What the native device does beyond the conformance suite: joined operations on odd shapes, every instruction set and
 * number of threads, the door against malformed passes, files, and the event loop.
 */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Device, Perturbation, Weight } from "../../engine/devices/device.ts";
import { createNativeDevice } from "../../engine/devices/native.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { loadModel } from "../../engine/model/model.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { beginning, train } from "../../engine/train/mezo.ts";
import type { NativePass } from "../../engine/native/native.ts";
import { nativeAddon } from "../../engine/native/native.ts";
import { encodeRow } from "../../dataset/encode.ts";
import { tensorId } from "../../engine/numbers/noise.ts";
import { toBfloat16 } from "../../engine/numbers/scalar.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { golden, scratch } from "../support/models.ts";
import { Draw, load, run } from "./devices.inputs.ts";
import type { BlockShape } from "./native.inputs.ts";
import { blockOf } from "./native.inputs.ts";

const sets = instructionSets();
const promised = (process.env["STEPLOG_TEST_DEVICES"] ?? "").split(",").includes("native");
const parameters = { seed: Number(process.env["STEPLOG_TEST_SEED"] ?? Date.now() & 0x7fffffff) };

/** Without the addon there is nothing to test, unless it was promised. */
function instructionSets(): string[] {
  try {
    return nativeAddon().instructionSets();
  } catch {
    return [];
  }
}

test.runIf(promised)("the native device is on this machine", () => expect(sets).toContain("portable"));

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

const noisy: Perturbation = { seed: 0x1234_5678_9abc_def0n, size: 2 ** -11, noise: "normal" };
const signs: Perturbation = { ...noisy, noise: "rademacher" };

function entriesOf(seed: number, count: number): LogEntry[] {
  const draw = new Draw(seed);
  return Array.from({ length: count }, (_, k) => ({
    seed: (BigInt(draw.below(2 ** 32)) << 32n) + BigInt(k),
    scalar: toBfloat16((draw.unit() - 0.5) * 1e-3),
    ...(draw.below(3) === 0 && { decay: Math.fround(1 - draw.unit() * 1e-3) }),
  }));
}

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

describe.each(sets)("on %s", (set) => {
  const plain = createPlainDevice();
  const devices = [1, 2, 3, 5].map((threads) => createNativeDevice(set, threads));
  const device = createNativeDevice(set, 2);

  test("a block has the losses of the plain device, under noise and without, in every precision", async () => {
    const property = fc.asyncProperty(shapes, async (shape) => {
      const block = blockOf(shape);
      const [here, there] = [load(device, block), load(plain, block)];
      for (const perturbation of [noisy, null, signs]) {
        const expected = await run(plain, block, there, perturbation);
        for (const precision of device.precisions) {
          const seen = await run(device, block, here, perturbation, precision);
          // Random blocks make large scores of few terms, which bfloat16 moves far; what it does to a model is below.
          expect(distance(seen.losses, expected.losses)).toBeLessThan(precision === "float32" ? 1e-4 : 0.3);
        }
      }
      for (const weight of here.values()) device.freeWeight(weight);
    });
    await fc.assert(property, { ...parameters, numRuns: 25 });
  }, 240_000);

  test("so has one so large that it is computed some heads at a time, behind a prefix or not", async () => {
    for (const prefix of [0, 7]) {
      const block = blockOf({
        ...steady,
        seed: 6,
        lengths: Array.from({ length: 280 }, () => 40),
        pairs: 4,
        keyValueHeads: 8,
        prefix,
      });
      const seen = await run(device, block, load(device, block), signs);
      const expected = await run(plain, block, load(plain, block), signs);
      expect(distance(seen.losses, expected.losses)).toBeLessThan(1e-4);
    }
  }, 120_000);

  test("losses and weights are the same, bit for bit, whatever the number of threads", async () => {
    const property = fc.asyncProperty(
      shapes,
      fc.array(fc.constantFrom(0, 1, 1, 3, 9, 35), { minLength: 1, maxLength: 2 }),
      async (shape, counts) => {
        const block = blockOf(shape);
        const loaded = devices.map((each) => load(each, block));
        const results = await Promise.all(
          devices.map(async (each, i) => {
            const weights = loaded[i] ?? new Map<string, Weight>();
            const trained = [...weights.values()].filter(({ trainable }) => trainable);
            const losses: number[] = [];
            for (const [step, count] of counts.entries()) {
              each.update(trained, entriesOf(step, count), "rademacher");
              losses.push(...(await run(each, block, weights, signs)).losses);
            }
            const bytes = await Promise.all([...weights.values()].map((weight) => each.readWeight(weight)));
            for (const weight of weights.values()) each.freeWeight(weight);
            return { losses, bytes };
          }),
        );
        const reference = load(plain, block);
        const trained = [...reference.values()].filter(({ trainable }) => trainable);
        counts.forEach((count, step) => plain.update(trained, entriesOf(step, count), "rademacher"));
        const bytes = await Promise.all([...reference.values()].map((weight) => plain.readWeight(weight)));
        for (const result of results) {
          expect(result.losses).toStrictEqual(results[0]?.losses);
          expect(result.bytes).toEqual(bytes);
        }
      },
    );
    await fc.assert(property, { ...parameters, numRuns: 2 });
  }, 240_000);

  test("weights of long rows take up updates and noise as on plain, wherever a row begins", async () => {
    // Rows that begin with whole bytes of signs, rows that do not, and some that fall into few places of a cache.
    const hidden = fc.constantFrom(264, 1016, 1337, 1409, 2048);
    const inOuts = fc.uniqueArray(fc.boolean(), { minLength: 2, maxLength: 2 });
    const property = fc.asyncProperty(shapes, hidden, inOuts, async (shape, width, layouts) => {
      for (const [k, perturbation] of [noisy, signs, signs].entries()) {
        const inOut = layouts[k % 2] ?? false;
        const small = { lengths: [3, 1], hidden: width, pairs: 24, keyValueHeads: 1, group: 1, vocab: 20 };
        const block = blockOf({ ...shape, ...small, frozen: false, inOut });
        const results = [device, plain].map(async (each) => {
          const weights = load(each, block);
          const trained = [...weights.values()].filter(({ trainable }) => trainable);
          each.update(trained, entriesOf(3, 2), perturbation.noise);
          const { losses } = await run(each, block, weights, perturbation);
          const bytes = await Promise.all([...weights.values()].map((weight) => each.readWeight(weight)));
          for (const weight of weights.values()) each.freeWeight(weight);
          return { losses, bytes };
        });
        const [seen, expected] = await Promise.all(results);
        expect(seen?.bytes).toEqual(expected?.bytes);
        expect(distance(seen?.losses ?? new Float64Array(), expected?.losses ?? new Float64Array(1))).toBeLessThan(
          1e-4,
        );
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
          expect(a).toEqual(b);
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
        const { losses } = await run(device, block, weights, signs, precision);
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

describe.runIf(sets.length > 0)("bfloat16 multiplication", () => {
  const able = sets.map((set) => createNativeDevice(set, 2)).filter((device) => device.precisions.includes("bfloat16"));

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

describe.runIf(sets.length > 0)("the native device", () => {
  test("skips steps of a model with NaN in its weights, with the reason, and gives up with advice", async () => {
    const folder = await openModelFolder(golden("hf", "opt"));
    const device = createNativeDevice();
    const model = await loadModel(folder, spoiled(device), "rademacher");
    const rows = [encodeRow(null, { input_ids: [2, 5, 9, 11], labels: [-100, -100, 9, 11] })];
    const settings = {
      steps: 9,
      batchSize: 1,
      learningRate: 1e-3,
      epsilon: 1e-3,
      weightDecay: 0,
      seed: 1,
      noise: "rademacher" as const,
    };
    const steps: (string | null)[] = [];
    const training = (async () => {
      for await (const step of train(model, tokenLoss(rows), settings, beginning)) steps.push(step.skipped);
    })();
    await expect(training).rejects.toMatchObject({ code: "LOSS_NOT_FINITE", message: /NaN in the base model/u });
    expect(steps).toHaveLength(3);
    for (const reason of steps) expect(reason).toMatch(/loss NaN/u);
  });

  test("goes on with the event loop while a long pass runs, and keeps the order of what is asked of it", async () => {
    const device = createNativeDevice("", 1);
    const [rows, columns] = [1500, 1024];
    const bytes = new Draw(1).bytes(columns * columns, "F32", 0.05);
    const spec = { name: "w", shape: [columns, columns], dtype: "F32", trainable: true } as const;
    const weight = device.createWeight(spec, bytes);
    const before = device.readWeight(weight);
    device.update([weight], entriesOf(1, 2), "normal");
    const pass = device.begin(noisy);
    let x = pass.embed(weight, new Draw(2).indices(rows, columns));
    for (let layer = 0; layer < 12; layer++) x = pass.linear(x, weight, null);
    const losses = pass.losses(x, weight, new Draw(3).indices(rows, columns));
    const after = device.readWeight(weight);
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    await losses;
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
    expect(Buffer.compare(await before, bytes)).toBe(0);
    expect(Buffer.compare(await after, bytes)).not.toBe(0);
  });

  test("maps files: float32, bfloat16 and float16, at any offset, and leaves them as they were", async () => {
    const device = createNativeDevice();
    const path = join(await scratch(), "tensor");
    const halves = Uint16Array.from([0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x7c00, 0x0400, 0x3555]);
    const widened = Float32Array.from([1, -2, 2 ** -24, -0, 65504, Infinity, 2 ** -14, 0x555 * 2 ** -12]);
    for (const offset of [0, 1, 7, 4096, 5003]) {
      for (const [dtype, stored, expected] of [
        ["F32", new Uint8Array(widened.buffer), widened],
        ["BF16", new Uint8Array(halves.buffer), halves],
        ["F16", new Uint8Array(halves.buffer), widened],
      ] as const) {
        const file = Buffer.concat([Buffer.alloc(offset, 0xab), stored, Buffer.from("end")]);
        await writeFile(path, file);
        for (const trainable of [true, false]) {
          const own = dtype === "BF16" ? "BF16" : "F32";
          const spec = { name: "w", shape: [2, 4], dtype: own, trainable } as const;
          const weight = device.mapWeight?.(spec, { path, offset, bytes: stored.length, dtype });
          if (!weight) throw new Error("the native device maps files");
          expect(await device.readWeight(weight)).toEqual(new Uint8Array(expected.buffer));
          if (trainable) {
            device.update([weight], [{ seed: 3n, scalar: 0.5 }], "rademacher");
            expect(await device.readWeight(weight)).not.toEqual(new Uint8Array(expected.buffer));
          }
          device.freeWeight(weight);
        }
        expect(readFileSync(path)).toEqual(file);
      }
    }
    const beyond = { path, offset: 5000, bytes: 64, dtype: "F32" };
    const spec = { name: "w", shape: [16], dtype: "F32", trainable: true } as const;
    expect(() => device.mapWeight?.(spec, beyond)).toThrow(/the file ends before byte 5064/u);
    expect(() => device.mapWeight?.(spec, { ...beyond, path: `${path}.no` })).toThrow(/No such file/u);
  });

  test("gives memory back", async () => {
    const spec = { name: "w", shape: [1024, 1024], dtype: "F32", trainable: true } as const;
    const bytes = new Uint8Array(4 * 1024 * 1024);
    const use = async () => {
      const device = createNativeDevice("", 2);
      for (let i = 0; i < 40; i++) {
        const weight = device.createWeight(spec, bytes);
        await device.replay(
          { name: "w", dtype: "F32", first: 0, bytes: bytes.subarray(0, 4096) },
          entriesOf(1, 1),
          "normal",
        );
        device.freeWeight(weight);
      }
      device.dispose();
    };
    await use();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 5; i++) await use();
    expect(process.memoryUsage.rss() - before).toBeLessThan(200e6);
  });
});

/** A device that hands out weights whose first elements are NaN. */
function spoiled(device: Device): Device {
  return {
    ...device,
    mapWeight: undefined as never,
    createWeight(spec, bytes) {
      const own = bytes.slice();
      if (spec.dtype === "F32") new Float32Array(own.buffer).fill(NaN, 0, 4);
      return device.createWeight(spec, own);
    },
  };
}

describe.runIf(sets.length > 0)("the door", () => {
  const addon = nativeAddonOrNothing();
  const native = addon && new addon.NativeDevice("portable", 1);
  const weight = (shape: number[]) =>
    native?.createWeight(
      { shape, dtype: 0, trainable: true, tensor: 1 },
      new Uint8Array(shape.reduce((a, b) => a * b, 4)),
    );
  const pass = (code: readonly number[], more: Partial<NativePass> = {}): NativePass => ({
    code: Int32Array.from(code),
    numbers: Float64Array.of(1e-5, 0, NaN),
    tables: [Float64Array.of(1)],
    lists: [Int32Array.of(0, 1), Int32Array.of(9, 1), Int32Array.of(2), Int32Array.of()],
    perturbation: null,
    bf16: false,
    ...more,
  });
  const table = weight([3, 4]) ?? 0;
  const vector = weight([4]) ?? 0;
  const embed = [0, table, 0];
  const ended = (code: readonly number[]) => [...embed, ...code, 12, 1, table, -1, 1, 0];

  test("lets a pass through that is whole", async () => {
    const losses = await native?.run(pass([...embed, 12, 0, table, -1, 1, 0]));
    expect(losses).toHaveLength(2);
    const attention = ended([9, 0, 0, 0, 1, 1, 2, 1, 0, 0, 1, -1, 0, 0]);
    expect(await native?.run(pass(attention))).toHaveLength(2);
  });

  test.each([
    ["nothing", []],
    ["an operation that is not known", [99]],
    ["an operation without its operands", [0, table]],
    ["a weight that is not there", [0, 12345, 0]],
    ["a list that is not there", [0, table, 77]],
    ["ids beyond the table", [0, table, 1, 12, 0, table, -1, 1, 0]],
    ["an operand that comes later", ended([1, 0, 3])],
    ["a slice beyond the columns", ended([4, 0, 2, 3])],
    ["a slice of a negative size", ended([4, 0, 2, -1])],
    ["a number that is not one", ended([3, 0, 2])],
    ["a vector for a matrix", ended([8, 0, vector, -1, 0])],
    ["a matrix of another size", ended([8, 0, table, -1, 1])],
    ["lengths that do not add up", ended([9, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, -1, -1])],
    ["a prefix that comes later", ended([9, 0, 0, 0, 1, 1, 2, 1, 0, 0, 1, -1, 5, 5])],
    ["a prefix without values", ended([9, 0, 0, 0, 1, 1, 2, 1, 0, 0, 1, -1, 0])],
    ["a prefix of other columns", ended([4, 0, 0, 2, 9, 0, 0, 0, 1, 1, 2, 1, 0, 0, 1, -1, 1, 1])],
    ["heads that do not divide", ended([9, 0, 0, 0, 3, 1, 2, 1, 0, 0, 1, -1, -1])],
    ["a cache that is not there", ended([9, 0, 0, 0, 1, 1, 2, 1, 0, 0, 1, 2, -1])],
    ["rows that are not there", ended([11, 0, 1])],
    ["no rows", ended([11, 0, 3])],
    ["targets beyond the vocabulary", [...embed, 12, 0, table, -1, 1, 1]],
    ["words after the end", [...embed, 12, 0, table, -1, 1, 0, 1]],
    ["no end", embed],
  ])("refuses a pass with %s", (_what, code) => {
    expect(() => native?.run(pass(code))).toThrow(Error);
  });

  test("refuses what is not of its type or size", () => {
    const wrong: (() => unknown)[] = [
      () => native?.run({ ...pass(embed), code: [0] as never }),
      () => native?.run(null as never),
      () => native?.run({ ...pass(embed), lists: [Float32Array.of(1)] as never }),
      () => native?.run({ ...pass(embed), perturbation: { seed: 1 as never, size: 1, noise: 0, sides: 2 } }),
      () => native?.run({ ...pass(embed), perturbation: { seed: 1n << 64n, size: 1, noise: 0, sides: 2 } }),
      () => native?.createWeight({ shape: [2, 2], dtype: 0, trainable: true, tensor: 1 }, new Uint8Array(15)),
      () =>
        native?.createWeight({ shape: [2 ** 30, 2 ** 30], dtype: 0, trainable: true, tensor: 1 }, new Uint8Array(16)),
      () => native?.createWeight({ shape: [-1], dtype: 0, trainable: true, tensor: 1 }, new Uint8Array(0)),
      () => native?.createWeight({ shape: [1], dtype: 7, trainable: true, tensor: 1 }, new Uint8Array(4)),
      () => native?.readWeight(-5),
      () => native?.update(Int32Array.of(4040), BigUint64Array.of(1n), Float32Array.of(1), Float32Array.of(1), 0),
      () => native?.update(Int32Array.of(table), BigUint64Array.of(1n), Float32Array.of(NaN), Float32Array.of(1), 0),
      () => native?.update(Int32Array.of(table), BigUint64Array.of(1n), Float32Array.of(1, 2), Float32Array.of(1), 0),
      () => native?.replay(new Uint8Array(6), 0, 1, 0, BigUint64Array.of(), Float32Array.of(), Float32Array.of(), 0),
      () => native?.noise(-1, 0, 1n, 1, 0),
      () => addon && new addon.NativeDevice("sse", 1),
      () => addon && new addon.NativeDevice("", -1),
    ];
    for (const call of wrong) expect(call).toThrow(Error);
  });

  test("refuses a weight that was freed", () => {
    const gone = weight([3, 4]) ?? 0;
    native?.freeWeight(gone);
    expect(() => native?.run(pass([0, gone, 0]))).toThrow("belongs to this device");
  });

  test("answers or refuses whatever it is given", async () => {
    const word = fc.oneof(fc.integer({ min: -2, max: 15 }), fc.constantFrom(table, vector), fc.integer());
    const property = fc.asyncProperty(fc.array(word, { maxLength: 40 }), fc.boolean(), async (words, perturbed) => {
      const perturbation = perturbed ? { seed: 1n, size: 0.001, noise: 1, sides: 1 + (words.length % 3) } : null;
      try {
        await native?.run(pass([...embed, ...words], { perturbation }));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    });
    await fc.assert(property, { ...parameters, numRuns: 3_000 });
  });
});

function nativeAddonOrNothing() {
  return sets.length > 0 ? nativeAddon() : undefined;
}

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
