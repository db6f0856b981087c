/** How fast a log is applied to weights that the device holds: a run that goes on where another worker left it. */
import type { WeightDtype } from "../../engine/devices/device.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import type { Noise } from "../../engine/numbers/noise.ts";
import { toBfloat16 } from "../../engine/numbers/scalar.ts";
import { parameterCount } from "../../engine/model/files/folder.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import { configNamed } from "../configs.ts";
import { openDevice } from "../device.ts";
import { timed } from "../measure.ts";
import { fillingDevice, modelInMemory } from "./in-memory.ts";

export interface ReplayTask {
  readonly device: string;
  readonly config: string;
  /** Time for each case, about. */
  readonly seconds: number;
}

export interface ReplayRate {
  readonly dtype: WeightDtype;
  readonly noise: Noise;
  readonly entries: number;
  readonly seconds: number;
  /** 10^9 updates of one element per second. */
  readonly gigaUpdatesPerSecond: number;
}

export async function measureReplay({ device: name, config, seconds }: ReplayTask): Promise<{ rates: ReplayRate[] }> {
  const device = await openDevice({ device: name });
  const rates: ReplayRate[] = [];
  for (const dtype of ["BF16", "F32"] as const) {
    for (const noise of ["rademacher", "normal"] as const) {
      const folder = modelInMemory(await configNamed(config), dtype);
      const model = await loadModel(folder, fillingDevice(device, folder), noise);
      const first = await secondsOf(model, 2);
      const entries = Math.max(2, Math.round((2 * seconds) / first));
      const taken = await secondsOf(model, entries);
      const gigaUpdatesPerSecond = (parameterCount(folder) * entries) / taken / 1e9;
      rates.push({ dtype, noise, entries, seconds: taken, gigaUpdatesPerSecond });
      model.free();
    }
  }
  device.dispose();
  return { rates };
}

async function secondsOf(model: Model, count: number): Promise<number> {
  const entries = Array.from({ length: count }, (_, k) => {
    return { seed: ruleSeed(1, k), scalar: toBfloat16(1e-6 * Math.sin(k + 1)) };
  });
  const { sample } = await timed(async () => {
    await model.replay(entries);
    await model.read(lastUpdated(model));
  });
  return sample.seconds;
}

/** A small tensor: once it is read, the operations queued before it have run. */
function lastUpdated({ folder, trainable }: Model): string {
  const last = folder.architecture.tensors.findLast(({ name, shape }) => {
    return shape.length === 1 && trainable.some((tensor) => tensor.name === name);
  });
  return last?.name ?? trainable[0]?.name ?? "";
}
