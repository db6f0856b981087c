/**
 * Folders whose weights are pytorch_model.bin, or shards of it with their index. In the models folder they become safetensors:
 * the tensors of the model under their stored names, in order of name, so that the same weights have one base hash. A copy of
 * a tied head, which PyTorch's files always have, is left out, as transformers does when it saves.
 */
import { join } from "node:path";
import { readModelConfig, readShardIndex } from "../../engine/model/files/folder.ts";
import { matchTensors } from "../../engine/model/files/matching.ts";
import { refuseQuantisedTensors } from "../../engine/model/files/quantised.ts";
import { bytesOf } from "../../engine/model/files/safetensors.ts";
import { indexName, weightsName, writeFiles, writeModelFiles } from "../../engine/model/files/shards.ts";
import { SteplogError } from "../../schema/errors.ts";
import { needSpace } from "../space.ts";
import type { PyTorchTensor } from "./tensors.ts";
import { readPyTorchHeader, readPyTorchTensor } from "./tensors.ts";

export const pyTorchName = "pytorch_model.bin";
export const pyTorchIndexName = `${pyTorchName}.index.json`;

/** Whether a folder with these files has its weights in PyTorch's files alone. */
export function isPyTorchFolder(names: readonly string[]): boolean {
  const has = (name: string) => names.includes(name);
  return !has(weightsName) && !has(indexName) && (has(pyTorchName) || has(pyTorchIndexName));
}

/** The tensors of a model in PyTorch's files. */
export interface PyTorchModel {
  readonly tensors: readonly PyTorchTensor[];
  readonly files: ReadonlySet<string>;
}

/** @throws as openModelFolder; MODEL_INVALID for a file with anything but tensors */
export async function openPyTorchModel(folder: string, names: readonly string[]): Promise<PyTorchModel> {
  const { architecture } = await readModelConfig(folder);
  const files = await pyTorchFiles(folder, names);
  const tensors: PyTorchTensor[] = [];
  for (const file of files) tensors.push(...(await readPyTorchHeader(join(folder, file))));
  refuseDoubles(folder, tensors);
  refuseQuantisedTensors(folder, tensors);
  const { locations } = await matchTensors(folder, architecture, tensors, readPyTorchTensor);
  const byName = (a: PyTorchTensor, b: PyTorchTensor) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
  return { tensors: [...new Set(locations.values())].toSorted(byName), files };
}

/** As with safetensors, a single file counts before shards. */
export async function pyTorchFiles(folder: string, names: readonly string[]): Promise<ReadonlySet<string>> {
  if (names.includes(pyTorchName)) return new Set([pyTorchName]);
  const files = new Set((await readShardIndex(folder, pyTorchIndexName)).values());
  const missing = [...files].find((file) => !names.includes(file));
  if (missing === undefined) return files;
  throw new SteplogError("MODEL_INVALID", `${folder} has no ${missing}, which its index lists.`);
}

function refuseDoubles(folder: string, tensors: readonly PyTorchTensor[]): void {
  const names = new Set(tensors.map(({ name }) => name));
  const doubled = tensors.find(({ name }) => !names.delete(name));
  if (doubled) throw new SteplogError("MODEL_INVALID", `Tensor ${doubled.name} is in two files of ${folder}.`);
}

/** Writes the tensors as safetensors into a folder. @throws UNAVAILABLE without space for them */
export async function writeAsSafetensors(
  { tensors }: PyTorchModel,
  to: string,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const total = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  await needSpace(to, total);
  let done = 0;
  const read = async function* read(tensor: PyTorchTensor): AsyncGenerator<Uint8Array> {
    for await (const chunk of readPyTorchTensor(tensor)) {
      yield chunk;
      onProgress((done += chunk.length), total);
    }
  };
  await writeFiles(to, writeModelFiles(tensors, read));
}
