/**
 * A base model on disk: a folder in Hugging Face layout, fully checked before anything is computed from it. Its base hash
 * (docs/STEP_LOG.md) identifies it.
 */
import { createHash } from "node:crypto";
import { access, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { InputIssue } from "../../../schema/errors.ts";
import { SteplogError, invariant } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import { configureModel } from "../families/all.ts";
import type { Architecture, TensorDefinition } from "../families/family.ts";
import { tensorsDigest } from "./digest.ts";
import type { TensorLocation } from "./safetensors.ts";
import { readSafetensorsHeader, readTensorChunks } from "./safetensors.ts";
import { indexName, weightsName } from "./shards.ts";

export interface ModelFolder {
  readonly path: string;
  readonly config: unknown;
  readonly architecture: Architecture;
  /** All tensors in the files, in order of name. */
  readonly tensors: readonly TensorLocation[];
  /** Where the tensor of each definition of the architecture is stored, by the definition's name. */
  readonly locations: ReadonlyMap<string, TensorLocation>;
}

/** Where the tensor of a definition is stored. */
export function locationOf({ locations }: ModelFolder, name: string): TensorLocation {
  const location = locations.get(name);
  invariant(location, `${name} was matched when the folder was opened`);
  return location;
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });
const floatDtypes = ["F32", "BF16", "F16"];

/**
 * @throws NOT_FOUND if there is no such folder; MODEL_INVALID for a missing, damaged or unexpected tensor, or a shape that
 *   does not fit the config; MODEL_UNSUPPORTED for a family or field that Steplog does not implement
 */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  const { config, architecture } = await readModelConfig(path);
  const tensors = await readTensorLocations(path);
  return { path, config, architecture, tensors, locations: matchTensors(path, architecture, tensors) };
}

/** Only the config of a folder. @throws as openModelFolder does */
export async function readModelConfig(path: string): Promise<Pick<ModelFolder, "config" | "architecture">> {
  const config = await readJson(path, "config.json");
  return { config, architecture: configureModel(config) };
}

