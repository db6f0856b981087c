/** Random weights for a config, from a seed: for benchmarks and tests, not for training (MeZO needs a pretrained model). */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WeightDtype } from "../devices/device.ts";
import type { Architecture, TensorDefinition } from "./families/family.ts";
import { configureModel } from "./families/all.ts";
import { partialFolder } from "./files/partial.ts";
import { writeSafetensors } from "./files/safetensors.ts";
import { fillNoise, sigma, tensorId } from "../numbers/noise.ts";

/** Elements made at a time, to limit memory. */
const chunkElements = 1 << 20;

/** Writes config.json and model.safetensors into a new folder. Normal weights are the log's own noise, scaled. */
export async function initModel(options: {
  config: unknown;
  seed: number;
  dtype: WeightDtype;
  out: string;
}): Promise<Architecture> {
  const architecture = configureModel(options.config);
  const partial = await partialFolder(options.out);
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
  const bytes = writeSafetensors(tensors, (tensor) => randomTensor(tensor, architecture.initStd, seed, dtype));
  await writeFile(path, bytes, { flag: "wx" });
}

async function* randomTensor(
  tensor: TensorDefinition,
  std: number,
  seed: number,
  dtype: WeightDtype,
): AsyncGenerator<Uint8Array> {
  const total = tensor.shape.reduce((product, size) => product * size, 1);
  const id = tensorId(tensor.name);
  const values = Float32Array.from({ length: 2 * largestNoise + 1 }, (_, i) =>
    initialValue(tensor, i - largestNoise, std),
  );
  const n = new Int8Array(Math.min(total, chunkElements));
  for (let first = 0; first < total; first += n.length) {
    const integers = n.subarray(0, Math.min(n.length, total - first));
    if (tensor.init === "normal") fillNoise(integers, "normal", BigInt(seed), id, first);
    const chunk = new Float32Array(integers.length);
    for (let i = 0; i < chunk.length; i++) chunk[i] = values[(integers[i] ?? 0) + largestNoise] ?? NaN;
    yield dtype === "F32" ? new Uint8Array(chunk.buffer) : upperHalves(chunk);
  }
}

/** Normal noise has 17 values, from -8 to 8; each is scaled once instead of once per element. */
const largestNoise = 8;

function initialValue(tensor: TensorDefinition, noise: number, std: number): number {
  if (tensor.init === "zeros") return 0;
  return tensor.init === "ones" ? 1 : (noise / sigma.normal) * std;
}

/** float32 values truncated to bfloat16. */
function upperHalves(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < halves.length; i++) halves[i] = (bits[i] ?? 0) >>> 16;
  return new Uint8Array(halves.buffer);
}
