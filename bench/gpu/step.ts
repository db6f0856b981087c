/** A MeZO step of a config's shapes, with weights made in memory. */
import type { Precision, WeightDtype } from "../../engine/devices/device.ts";
import { configNamed } from "../configs.ts";
import { openDevice } from "../device.ts";
import { measureSteps } from "../step.ts";
import type { StepResult } from "../step.ts";
import { fillingDevice, modelInMemory } from "./in-memory.ts";

export interface StepTask {
  readonly device: string;
  readonly config: string;
  readonly dtype: WeightDtype;
  /** The format of products that is wanted; float32 where the device has no other. */
  readonly multiply: Precision;
  readonly batch: number;
  readonly tokens: number;
  readonly labels: number;
  readonly steps: number;
}

export async function measureStep(task: StepTask): Promise<StepResult> {
  const device = await openDevice({ device: task.device });
  const folder = modelInMemory(await configNamed(task.config), task.dtype);
  const multiply = device.precisions.includes(task.multiply) ? task.multiply : "float32";
  const result = await measureSteps(fillingDevice(device, folder), folder, { ...task, multiply, noise: "rademacher" });
  device.dispose();
  return result;
}
