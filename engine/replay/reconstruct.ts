/**
 * Rebuilds a fine-tuned model as a folder: the base with new weights, in Hugging Face layout; an adapter, in peft's format; or
 * the base with the adapter merged. A folder appears only when it is complete.
 */
import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { initialAdapter, mergedFiles, mergedTensors, replayedAdapterFiles } from "./adapter-files.ts";
import type { Device } from "../devices/device.ts";
import { copyCompanions } from "../model/files/companions.ts";
import { tensorsDigest } from "../model/files/digest.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { baseHash, modelBytes, openModelFolder } from "../model/files/folder.ts";
import type { Adapter } from "../model/adapters/adapter.ts";
import { adapterOfLog } from "../model/adapters/all.ts";
import { fineTunedOrigin, writeOrigin } from "../model/files/origin.ts";
import { adapterWeightsName, openAdapter } from "../model/adapters/peft.ts";
import { partialFolder } from "../model/files/partial.ts";
import type { TensorInfo } from "../model/files/safetensors.ts";
import { bytesOf, readSafetensorsHeader } from "../model/files/safetensors.ts";
import type { WrittenFile } from "../model/files/shards.ts";
import { writeFiles } from "../model/files/shards.ts";
import { matchBase, outputTensors, replayedFiles } from "./replay.ts";
import type { OnProgress, Verification, WrittenWeights } from "./verify.ts";
import { initialBase, verifyWeights } from "./verify.ts";

export interface WrittenModel extends WrittenWeights {
  readonly files: readonly WrittenFile[];
  /** Weights digest, hex. */
  readonly digest: string;
}

interface WriteOptions {
  readonly shardBytes?: number | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** As ReplayOptions has it. */
  readonly beforePart?: (() => Promise<void>) | undefined;
}

/**
 * Writes the files of replayed weights into a folder: a model's, or an adapter's if the log trains one. Tensors are hashed on
 * the way, so no file is read again.
 */
export async function writeReplayed(
  base: ModelFolder,
  log: StepLog,
  device: Device,
  folder: string,
  { shardBytes, onProgress, beforePart }: WriteOptions = {},
): Promise<WrittenModel> {
  const { trainable } = log.header;
  const adapter = adapterOfLog(base, log.header);
  const hashes = new Map<string, Hash>();
  const tensors = adapter ? trainable : outputTensors(base, trainable);
  const total = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  let replayed = 0;
  const onPiece = ({ name }: TensorInfo, bytes: Uint8Array) => {
    hashes.set(name, (hashes.get(name) ?? createHash("sha256")).update(bytes));
    onProgress?.("replaying", (replayed += bytes.length), total);
  };
  const files = await writeFiles(
    folder,
    adapter
      ? replayedAdapterFiles(base, adapter, log, device, onPiece, beforePart)
      : replayedFiles(base, log, device, { onPiece, beforePart, ...(shardBytes !== undefined && { shardBytes }) }),
  );
  const sha256 = new Map([...hashes].map(([name, hash]) => [name, hash.digest("hex")]));
  return { files, sha256, digest: tensorsDigest(trainable, sha256) };
}

export interface Reconstruction {
  /** Hex. */
  readonly chain: string;
  /** Weights digest, hex. */
  readonly digest: string;
  readonly entries: number;
  /** Size of the weight files together. */
  readonly bytes: number;
  readonly verified: Verification | null;
}

export interface ReconstructOptions {
  readonly base: ModelFolder;
  readonly log: StepLog;
  readonly out: string;
  readonly device: Device;
  readonly verify: boolean | "all";
  readonly replace: boolean;
  /** For the log of a LoRA adapter: writes the whole model with the adapter merged. */
  readonly merge?: boolean;
  readonly shardBytes?: number;
  readonly onProgress?: OnProgress;
}

/**
 * Writes the folder of the fine-tuned model, and checks it if `verify` is set (verify.ts).
 * @throws BASE_MISMATCH, LOG_INVALID; CONFLICT if `out` exists and `replace` is not set; INVALID_ARGUMENT for a merge without a
 *   LoRA adapter
 */
export async function reconstruct(options: ReconstructOptions): Promise<Reconstruction> {
  const { base, log, out, onProgress } = options;
  if (options.merge && !log.header.lora) {
    const what = log.header.prefix ? "a prefix, which cannot be merged into the weights" : "the model itself";
    throw new SteplogError("INVALID_ARGUMENT", `The log trains ${what}: there is no adapter to merge.`);
  }
  await refuseExisting(base.path, out, options.replace);
  let hashed = 0;
  const onBytes = (bytes: number) => onProgress?.("hashing", (hashed += bytes), modelBytes(base));
  matchBase(base, log.header, await baseHash(base, onBytes));
  const adapter = adapterOfLog(base, log.header);

  const partial = await partialFolder(out);
  const unmerged = `${partial}-adapter`;
  const clear = () => Promise.all([partial, unmerged].map((path) => rm(path, { recursive: true, force: true })));
  await clear();
  try {
    const written = await rebuild(options, adapter, options.merge ? unmerged : partial);
    const files = options.merge ? await merge(options, unmerged, partial) : written.files;
    const entries = log.entries.length;
    const chain = Buffer.from(log.chain).toString("hex");
    await writeOrigin(partial, await fineTunedOrigin(base.path, log.header.base, { entries, chain, ...written }));
    if (options.replace) await rm(out, { recursive: true, force: true });
    await rename(partial, out);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return { chain, digest: written.digest, entries, bytes, verified: written.verified };
  } finally {
    await clear();
  }
}

/** Replays into a new folder, and checks it if `verify` is set. */
async function rebuild(
  { base, log, device, verify, shardBytes, onProgress }: ReconstructOptions,
  adapter: Adapter | null,
  folder: string,
): Promise<WrittenModel & { verified: Verification | null }> {
  await mkdir(folder, { recursive: true });
  if (!adapter) await copyCompanions(base, log.header.trainable, folder);
  const written = await writeReplayed(base, log, device, folder, { shardBytes, onProgress });
  if (!verify) return { ...written, verified: null };
  const tensors = adapter
    ? await readSafetensorsHeader(join(folder, adapterWeightsName))
    : (await openModelFolder(folder)).tensors;
  const initial = adapter ? initialAdapter(adapter) : initialBase(base.tensors);
  const extent = verify === "all" ? "all" : "affordable";
  return { ...written, verified: await verifyWeights(tensors, written, initial, log, extent, onProgress) };
}

/** Writes the base with the adapter in `adapterFolder` merged. */
async function merge(
  { base, shardBytes }: ReconstructOptions,
  adapterFolder: string,
  folder: string,
): Promise<readonly WrittenFile[]> {
  await mkdir(folder, { recursive: true });
  const adapter = await openAdapter(adapterFolder, base.architecture);
  invariant(adapter.kind === "lora", "only LoRA adapters are merged");
  await copyCompanions(base, mergedTensors(base, adapter), folder);
  return writeFiles(folder, mergedFiles(base, adapter, shardBytes));
}

async function refuseExisting(base: string, out: string, replace: boolean): Promise<void> {
  const present: string[] = await readdir(out).catch(() => []);
  if (present.includes("config.json") && out === base) {
    throw new SteplogError("INVALID_ARGUMENT", "The output folder is the base itself. Give another folder.");
  }
  if (present.length === 0 || replace) return;
  throw new SteplogError("CONFLICT", `${out} is not empty. Give another folder, or pass --force to replace it.`);
}
