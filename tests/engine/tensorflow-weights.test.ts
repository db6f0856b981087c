/**
 * Noise and update of the TensorFlow device against engine/replay/update.ts, in every bit, where the conformance suite does not
 * reach: other operations of a GPU, signs of zeros, scalars of any size; and what they hold in memory meanwhile.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WeightSpec } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { TensorFlow } from "../../engine/devices/tensorflow/binding.ts";
import { TensorflowNoise, rangeOf } from "../../engine/devices/tensorflow/noise.ts";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import { updateTensorflowWeight } from "../../engine/devices/tensorflow/update.ts";
import {
  freeTensorflowWeight,
  readTensorflowWeight,
  rowsOf,
  sidesOf,
  storeTensorflowWeight,
} from "../../engine/devices/tensorflow/weights.ts";
import { replayOnto } from "../../engine/replay/onto-weights.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { expectSameBytes } from "../support/equal.ts";
import { scratch } from "../support/models.ts";
import { devicesDir } from "../support/open-devices.ts";
import { Draw } from "./devices.inputs.ts";
import type { Binding } from "./tensorflow.counting.ts";
import { Memory, got, loaded, over } from "./tensorflow.counting.ts";

test("a range makes products with a size exact in one operation, and every bfloat16 has one", () => {
  const bits = fc.constantFrom(8, 20);
  const mantissa = bits.chain((count) => fc.tuple(fc.constant(count), fc.integer({ min: 1, max: 2 ** count - 1 })));
  const exponents = fc.integer({ min: -100, max: 60 });
  fc.assert(
    fc.property(mantissa, exponents, fc.constantFrom(1, -1), ([count, m], exponent, sign) => {
      const size = sign * m * 2 ** exponent;
      const range = rangeOf(size);
      if (count === 8) expect(range).toBeDefined();
      if (!range) return;
      const [min, max] = range;
      const scale = Math.fround(Math.fround(max - min) / 255);
      for (let ones = 0; ones <= 16; ones++) {
        expect(Math.fround(Math.fround(ones * scale) + min) - size * (ones - 8)).toBe(0);
      }
    }),
  );
  for (const size of [0, -0, 2 ** 126, -(2 ** 127), NaN]) expect(rangeOf(size)).toBeUndefined();
});

describe.runIf(loaded)("weights on TensorFlow", () => {
  /** As a GPU's kernels are chosen: without Dequantize, and without what is kept or copied on a CPU. */
  const processors = [
    ["CPU", (binding: Binding) => binding],
    ["GPU", (binding: Binding) => over(binding, { isUsingGpuDevice: () => true })],
  ] as const;

  test.each(processors)("have every bit of the plain update, with the operations of a %s", async (_, processor) => {
    const tf = new TensorFlow(processor(got(loaded)));
    const maker = { tf, noise: new TensorflowNoise(tf), pieceElements: 1024 };
    const plain = createPlainDevice();
    const scalars = [0, -0, 1, -0.75, 2 ** -100, -(2 ** -100), 2 ** 120, -(2 ** 100), 0.001953125];
    for (const dtype of ["F32", "BF16"] as const) {
      const spec = { name: "w", shape: [65, 32], dtype, trainable: true } as const;
      const bytes = new Draw(7).bytes(65 * 32, dtype, 0.1);
      const zeros = dtype === "F32" ? new Float32Array(bytes.buffer) : new Uint16Array(bytes.buffer);
      zeros.fill(0, 0, 500).fill(dtype === "F32" ? -0 : 0x8000, 500, 1000);
      for (const noise of ["normal", "rademacher"] as const) {
        for (const entries of [...scalars.map((scalar) => [scalar]), scalars.slice(2, 6)].map(logOf)) {
          const [a, b] = [storeTensorflowWeight(maker, spec, bytes), plain.createWeight(spec, bytes)];
          updateTensorflowWeight(tf, a, entries, noise);
          plain.update([b], entries, noise);
          expectSameBytes(readTensorflowWeight(tf, a), await plain.readWeight(b));
          freeTensorflowWeight(tf, a);
        }
      }
    }
  });

  test.each(processors)(
    "give an embedding the rows that a product has, with the operations of a %s",
    (_, processor) => {
      const tf = new TensorFlow(processor(got(loaded)));
      const maker = { tf, noise: new TensorflowNoise(tf), pieceElements: 1024 };
      for (const dtype of ["F32", "BF16"] as const) {
        const spec = { name: "w", shape: [65, 32], dtype, trainable: true } as const;
        const weight = storeTensorflowWeight(maker, spec, new Draw(8).bytes(65 * 32, dtype, 0.1));
        const all = Int32Array.from({ length: 65 }, (_row, i) => 64 - i);
        for (const noise of ["normal", "rademacher"] as const) {
          const perturbation = { seed: 3n, size: 0.0005000084638595581, noise };
          const rows = tf.hold(() => rowsOf(tf, weight, all, perturbation));
          const pieces = weight.pieces.map((piece) => tf.hold(() => sidesOf(tf, weight, piece, perturbation)));
          for (const side of [0, 1]) {
            const whole = pieces.flatMap(({ handles }) => [...tf.floats(got(handles[side] ?? null))]);
            const seen = [...tf.floats(got(rows.handles[side] ?? null))];
            expect(seen).toEqual(Array.from(all, (row) => whole.slice(32 * row, 32 * (row + 1))).flat());
          }
          for (const held of [rows, ...pieces]) held.end();
        }
        freeTensorflowWeight(tf, weight);
      }
    },
  );

  test("have them for scalars so small that TensorFlow would take their products for zero", async () => {
    const device = createTensorflowDevice(devicesDir, null, { pieceElements: 256 });
    const plain = createPlainDevice();
    const spec = { name: "w", shape: [300], dtype: "F32", trainable: true } as const;
    const bytes = new Uint8Array(4 * 300);
    for (const scalars of [[2 ** -130], [2 ** -100, 2 ** -120], [2 ** -100, -(2 ** -100), 2 ** -126]]) {
      for (const decay of [undefined, Math.fround(0.9)]) {
        const [a, b] = [device.createWeight(spec, bytes), plain.createWeight(spec, bytes)];
        for (let k = 0; k < 20; k++) {
          device.update([a], logOf(scalars, decay), "normal");
          plain.update([b], logOf(scalars, decay), "normal");
        }
        expectSameBytes(await device.readWeight(a), await plain.readWeight(b));
      }
    }
    device.dispose();
  });

  test("leave no tensor behind after a thousand updates", () => {
    const device = createTensorflowDevice(devicesDir, null, { pieceElements: 256 });
    const spec = { name: "w", shape: [8, 32], dtype: "BF16", trainable: true } as const;
    const before = device.tensors();
    const weight = device.createWeight(spec, new Draw(1).bytes(256, "BF16", 1));
    const stored = device.tensors();
    for (let k = 0; k < 1000; k++) device.update([weight], [{ seed: BigInt(k), scalar: 0.5, decay: 0.99 }], "normal");
    expect(device.tensors()).toBe(stored);
    device.freeWeight(weight);
    expect(device.tensors()).toBe(before);
    device.dispose();
  });

  test.each(["F32", "BF16"] as const)(
    "are updated in the memory of a few pieces, however large they are (%s)",
    (dtype) => {
      const pieceElements = 4096;
      const peakOf = (pieces: number, decay?: number) => {
        const memory = new Memory(got(loaded));
        const tf = new TensorFlow(memory.binding);
        const maker = { tf, noise: new TensorflowNoise(tf), pieceElements };
        const spec: WeightSpec = { name: "w", shape: [64 * pieces, 64], dtype, trainable: true };
        const weight = storeTensorflowWeight(maker, spec, new Draw(2).bytes(pieces * pieceElements, dtype, 1));
        memory.peak = memory.bytes;
        const stored = memory.bytes;
        for (const noise of ["normal", "rademacher"] as const) {
          updateTensorflowWeight(tf, weight, logOf([0.5, -0.25, 0.125], decay), noise);
        }
        return (memory.peak - stored) / (4 * pieceElements);
      };
      for (const decay of [undefined, 0.9]) {
        const few = peakOf(2, decay);
        expect(few).toBeLessThan(5);
        expect(peakOf(9, decay)).toBeCloseTo(few, 1);
      }
    },
  );

  test("keep the noise of a pass for the update, and no longer", () => {
    const memory = new Memory(got(loaded));
    const tf = new TensorFlow(memory.binding);
    const maker = { tf, noise: new TensorflowNoise(tf), pieceElements: 4096 };
    const spec = { name: "w", shape: [256, 64], dtype: "F32", trainable: true } as const;
    const weight = storeTensorflowWeight(maker, spec, new Draw(2).bytes(256 * 64, "F32", 1));
    const stored = memory.bytes;
    // Besides constants of a few bytes.
    const kilobytes = () => Math.floor((memory.bytes - stored) / 1024);
    const words = () => memory.runs.get("StatelessRandomUniformFullIntV2") ?? 0;
    for (let use = 0; use < 2; use++) {
      for (const piece of weight.pieces) {
        tf.hold(() => sidesOf(tf, weight, piece, { seed: 5n, size: 0.5, noise: "normal" })).end();
      }
    }
    expect(kilobytes()).toBe(16);
    updateTensorflowWeight(tf, weight, [{ seed: 5n, scalar: 1 }], "normal");
    expect(words()).toBe(4);
    expect(kilobytes()).toBe(0);
    updateTensorflowWeight(tf, weight, [{ seed: 6n, scalar: 1 }], "normal");
    expect(words()).toBe(8);
    expect(kilobytes()).toBe(0);
  });

  test("come from a file as from memory: float32, bfloat16 and float16, at any offset", async () => {
    const device = createTensorflowDevice(devicesDir, null, { pieceElements: 128 });
    const path = join(await scratch(), "tensor");
    const halves = Uint16Array.from({ length: 300 }, (_, i) => (i * 977) & 0x7bff);
    for (const [stored, dtype] of [
      ["F32", "F32"],
      ["BF16", "BF16"],
      ["F16", "F32"],
    ] as const) {
      const bytes = stored === "F32" ? new Draw(3).bytes(300, "F32", 1) : new Uint8Array(halves.buffer);
      await writeFile(path, Buffer.concat([Buffer.alloc(5, 0xab), bytes, Buffer.from("end")]));
      const spec = { name: "w", shape: [300], dtype, trainable: true } as const;
      const location = { path, offset: 5, bytes: bytes.length, dtype: stored };
      const weight = got(device.mapWeight?.(spec, location) ?? null);
      const seen = await device.readWeight(weight);
      if (stored === dtype) expectSameBytes(seen, bytes);
      else expect(new Float32Array(seen.buffer)[1]).toBe(977 * 2 ** -24);
      expect(() => device.mapWeight?.({ ...spec, shape: [310] }, location)).toThrow(/ends before byte/u);
    }
    device.dispose();
  });

  test("come from a file in several parts, and a tiny element in the last of them is noticed", async () => {
    const [device, plain] = [createTensorflowDevice(devicesDir), createPlainDevice()];
    const path = join(await scratch(), "tensor");
    const stored = Float32Array.from({ length: 601 * 1024 }, (_, i) => i - 3e5);
    stored[600 * 1024 + 5] = 2 ** -126;
    const bytes = new Uint8Array(stored.buffer);
    await writeFile(path, bytes);
    for (const [dtype, rows] of [
      ["F32", 601],
      ["BF16", 1202],
    ] as const) {
      const spec = { name: "w", shape: [rows, 1024], dtype, trainable: true } as const;
      const weight = got(device.mapWeight?.(spec, { path, offset: 0, bytes: bytes.length, dtype }) ?? null);
      expectSameBytes(await device.readWeight(weight), bytes);
      const other = plain.createWeight(spec, bytes);
      device.update([weight], logOf([0], 0.75), "rademacher");
      plain.update([other], logOf([0], 0.75), "rademacher");
      expectSameBytes(await device.readWeight(weight), await plain.readWeight(other));
    }
    device.dispose();
  });

  test("a log is replayed by the host where it is faster: piece by piece, and no noise is made on the device", async () => {
    const memory = new Memory(got(loaded));
    const library = { binding: memory.binding, description: "counted", onGpu: false };
    const [device, plain] = [createTensorflowDevice(null, null, { pieceElements: 256, library }), createPlainDevice()];
    for (const dtype of ["F32", "BF16"] as const) {
      const spec = { name: "w", shape: [9, 128], dtype, trainable: true } as const;
      const bytes = new Draw(15).bytes(9 * 128, dtype, 0.1);
      const [weight, other] = [device.createWeight(spec, bytes), plain.createWeight(spec, bytes)];
      memory.runs.clear();
      await replayOnto(device, [weight], logOf(Array<number>(40).fill(2 ** -10), 0.984375), "normal");
      expect(memory.runs.get("StatelessRandomUniformFullIntV2")).toBeUndefined();
      plain.update([other], logOf(Array<number>(40).fill(2 ** -10), 0.984375), "normal");
      expectSameBytes(await device.readWeight(weight), await plain.readWeight(other));
    }
    device.dispose();
  });
});

function logOf(scalars: readonly number[], decay?: number): LogEntry[] {
  return scalars.map((scalar, k) => ({ seed: BigInt(k) + (7n << 40n), scalar, ...(decay !== undefined && { decay }) }));
}
