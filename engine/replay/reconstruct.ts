/**
 * Rebuilds a fine-tuned model as a folder: the base with new weights, in Hugging Face layout; an adapter, in peft's format; or
 * the base with the adapter merged. A folder appears only when it is complete.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { initialAdapter, mergedFiles, mergedTensors, replayedAdapterFiles } from "./adapter-files.ts";
import type { Device } from "../devices/device.ts";
import { copyCompanions, dtypeOfTrained } from "../model/files/companions.ts";
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
import { TensorHashes, inDtype } from "./output.ts";
import { matchBase, outputTensors, replayedFiles } from "./replay.ts";
import type { OnProgress, Verification, WrittenWeights } from "./verify.ts";
import { initialBase, verifyWeights } from "./verify.ts";

export interface WrittenModel extends WrittenWeights {
  readonly files: readonly WrittenFile[];
  /** Weights digest, hex: of the trained tensors before any conversion, so that it is the one that the training had. */
  readonly digest: string;
  /** The digest of all tensors that were written, hex: of a whole model its base hash. */
  readonly filesDigest: string;
}

interface WriteOptions {
  /** The dtype of all tensors, instead of those of training and of the base. */
  readonly dtype?: OutputDtype | null | undefined;
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
  { dtype = null, shardBytes, onProgress, beforePart }: WriteOptions = {},
): Promise<WrittenModel> {
  const { trainable } = log.header;
  const adapter = adapterOfLog(base, log.header);
  const [asTrained, asWritten] = [new TensorHashes(), new TensorHashes()];
  const tensors = adapter ? trainable : outputTensors(base, trainable);
  const total = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  let replayed = 0;
  const onPiece = (tensor: TensorInfo, bytes: Uint8Array) => {
    asTrained.add(tensor, bytes);
    onProgress?.("replaying", (replayed += bytes.length), total);
  };
  const options = { onPiece, beforePart, shardBytes, dtype, ...(dtype !== null && { onWritten: asWritten.add }) };
  const files = await writeFiles(
    folder,
    adapter ? replayedAdapterFiles(base, adapter, log, device, options) : replayedFiles(base, log, device, options),
  );
  const trained = asTrained.end();
  const sha256 = dtype === null ? trained : asWritten.end();
  const filesDigest = tensorsDigest(inDtype(tensors, dtype), sha256);
  return { files, sha256, digest: tensorsDigest(trainable, trained), filesDigest };
}

export interface Reconstruction {
  /** Hex. */
  readonly chain: string;
  /** Weights digest, hex: of the weights as they were trained, before any merge and conversion. */
  readonly digest: string;
  /** The digest of all tensors in the folder, hex. Of a whole model it is its base hash, as `steplog hash` prints it. */
  readonly filesDigest: string;
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
  /** Converts all tensors that are written. The log's digest is that of the weights before. */
  readonly dtype?: OutputDtype | null;
  readonly shardBytes?: number;
  readonly onProgress?: OnProgress;
}

/**
 * Writes the folder of the fine-tuned model, and checks it if `verify` is set (verify.ts).
 * @throws BASE_MISMATCH, LOG_INVALID; CONFLICT if `out` exists and `replace` is not set; INVALID_ARGUMENT for a merge without a
 *   LoRA adapter, or a weight that `dtype` cannot hold
 */
export async function reconstruct(options: ReconstructOptions): Promise<Reconstruction> {
  const { base, log, out, onProgress, merge = false, dtype = null } = options;
  if (merge) refuseMerge(log);
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
    const rebuilt = await rebuild(options, adapter, merge ? unmerged : partial);
    const { digest, verified } = rebuilt;
    const { files, filesDigest } = merge ? await writeMerged(options, unmerged, partial) : rebuilt;
    const entries = log.entries.length;
    const chain = Buffer.from(log.chain).toString("hex");
    const origin = { entries, chain, digest, merged: merge, dtype };
    await writeOrigin(partial, await fineTunedOrigin(base.path, log.header.base, origin));
    if (options.replace) await rm(out, { recursive: true, force: true });
    await rename(partial, out);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return { chain, digest, filesDigest, entries, bytes, verified };
  } finally {
    await clear();
  }
}

