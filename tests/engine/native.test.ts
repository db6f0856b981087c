/** The native device beside its arithmetic: the door against malformed passes, files, memory, and the event loop. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Device } from "../../engine/devices/device.ts";
import { createNativeDevice } from "../../engine/devices/native.ts";
import { loadModel } from "../../engine/model/model.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { beginning, train } from "../../engine/train/mezo.ts";
import type { NativePass } from "../../engine/native/addon.ts";
import { nativeAddon } from "../../engine/native/addon.ts";
import { encodeRow } from "../../dataset/encode.ts";
import { golden, scratch } from "../support/models.ts";
import { promised } from "../support/open-devices.ts";
import { Draw, propertySeed } from "./devices.inputs.ts";
import { entriesOf, instructionSets, noisy } from "./native.inputs.ts";

test.runIf(promised.includes("native"))("the native device is on this machine", () =>
  expect(instructionSets).toContain("portable"),
);

describe.runIf(instructionSets.length > 0)("the native device", () => {
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

  test("replays onto a part of a weight, and no further", async () => {
    const device = createNativeDevice();
    const spec = { name: "w", shape: [40], dtype: "F32", trainable: true } as const;
    const [weight, whole] = [device.createWeight(spec, new Uint8Array(160)), new Uint8Array(160)];
    const entries = entriesOf(3, 1);
    await device.replay({ name: "w", dtype: "F32", first: 0, bytes: whole }, entries, "rademacher");
    const part = new Uint8Array(40);
    const replay = (first: number) => device.replayWeight?.(weight, first, part, entries, "rademacher");
    await replay(20);
    expect(part).toEqual(whole.subarray(80, 120));
    const now = await device.readWeight(weight);
    expect(now.subarray(80, 120)).toEqual(part);
    expect([...now.subarray(0, 80), ...now.subarray(120)].every((byte) => byte === 0)).toBe(true);
    await expect(replay(31)).rejects.toThrow("the elements are the weight's");
    await expect(replay(2 ** 40)).rejects.toThrow("the elements are the weight's");
    const frozen = device.createWeight({ ...spec, trainable: false }, new Uint8Array(160));
    await expect(device.replayWeight?.(frozen, 0, part, entries, "normal")).rejects.toThrow("only trainable");
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

  test.runIf(process.platform === "linux")("gives back pages of the files that the process runs from", () => {
    const resident = () => Number(/RssFile:\s+(\d+)/u.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
    const before = resident();
    const given = nativeAddon().giveBackFilePages();
    // Of Node.js alone it has 30 MB. Other threads may have read some of it again.
    expect(given).toBeGreaterThan(10e6);
    expect(before - resident()).toBeGreaterThan(given / 3);
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

describe.runIf(instructionSets.length > 0)("the door", () => {
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
    products: 0,
    into: null,
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

  test("writes logits into memory that is given", async () => {
    const logits = [...embed, 13, 0, table, -1, 1];
    const into = new Float32Array(6).fill(NaN);
    expect(await native?.run(pass(logits, { into }))).toBeUndefined();
    expect(into).toEqual(await native?.run(pass(logits)));
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
    ["terms beyond the rows", ended([14, 0, 0, 1, table, table, 1, 1, 2])],
    ["terms of no rows", ended([14, 0, 0, 1, table, table, 1, 0, 0])],
    ["terms of a matrix of another size", ended([14, 0, 0, 1, table, table, 1, 0, 2])],
    ["terms of a vector", ended([14, 0, 0, 1, vector, table, 1, 0, 2])],
    ["terms that are missing", ended([14, 0, 0, 2147483647])],
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
      () => native?.run(pass([...embed, 12, 0, table, -1, 1, 0], { products: 3 })),
      () => native?.run(pass([...embed, 12, 0, table, -1, 1, 0], { into: new Float32Array(2) })),
      () => native?.run(pass([...embed, 13, 0, table, -1, 1], { into: new Float32Array(5) })),
      () => native?.run(pass([...embed, 13, 0, table, -1, 1], { into: new Float64Array(6) as never })),
      () => native?.copyCache(12345, 0),
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

  test("refuses to go on from a copy of rows that were not there", async () => {
    const copy = native?.copyCache(native.createCache(), 1) ?? 0;
    const attention = [9, 0, 0, 0, 1, 1, 2, 1, 0, 0, 1, 4, -1];
    const lists = [Int32Array.of(0), Int32Array.of(9), Int32Array.of(1), Int32Array.of(), Int32Array.of(copy)];
    await expect(native?.run(pass(ended(attention), { lists }))).rejects.toThrow("a cache could not be copied");
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
    await fc.assert(property, { seed: propertySeed, numRuns: 3_000 });
  });
});

function nativeAddonOrNothing() {
  return instructionSets.length > 0 ? nativeAddon() : undefined;
}
