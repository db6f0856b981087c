/** Writing a trained adapter: as the two files that peft loads, or merged into its base. */
import { invariant } from "../../schema/errors.ts";
import type { StepLog, TrainableTensor } from "../../schema/step-log.ts";
import type { Device } from "../devices/device.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { asTrained } from "../model/files/half.ts";
import type { Adapter } from "../model/adapters/adapter.ts";
import type { AnySeededAdapter } from "../model/adapters/all.ts";
import type { AdaptedModule, LoraAdapter } from "../model/adapters/lora.ts";
import { trainableTensors } from "../model/trainable.ts";
import { readOrigin } from "../model/files/origin.ts";
import { adapterConfigName, adapterWeightsName, peftConfig } from "../model/adapters/peft.ts";
import { readTensor, writeSafetensors } from "../model/files/safetensors.ts";
import type { OutputFile } from "../model/files/shards.ts";
import { roundedToBfloat16, widenedBfloat16 } from "../model/files/convert.ts";
import type { OutputOptions } from "./output.ts";
import { outputOf } from "./output.ts";
import type { ModelFilesOptions, ReplayOptions } from "./replay.ts";
import { trainedFiles } from "./replay.ts";
import { applyInParts } from "./timed-parts.ts";
import type { InitialWeights } from "./verify.ts";

/** The stored bytes of one tensor of an adapter. */
type ReadTensor = (tensor: TrainableTensor) => Promise<Uint8Array>;

/** The files of an adapter whose trained tensors `read` supplies. */
export async function* adapterFiles(
  base: ModelFolder,
  adapter: AnySeededAdapter,
  read: ReadTensor,
  options: OutputOptions = {},
): AsyncGenerator<OutputFile> {
  const chunks = async function* chunks(tensor: TrainableTensor) {
    yield await read(tensor);
  };
  const output = outputOf({ tensors: adapter.tensors, read: chunks }, options);
  yield { name: adapterWeightsName, bytes: writeSafetensors(output.tensors, output.read) };
  const source = (await readOrigin(base.path))?.source;
  const name = source === undefined || "path" in source ? null : source.repository;
  const config = peftConfig(base.architecture, adapter, name);
  yield { name: adapterConfigName, bytes: jsonBytes(config) };
}

async function* jsonBytes(value: object): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

/** The files of the adapter that a log trains, rebuilt by the update that trained it. */
export function replayedAdapterFiles(
  base: ModelFolder,
  adapter: AnySeededAdapter,
  log: StepLog,
  device: Device,
  { onPiece, beforePart, ...options }: ReplayOptions = {},
): AsyncGenerator<OutputFile> {
  const read = async (tensor: TrainableTensor) => {
    const bytes = await adapter.read(tensor);
    const { name, dtype } = tensor;
    const piece = { name, dtype, first: 0, bytes };
    await applyInParts(log.entries, (part) => device.replay(piece, part, log.header.noise), beforePart);
    onPiece?.(tensor, bytes);
    return bytes;
  };
  return adapterFiles(base, adapter, read, options);
}

/** The adapter at its start, for verification. Keeps the tensor read last, since elements are read tensor by tensor. */
export function initialAdapter(adapter: Adapter): InitialWeights {
  let last: { readonly name: string; readonly bytes: Uint8Array } | null = null;
  return {
    async read(tensor, first, count) {
      const { name, dtype } = tensor;
      const { bytes } = last?.name === name ? last : (last = { name, bytes: await adapter.read(tensor) });
      const size = dtype === "BF16" ? 2 : 4;
      return bytes.slice(first * size, (first + count) * size);
    },
    close: () => Promise.resolve(),
  };
}

/** The tensors of the base that a merge changes. */
export function mergedTensors(base: ModelFolder, adapter: LoraAdapter): TrainableTensor[] {
  const changed = new Set(adapter.modules.map(({ weight }) => base.locations.get(weight)?.name));
  return trainableTensors(base).filter(({ name }) => changed.has(name));
}

/**
 * The files of the merged model: W + scale * B A replaces W. The product is summed in float64 and the result rounded to
 * float32, then to the dtype of the base, or the one asked for; each to the nearest value. In bfloat16, most of a small adapter
 * is lost to that rounding.
 */
export function mergedFiles(
  base: ModelFolder,
  adapter: LoraAdapter,
  options: ModelFilesOptions = {},
): AsyncGenerator<OutputFile> {
  const wide = options.dtype != null;
  const tensors = mergedTensors(base, adapter).map((tensor) => (wide ? { ...tensor, dtype: "F32" as const } : tensor));
  const modules = new Map(adapter.modules.map((module) => [base.locations.get(module.weight)?.name, module]));
  const read = async (name: string): Promise<Uint8Array> => {
    const [module, location] = [modules.get(name), base.tensors.find((tensor) => tensor.name === name)];
    invariant(module && location, `${name} is the weight of an adapted layer`);
    const stored = asTrained(location, await readTensor(location));
    const isHalf = location.dtype === "BF16";
    const values = isHalf ? widenedBfloat16(new Uint16Array(stored.buffer)) : new Float32Array(stored.buffer);
    merge(values, module, await valuesOf(adapter, module.a), await valuesOf(adapter, module.b));
    return isHalf && !wide ? roundedToBfloat16(values) : new Uint8Array(values.buffer);
  };
  return trainedFiles(base, tensors, read, options);
}

async function valuesOf(adapter: Adapter, tensor: TrainableTensor): Promise<Float32Array> {
  const bytes = await adapter.read(tensor);
  return tensor.dtype === "BF16" ? widenedBfloat16(new Uint16Array(bytes.buffer)) : new Float32Array(bytes.buffer);
}

/** Adds scale * B A to W in place, summing over the rank in order. */
function merge(w: Float32Array, module: AdaptedModule, a: Float32Array, b: Float32Array): void {
  const { inputs, outputs, layout, scale } = module;
  const rank = b.length / outputs;
  const [stepOut, stepIn] = layout === "out-in" ? [inputs, 1] : [1, outputs];
  const row = new Float64Array(inputs);
  for (let out = 0; out < outputs; out++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = b[out * rank + k] ?? NaN;
      for (let i = 0; i < inputs; i++) row[i] = (row[i] ?? NaN) + factor * (a[k * inputs + i] ?? NaN);
    }
    for (let i = 0; i < inputs; i++) {
      const at = out * stepOut + i * stepIn;
      w[at] = (w[at] ?? NaN) + scale * (row[i] ?? NaN);
    }
  }
}