/** @throws INVALID_ARGUMENT for a log that trains no LoRA adapter */
export function refuseMerge({ header: { lora, prefix } }: Pick<StepLog, "header">): void {
  if (lora) return;
  const what = prefix ? "a prefix, which cannot be merged into the weights" : "the model itself";
  throw new SteplogError("INVALID_ARGUMENT", `The log trains ${what}: there is no adapter to merge.`);
}

/** Replays into a new folder, and checks it if `verify` is set. An adapter that is to be merged stays as it was trained. */
async function rebuild(
  { base, log, device, verify, merge, dtype: asked = null, shardBytes, onProgress }: ReconstructOptions,
  adapter: Adapter | null,
  folder: string,
): Promise<WrittenModel & { verified: Verification | null }> {
  const dtype = merge ? null : asked;
  await mkdir(folder, { recursive: true });
  if (!adapter) await copyCompanions(base, dtype ?? dtypeOfTrained(base, log.header.trainable), folder);
  const written = await writeReplayed(base, log, device, folder, { dtype, shardBytes, onProgress });
  if (!verify) return { ...written, verified: null };
  const tensors = adapter
    ? await readSafetensorsHeader(join(folder, adapterWeightsName))
    : (await openModelFolder(folder)).tensors;
  const initial = adapter ? initialAdapter(adapter) : initialBase(base.tensors);
  const extent = verify === "all" ? "all" : "affordable";
  return { ...written, verified: await verifyWeights(tensors, written, initial, log, extent, onProgress) };
}

export interface MergeOptions extends Pick<WriteOptions, "dtype" | "shardBytes"> {
  readonly base: ModelFolder;
  /** Called with every piece that is written; what it throws ends the merge. */
  readonly onWritten?: () => void;
  /** Which files of the base are copied, by name; all when left out. */
  readonly companions?: (name: string) => boolean;
}

export interface MergedModel extends Pick<WrittenModel, "files" | "filesDigest"> {
  /** Paths of the copies of the base's other files. */
  readonly companions: readonly string[];
}

/** Writes the base with the LoRA adapter in `adapterFolder` merged. */
export async function writeMerged(
  { base, dtype = null, shardBytes, onWritten, companions: wanted }: MergeOptions,
  adapterFolder: string,
  folder: string,
): Promise<MergedModel> {
  await mkdir(folder, { recursive: true });
  const adapter = await openAdapter(adapterFolder, base.architecture);
  invariant(adapter.kind === "lora", "only LoRA adapters are merged");
  const merged = mergedTensors(base, adapter);
  const companions = await copyCompanions(base, dtype ?? dtypeOfTrained(base, merged), folder, wanted);
  const hashes = new TensorHashes();
  const onPiece = (tensor: TensorInfo, bytes: Uint8Array) => {
    hashes.add(tensor, bytes);
    onWritten?.();
  };
  const files = await writeFiles(folder, mergedFiles(base, adapter, { dtype, shardBytes, onWritten: onPiece }));
  const filesDigest = tensorsDigest(inDtype(outputTensors(base, merged), dtype), hashes.end());
  return { files, filesDigest, companions };
}

async function refuseExisting(base: string, out: string, replace: boolean): Promise<void> {
  const present: string[] = await readdir(out).catch(() => []);
  if (present.includes("config.json") && out === base) {
    throw new SteplogError("INVALID_ARGUMENT", "The output folder is the base itself. Give another folder.");
  }
  if (present.length === 0 || replace) return;
  throw new SteplogError("CONFLICT", `${out} is not empty. Give another folder, or pass --force to replace it.`);
}
