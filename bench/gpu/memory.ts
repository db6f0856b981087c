/**
 * The memory that the TensorFlow device needs, counted by running it on a TensorFlow that computes nothing (dry-tensorflow.ts).
 * What a step needs beside the weights does not depend on the number of layers once the perturbed weights of the layers reach
 * what the device holds at a time, which two layers of a model with a billion parameters do.
 */
import type { WeightDtype } from "../../engine/devices/device.ts";
import { bytesPerElement, elementCount } from "../../engine/devices/device.ts";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import { configureModel } from "../../engine/model/families/all.ts";
import { seededLora, targetedModules } from "../../engine/model/adapters/lora.ts";
import { loadModel } from "../../engine/model/model.ts";
import { invariant } from "../../schema/errors.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import { configNamed } from "../configs.ts";
import { randomRows } from "../model.ts";
import { DryTensorFlow } from "./dry-tensorflow.ts";
import { fillingDevice, modelInMemory } from "./in-memory.ts";

export interface MemoryNeed {
  /** Bytes of the model's weights as stored. */
  readonly weights: number;
  /** Bytes of tensors beside them at the peak of a step. */
  readonly step: number;
}

export interface MemoryTask {
  readonly config: string;
  readonly dtype: WeightDtype;
  readonly batch: number;
  readonly tokens: number;
  readonly labels: number;
  readonly method: "FULL" | "LORA";
  /** On a GPU the device works on more rows at a time. */
  readonly gpu: boolean;
  /** 2 by default. */
  readonly layers?: number;
}

export async function memoryNeeded(task: MemoryTask): Promise<MemoryNeed> {
  const { dtype, batch, tokens, labels, method, gpu } = task;
  const config = await configNamed(task.config);
  const folder = modelInMemory(withLayers(config, task.layers ?? 2), dtype);
  const { architecture } = folder;
  const binding = new DryTensorFlow(gpu);
  const device = createTensorflowDevice(null, null, { library: { binding, description: "counts memory", onGpu: gpu } });
  const adapter = method === "LORA" ? seededLora(targetedModules(architecture, []), lora) : null;
  const model = await loadModel(folder, fillingDevice(device, folder), "rademacher", { adapter });
  const { live } = binding.used();
  binding.resetPeak();
  const rows = randomRows(architecture.vocabulary, batch, tokens, labels);
  await model.perturbedLosses(rows, { seed: 1n, size: 2 ** -10, noise: "rademacher" });
  model.update([{ seed: ruleSeed(1, 0), scalar: 2 ** -20 }]);
  const { peak } = binding.used();
  model.free();
  device.dispose();
  const { live: left } = binding.used();
  invariant(left === 0, `every tensor was freed, except ${left} bytes`);
  return { weights: weightBytes(config, dtype), step: peak - live };
}

/** The defaults of a fine-tune. */
const lora = { rank: 8, alpha: 16, seed: 1 };

function withLayers(config: object, layers: number): object {
  return { ...config, ["num_hidden_layers" in config ? "num_hidden_layers" : "n_layer"]: layers };
}

function weightBytes(config: object, dtype: WeightDtype): number {
  const { tensors } = configureModel(config);
  return tensors.reduce((sum, { shape }) => sum + elementCount(shape) * bytesPerElement[dtype], 0);
}

/** Room for a step of up to 13b at 16 x 256: what docs/GPU.md has beside the weights, and as much again for the library. */
const roomForStep = 6e9;

/** Bytes that must be free to train a bfloat16 model of a config. */
export async function bytesNeeded(config: string): Promise<number> {
  return weightBytes(await configNamed(config), "BF16") + roomForStep;
}