async function readJson(folder: string, name: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(join(folder, name), "utf8");
  } catch (cause) {
    const found = await exists(folder);
    const what = found ? `${folder} has no ${name}` : `There is no folder ${folder}`;
    const advice = "Give a folder in Hugging Face layout: config.json, model.safetensors, tokenizer.json.";
    throw new SteplogError(found ? "MODEL_INVALID" : "NOT_FOUND", `${what}. ${advice}`, [], { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SteplogError("MODEL_INVALID", `${join(folder, name)} is not JSON.`, [], { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function readTensorLocations(folder: string): Promise<TensorLocation[]> {
  const sharded = await exists(join(folder, indexName));
  const tensors = sharded ? await readShards(folder) : await readSingleFile(folder);
  return tensors.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

async function readSingleFile(folder: string): Promise<TensorLocation[]> {
  const path = join(folder, weightsName);
  if (await exists(path)) return readSafetensorsHeader(path);
  const pickled = (await readdir(folder)).filter((name) => /\.(?:bin|pt|pth)$/u.test(name));
  const advice =
    pickled.length > 0
      ? `It has ${pickled.join(", ")}, pickled code that Steplog never runs. Save the model with safe_serialization=True.`
      : "Give a folder in Hugging Face layout.";
  throw new SteplogError("MODEL_INVALID", `${folder} has no ${weightsName}. ${advice}`);
}

/**
 * Reads the index of a folder's shards: the file of each tensor, by the tensor's name.
 * @throws MODEL_INVALID if it is damaged or names a file outside its folder
 */
export async function readShardIndex(folder: string): Promise<Map<string, string>> {
  const parsed = indexSchema.safeParse(await readJson(folder, indexName));
  if (!parsed.success) {
    throw new SteplogError("MODEL_INVALID", `${folder}/${indexName} has no weight_map from tensor names to files.`);
  }
  const map = new Map(Object.entries(parsed.data.weight_map));
  for (const file of map.values()) refuseForeignPath(folder, file);
  return map;
}

async function readShards(folder: string): Promise<TensorLocation[]> {
  const map = await readShardIndex(folder);
  const found: TensorLocation[] = [];
  for (const file of new Set(map.values())) {
    if (!(await exists(join(folder, file)))) {
      throw new SteplogError("MODEL_INVALID", `${folder} has no ${file}, which its index lists.`);
    }
    found.push(...(await readSafetensorsHeader(join(folder, file))));
  }
  const missing = [...map.keys()].find((name) => !found.some((tensor) => tensor.name === name));
  if (missing !== undefined) {
    throw new SteplogError(
      "MODEL_INVALID",
      `Tensor ${missing} is not in ${map.get(missing)}, where the index puts it.`,
    );
  }
  const doubled = found.find((tensor, index) => found.findIndex((other) => other.name === tensor.name) !== index);
  if (doubled) throw new SteplogError("MODEL_INVALID", `Tensor ${doubled.name} is in two files of ${folder}.`);
  return found;
}

/** An index is untrusted input: it may only name files in its own folder. */
function refuseForeignPath(folder: string, file: string): void {
  if (!/^[\w.-]+$/u.test(file) || file.startsWith("..")) {
    throw new SteplogError(
      "MODEL_INVALID",
      `${folder}'s index names ${JSON.stringify(file)}, which is not a plain file name.`,
    );
  }
}

function matchTensors(
  folder: string,
  architecture: Architecture,
  tensors: readonly TensorLocation[],
): Map<string, TensorLocation> {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const locations = new Map<string, TensorLocation>();
  const issues: InputIssue[] = [];
  for (const definition of architecture.tensors) {
    const stored = architecture.storedNames(definition.name).find((name) => byName.has(name));
    const tensor = stored === undefined ? undefined : byName.get(stored);
    const message = tensor ? misfit(definition, tensor) : `tensor ${definition.name} is missing`;
    if (message !== null) issues.push({ field: definition.name, message });
    else if (tensor) locations.set(definition.name, tensor);
  }
  const read = new Set([...locations.values()].map((tensor) => tensor.name));
  for (const { name } of tensors) {
    const wanted = architecture.tensors.some((definition) => architecture.storedNames(definition.name).includes(name));
    if (!read.has(name) && !wanted && !architecture.ignores(name)) {
      issues.push({ field: name, message: `tensor ${name} is not part of the model in config.json` });
    }
  }
  throwIfAny(folder, issues);
  return locations;
}

function misfit(definition: TensorDefinition, tensor: TensorLocation): string | null {
  if (!floatDtypes.includes(tensor.dtype)) {
    return `tensor ${tensor.name} has dtype ${tensor.dtype}; Steplog reads ${floatDtypes.join(", ")}`;
  }
  if (tensor.shape.join() === definition.shape.join()) return null;
  return `tensor ${tensor.name} has shape [${tensor.shape.join(",")}], and the config needs [${definition.shape.join(",")}]`;
}

function throwIfAny(folder: string, issues: readonly InputIssue[]): void {
  const [first] = issues;
  if (!first) return;
  const more = issues.length > 1 ? ` and ${issues.length - 1} more` : "";
  const message = `The weights in ${folder} do not fit its config.json: ${first.message}${more}.`;
  throw new SteplogError("MODEL_INVALID", message, issues.slice(0, limits.issuesReported));
}

/** The base hash: the digest of all tensors, in order of name. `onBytes` is told of every chunk hashed. */
export async function baseHash(folder: ModelFolder, onBytes?: (bytes: number) => void): Promise<string> {
  const sha256 = new Map<string, string>();
  for (const tensor of folder.tensors) {
    const bytes = createHash("sha256");
    for await (const chunk of readTensorChunks(tensor)) {
      bytes.update(chunk);
      onBytes?.(chunk.length);
    }
    sha256.set(tensor.name, bytes.digest("hex"));
  }
  return tensorsDigest(folder.tensors, sha256);
}

/** Bytes of all tensors together. */
export function modelBytes(folder: ModelFolder): number {
  return folder.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
}

/** Number of parameters that the model uses. */
export function parameterCount(folder: ModelFolder): number {
  return folder.architecture.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}
