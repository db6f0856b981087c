/**
 * A base model on disk: a folder in Hugging Face layout, fully checked before anything is computed from it. Its base hash
 * (docs/STEP_LOG.md) identifies it.
 */
import { createHash } from "node:crypto";
import { access, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { modelTextBytes, readModelText } from "../../../dataset/model-text.ts";
import { SteplogError, invariant } from "../../../schema/errors.ts";
import { configureModel } from "../families/all.ts";
import { endOfSequence, tokenIds } from "../families/config.ts";
import { tensorsDigest } from "./digest.ts";
import type { MatchedTensors } from "./matching.ts";
import { matchTensors } from "./matching.ts";
import { refuseQuantisedFiles, refuseQuantisedTensors } from "./quantised.ts";
import type { TensorLocation } from "./safetensors.ts";
import { readSafetensorsHeader, readTensorChunks } from "./safetensors.ts";
import { indexName, weightsName } from "./shards.ts";

export interface ModelFolder extends MatchedTensors<TensorLocation> {
  readonly path: string;
  readonly config: unknown;
  /** Tokens that end a text. */
  readonly endOfSequence: readonly number[];
  /** All tensors in the files, in order of name. */
  readonly tensors: readonly TensorLocation[];
}

/** Where the tensor of a definition is stored. */
export function locationOf({ locations }: ModelFolder, name: string): TensorLocation {
  const location = locations.get(name);
  invariant(location, `${name} was matched when the folder was opened`);
  return location;
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Opens a folder. `onRead` is told of every file and every few megabytes that were read.
 * @throws NOT_FOUND if there is no such folder; MODEL_INVALID for a missing, damaged or unexpected tensor, or a shape that
 *   does not fit the config; MODEL_UNSUPPORTED for a family or field that Steplog does not implement
 */
export async function openModelFolder(path: string, onRead: () => void = () => {}): Promise<ModelFolder> {
  const { config, architecture } = await readModelConfig(path);
  const tensors = await readTensorLocations(path, onRead);
  refuseQuantisedTensors(path, tensors);
  const matched = await matchTensors(path, architecture, tensors, (tensor) => readReporting(tensor, onRead));
  const ends = (await readGenerationEnds(path)) ?? architecture.endOfSequence;
  return { path, config, tensors, endOfSequence: ends, ...matched };
}

/** A table that is stored twice may have gigabytes. */
async function* readReporting(tensor: TensorLocation, onRead: () => void): AsyncGenerator<Uint8Array, undefined> {
  for await (const chunk of readTensorChunks(tensor)) {
    onRead();
    yield chunk;
  }
}

/** The ids in generation_config.json, which count instead of the config's, as in transformers; null if it names none. */
async function readGenerationEnds(path: string): Promise<readonly number[] | null> {
  if (!(await exists(join(path, generationName)))) return null;
  const parsed = generationSchema.safeParse(await readJson(path, generationName));
  if (parsed.success) return parsed.data.eos_token_id == null ? null : endOfSequence(parsed.data.eos_token_id);
  const message = "eos_token_id is neither a token id nor a list of token ids";
  throw new SteplogError("MODEL_INVALID", `${join(path, generationName)}: ${message}.`, [
    { field: "eos_token_id", message },
  ]);
}

const generationName = "generation_config.json";
const generationSchema = z.object({ eos_token_id: tokenIds });

/** Only the config of a folder. @throws as openModelFolder does */
export async function readModelConfig(path: string): Promise<Pick<ModelFolder, "config" | "architecture">> {
  const config = await readJson(path, "config.json");
  return { config, architecture: configureModel(config) };
}

async function readJson(folder: string, name: string, limit: number = modelTextBytes.config): Promise<unknown> {
  const text = await readText(folder, name, limit);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SteplogError("MODEL_INVALID", `${join(folder, name)} is not JSON.`, [], { cause });
  }
}

async function readText(folder: string, name: string, limit: number): Promise<string> {
  await refuseNoFolder(folder);
  const text = await readModelText(join(folder, name), limit);
  if (text !== null) return text;
  throw new SteplogError("MODEL_INVALID", `${folder} has no ${name}. ${folderAdvice}`);
}

const folderAdvice = "Give a folder in Hugging Face layout: config.json, model.safetensors, tokenizer.json.";

/** @throws NOT_FOUND if nothing is there; MODEL_INVALID for a file */
export async function refuseNoFolder(path: string, advice = folderAdvice): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) return;
  const what = found ? `${path} is a file, not a folder` : `There is no folder ${path}`;
  throw new SteplogError(found ? "MODEL_INVALID" : "NOT_FOUND", `${what}. ${advice}`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function readTensorLocations(folder: string, onRead: () => void): Promise<TensorLocation[]> {
  // A single file counts before shards, as in transformers: saving a smaller model over a sharded one leaves the index there.
  const sharded = !(await exists(join(folder, weightsName))) && (await exists(join(folder, indexName)));
  const tensors = sharded ? await readShards(folder, onRead) : await readSingleFile(folder);
  return tensors.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

async function readSingleFile(folder: string): Promise<TensorLocation[]> {
  const path = join(folder, weightsName);
  if (await exists(path)) return readSafetensorsHeader(path);
  const names = await readdir(folder);
  refuseQuantisedFiles(folder, names);
  throw new SteplogError("MODEL_INVALID", `${folder} has no ${weightsName}. ${adviceFor(names)}`);
}

function adviceFor(names: readonly string[]): string {
  const pickled = names.filter((name) => /\.(?:bin|pt|pth|ckpt)$/u.test(name)).slice(0, 3);
  if (pickled.some((name) => /^pytorch_model[\w.-]*\.bin$/u.test(name))) {
    return `It has ${pickled.join(", ")}, which steplog model add turns into safetensors, without running code.`;
  }
  if (pickled.length > 0) {
    return `It has ${pickled.join(", ")}. Load it with transformers and save it with safe_serialization=True.`;
  }
  const shards = names.filter((name) => name.endsWith(".safetensors")).slice(0, 3);
  if (shards.length > 0) return `It has ${shards.join(", ")}, without the index of shards, ${indexName}.`;
  return "Give a folder in Hugging Face layout.";
}

/**
 * Reads the index of a folder's shards: the file of each tensor, by the tensor's name.
 * @throws MODEL_INVALID if it is damaged or names a file outside its folder
 */
export async function readShardIndex(folder: string, name = indexName): Promise<Map<string, string>> {
  const parsed = indexSchema.safeParse(await readJson(folder, name, modelTextBytes.index));
  if (!parsed.success) {
    throw new SteplogError("MODEL_INVALID", `${folder}/${name} has no weight_map from tensor names to files.`);
  }
  const map = new Map(Object.entries(parsed.data.weight_map));
  for (const file of map.values()) refuseForeignPath(folder, file);
  return map;
}

async function readShards(folder: string, onRead: () => void): Promise<TensorLocation[]> {
  const map = await readShardIndex(folder);
  const found: TensorLocation[] = [];
  for (const file of new Set(map.values())) {
    if (!(await exists(join(folder, file)))) {
      throw new SteplogError("MODEL_INVALID", `${folder} has no ${file}, which its index lists.`);
    }
    for (const tensor of await readSafetensorsHeader(join(folder, file))) found.push(tensor);
    onRead();
  }
  const names = new Set(found.map(({ name }) => name));
  const missing = [...map.keys()].find((name) => !names.has(name));
  if (missing !== undefined) {
    throw new SteplogError(
      "MODEL_INVALID",
      `Tensor ${missing} is not in ${map.get(missing)}, where the index puts it.`,
    );
  }
  const doubled = found.find(({ name }) => !names.delete(name));
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
