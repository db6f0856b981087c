/** The memory of the TensorFlow device, counted on a TensorFlow that computes nothing. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { configNamed } from "../../bench/configs.ts";
import { DryTensorFlow } from "../../bench/gpu/dry-tensorflow.ts";
import { fillingDevice, modelInMemory } from "../../bench/gpu/in-memory.ts";
import { memoryNeeded } from "../../bench/gpu/memory.ts";
import { smallConfigs, runModel } from "../../bench/gpu/operations.ts";
import type { Binding } from "../../engine/devices/tensorflow/binding.ts";
import { loadBinding } from "../../engine/devices/tensorflow/binding.ts";
import { loadModel } from "../../engine/model/model.ts";
import { randomRows } from "../../bench/model.ts";
import { devicesDir, isSkipped } from "../support/open-devices.ts";
import { scratch } from "../support/models.ts";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";

const task = { config: "tiny", dtype: "F32", batch: 4, tokens: 16, labels: 4, method: "FULL", gpu: false } as const;

test("the weights are what the config says, and a step frees everything that it makes", async () => {
  const { weights, step } = await memoryNeeded(task);
  expect(weights).toBe(4 * 149_376);
  expect(step).toBeGreaterThan(0);
  const half = await memoryNeeded({ ...task, dtype: "BF16", method: "LORA", gpu: true });
  expect(half.weights).toBe(2 * 149_376);
});

test("what a step needs beside the weights does not grow with the number of layers", async () => {
  // Perturbed weights up to 64 MiB are held at a time: more than two of these layers.
  const config = join(await scratch(), "config.json");
  await writeFile(config, JSON.stringify({ ...(await configNamed("tiny")), hidden_size: 512, ffn_dim: 2048 }));
  const of = async (layers: number, tokens = 16) => (await memoryNeeded({ ...task, config, layers, tokens })).step;
  const [eight, twelve] = [await of(8), await of(12)];
  expect(twelve).toBeLessThan(1.05 * eight);
  expect(await of(8, 256)).toBeGreaterThan(eight);
});

test("nor from the 12 layers of opt-125m to 48 of them", { timeout: 60_000 }, async () => {
  const of = async (layers: number) =>
    (await memoryNeeded({ ...task, config: "opt-125m", batch: 16, tokens: 128, labels: 8, layers })).step;
  expect(await of(48)).toBeLessThan(1.1 * (await of(12)));
});

test("a GPU keeps no normal noise, and draws it once for both sides of a weight", async () => {
  const folder = modelInMemory(await configNamed("tiny"), "F32");
  const binding = new DryTensorFlow(true);
  let drawn = 0;
  const executeOp = binding.executeOp.bind(binding);
  binding.executeOp = (name, ...rest) => {
    if (name === "StatelessRandomUniformFullIntV2") drawn += 1;
    return executeOp(name, ...rest);
  };
  const library = { binding, description: "counts noise", onGpu: true };
  const device = createTensorflowDevice(null, null, { library });
  const model = await loadModel(folder, fillingDevice(device, folder), "normal");
  await model.perturbedLosses(randomRows(512, 4, 16, 4), { seed: 1n, size: 2 ** -10, noise: "normal" });
  // The head is the table of the embedding.
  expect(drawn).toBe(folder.architecture.tensors.length + 1);
  model.free();
  device.dispose();
});

/** TensorFlow itself, with every shape compared with what the dry one says. */
function compared(real: Binding, dry: Binding, different: string[]): Binding {
  const ids = new Map<number, number>();
  const dryId = (id: number) => ids.get(id) ?? -1;
  return {
    TF_ATTR_TYPE: real.TF_ATTR_TYPE,
    TF_ATTR_INT: real.TF_ATTR_INT,
    TF_ATTR_BOOL: real.TF_ATTR_BOOL,
    TF_Version: real.TF_Version,
    createTensor(...args: Parameters<Binding["createTensor"]>) {
      const id = real.createTensor(...args);
      ids.set(id, dry.createTensor(...args));
      return id;
    },
    deleteTensor(id: number) {
      real.deleteTensor(id);
      dry.deleteTensor(dryId(id));
    },
    tensorDataSync: (id: number) => real.tensorDataSync(id),
    isUsingGpuDevice: () => real.isUsingGpuDevice(),
    getNumOfTensors: () => real.getNumOfTensors(),
    executeOp(name, attributes, inputs, count) {
      const made = real.executeOp(name, attributes, inputs, count);
      const [guess] = dry.executeOp(name, attributes, inputs.map(dryId), count);
      const [output] = made;
      if (output && guess) ids.set(output.id, guess.id);
      const [seen, expected] = [String(output?.shape), String(guess?.shape)];
      if (seen !== expected) different.push(`${name}: ${seen} not ${expected}`);
      return made;
    },
  };
}

const skipped = await isSkipped("tfjs-tensorflow");

test.skipIf(skipped)("every shape is the one that TensorFlow makes", { timeout: 60_000 }, async () => {
  const library = loadBinding(devicesDir);
  const different: string[] = [];
  const binding = compared(library.binding, new DryTensorFlow(library.onGpu), different);
  const device = createTensorflowDevice(null, null, { library: { ...library, binding } });
  for (const config of await smallConfigs()) {
    await runModel(device, config, "BF16", "normal");
    await runModel(device, config, "F32", "rademacher");
  }
  device.dispose();
  expect([...new Set(different)]).toStrictEqual([]);
});
