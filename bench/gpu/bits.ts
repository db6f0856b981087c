/** Whether a log gives the same weights, bit for bit, on the device and on the plain one. */
import type { Device, WeightDtype } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { loadModel } from "../../engine/model/model.ts";
import type { Noise } from "../../engine/numbers/noise.ts";
import { toBfloat16 } from "../../engine/numbers/scalar.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import { configNamed } from "../configs.ts";
import { fillingDevice, modelInMemory } from "./in-memory.ts";

export interface BitsTask {
  /** Rows of the table. With 64 columns, from 65,536 on a device that cuts large weights at 2^22 elements cuts it. */
  readonly vocabulary: number;
}

export interface BitsResult {
  readonly reference: string;
  /** Updates of one element in each case. */
  readonly updates: number;
  /** Digests of the weights after the log, which must be equal. */
  readonly cases: readonly {
    readonly dtype: WeightDtype;
    readonly noise: Noise;
    readonly expected: string;
    readonly seen: string;
  }[];
}

const entries: readonly LogEntry[] = Array.from({ length: 3 }, (_, k) => {
  const decay = k % 2 === 1 ? { decay: Math.fround(1 - 1e-4) } : {};
  return { seed: ruleSeed(1, k), scalar: toBfloat16(1e-3 * Math.sin(k + 1)), ...decay };
});

/** Ends the device. */
export async function compareBits(device: Device, vocabulary: number): Promise<BitsResult> {
  const plain = createPlainDevice();
  const config = { ...(await configNamed("tiny")), vocab_size: vocabulary };
  const elements = modelInMemory(config, "F32").tensors.reduce((sum, { bytes }) => sum + bytes / 4, 0);
  const cases = [];
  for (const dtype of ["F32", "BF16"] as const) {
    for (const noise of ["normal", "rademacher"] as const) {
      const expected = await digestAfter(plain, config, dtype, noise);
      cases.push({ dtype, noise, expected, seen: await digestAfter(device, config, dtype, noise) });
    }
  }
  device.dispose();
  return { reference: plain.description, updates: elements * entries.length, cases };
}

async function digestAfter(device: Device, config: object, dtype: WeightDtype, noise: Noise): Promise<string> {
  const folder = modelInMemory(config, dtype);
  const model = await loadModel(folder, fillingDevice(device, folder), noise);
  await model.replay(entries);
  const digest = await model.digest();
  model.free();
  return digest;
}
