/** Random weights for a config, by seed: for benches and tests, not for training (MeZO needs a pretrained model). */
import { mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { WeightDtype } from "./devices/device.ts";
import type { Architecture, TensorDefinition } from "./model/family.ts";
import { configureModel } from "./model/families.ts";
import { writeSafetensors } from "./model/safetensors.ts";
import { fillNoise, sigma, tensorId } from "./noise.ts";

/** Elements made at a time, to bound memory. */
const chunkElements = 1 << 20;

/** Writes config.json and model.safetensors into a new folder. Normal weights are the log's own noise, scaled. */
export async function initModel(options: {
  config: unknown;
  seed: number;
  dtype: WeightDtype;
  out: string;
}): Promise<Architecture> {
  const architecture = configureModel(options.config);
  const partial = join(dirname(options.out), `.${basename(options.out)}.partial-${process.pid}`);
  await mkdir(partial, { recursive: true });
  try {
    await writeFile(join(partial, "config.json"), `${JSON.stringify(options.config, null, 2)}\n`);
    await writeWeights(architecture, options, join(partial, "model.safetensors"));
    await rename(partial, options.out);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
  return architecture;
}

async function writeWeights(
  architecture: Architecture,
  { seed, dtype }: { seed: number; dtype: WeightDtype },
  path: string,
): Promise<void> {
  const tensors = architecture.tensors.map((tensor) => ({ ...tensor, dtype }));
  const file = await open(path, "wx");
  try {
    const bytes = writeSafetensors(tensors, (tensor) => randomTensor(tensor, architecture.initStd, seed, dtype));
    for await (const chunk of bytes) await file.write(chunk);
  } finally {
    await file.close();
  }
}

async function* randomTensor(
  tensor: TensorDefinition,
  std: number,
  seed: number,
  dtype: WeightDtype,
): AsyncGenerator<Uint8Array> {
  const total = tensor.shape.reduce((product, size) => product * size, 1);
  const id = tensorId(tensor.name);
  const n = new Int8Array(Math.min(total, chunkElements));
  for (let first = 0; first < total; first += n.length) {
    const integers = n.subarray(0, Math.min(n.length, total - first));
    if (tensor.init === "normal") fillNoise(integers, "normal", BigInt(seed), id, first);
    const values = Float32Array.from(integers, (value) => initialValue(tensor, value, std));
    yield dtype === "F32" ? new Uint8Array(values.buffer) : upperHalves(values);
  }
}

function initialValue(tensor: TensorDefinition, noise: number, std: number): number {
  if (tensor.init === "zeros") return 0;
  return tensor.init === "ones" ? 1 : (noise / sigma.normal) * std;
}

/** float32 values cut to bfloat16. */
function upperHalves(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer);
  return new Uint8Array(Uint16Array.from(bits, (word) => word >>> 16).buffer);
}
