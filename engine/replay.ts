/**
 * From a base model and a log to the fine-tuned weights, bit for bit. Each tensor is read, taken through all entries by
 * the device's update, the same that trained it, and written; no database, no network, no forward pass.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError } from "../schema/errors.ts";
import type { StepLog, StepLogHeader, TrainableTensor } from "../schema/step-log.ts";
import type { Device } from "./devices/device.ts";
import { createPlainDevice } from "./devices/plain.ts";
import type { ModelFolder } from "./model/folder.ts";
import { baseHash, hashLine, modelBytes, openModelFolder } from "./model/folder.ts";
import { readForTraining, trainableTensors } from "./model/model.ts";
import type { TensorInfo } from "./model/safetensors.ts";
import { readTensorChunks, writeSafetensors } from "./model/safetensors.ts";

/** Progress of long work: what is being done, and how much of it in bytes. */
export type OnProgress = (stage: "hashing" | "replaying" | "verifying", done: number, total: number) => void;

/**
 * Proves that a log belongs to a base.
 * @throws BASE_MISMATCH naming both hashes; LOG_INVALID when the log trains a tensor that the base does not have so.
 */
export async function matchBase(base: ModelFolder, header: StepLogHeader, onProgress?: OnProgress): Promise<void> {
  let done = 0;
  const total = modelBytes(base);
  const seen = await baseHash(base, (bytes) => onProgress?.("hashing", (done += bytes), total));
  if (seen !== header.base) {
    throw new SteplogError(
      "BASE_MISMATCH",
      `The log was made on the base model ${header.base}, and ${base.path} is ${seen}. Give the base it was made on.`,
    );
  }
  const known = new Map(trainableTensors(base).map((tensor) => [tensor.name, tensor]));
  const issues: InputIssue[] = header.trainable.flatMap(({ name, shape, dtype }) => {
    const tensor = known.get(name);
    if (tensor?.dtype === dtype && tensor.shape.join() === shape.join()) return [];
    return [{ field: name, message: `the base has no tensor ${name} of ${dtype} [${shape.join(",")}]` }];
  });
  if (issues[0]) throw new SteplogError("LOG_INVALID", `The log does not fit its base: ${issues[0].message}.`, issues);
}

/** A trained tensor after all entries, as stored bytes. */
async function replayTensor(base: ModelFolder, log: StepLog, device: Device, name: string): Promise<Uint8Array> {
  const tensor = base.tensors.find((candidate) => candidate.name === name);
  const trained = log.header.trainable.find((candidate) => candidate.name === name);
  if (!tensor || !trained) throw new SteplogError("LOG_INVALID", `Tensor ${name} is not one that the log trains.`);
  const weight = device.createWeight({ ...trained, trainable: true }, await readForTraining(tensor));
  try {
    device.update([weight], log.entries, log.header.noise);
    return await device.readWeight(weight);
  } finally {
    device.freeWeight(weight);
  }
}

/**
 * The bytes of model.safetensors after training: trained tensors from `read`, the others as they are in the base. Copies
 * of tied weights in the base are left out, since training made them stale.
 */
export function weightsFile(
  base: ModelFolder,
  trainable: readonly TrainableTensor[],
  read: (name: string) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const trained = new Map(trainable.map((tensor) => [tensor.name, tensor]));
  const kept = base.tensors.filter((tensor) => !base.architecture.ignores(tensor.name));
  const output = kept.map((tensor) => ({ location: tensor, ...(trained.get(tensor.name) ?? plainInfo(tensor)) }));
  return writeSafetensors(output, async function* chunks(tensor) {
    if (trained.has(tensor.name)) yield await read(tensor.name);
    else yield* readTensorChunks(tensor.location);
  });
}

function plainInfo({ name, dtype, shape }: TensorInfo): TensorInfo {
  return { name, dtype, shape };
}

/** The bytes of model.safetensors that a log makes of its base. */
export function replayedWeights(
  base: ModelFolder,
  log: StepLog,
  device: Device,
  onTensor?: (name: string, bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  return weightsFile(base, log.header.trainable, async (name) => {
    const bytes = await replayTensor(base, log, device, name);
    onTensor?.(name, bytes);
    return bytes;
  });
}

export interface Reconstruction {
  /** Hex. */
  readonly chain: string;
  /** Weights digest, hex. */
  readonly digest: string;
  readonly entries: number;
  readonly bytes: number;
}

/**
 * Writes the fine-tuned model as a whole folder in Hugging Face layout: the base's, with other weights. The folder
 * appears when it is complete. With `verify`, the weights are read back from the disk and compared, byte for byte, with
 * a second replay by the plain update.
 * @throws BASE_MISMATCH, LOG_INVALID; CONFLICT when `out` is there already and `replace` is not set
 */
export async function reconstruct(options: {
  base: ModelFolder;
  log: StepLog;
  out: string;
  device: Device;
  verify: boolean;
  replace: boolean;
  onProgress?: OnProgress;
}): Promise<Reconstruction> {
  const { base, log, out, device, onProgress } = options;
  await refuseExisting(base.path, out, options.replace);
  await matchBase(base, log.header, onProgress);

  const partial = join(dirname(out), `.${basename(out)}.partial-${process.pid}`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  try {
    await copyCompanions(base.path, partial);
    const written = await writeWeights(base, log, device, join(partial, "model.safetensors"), onProgress);
    if (options.verify) await verifyWritten(partial, base, log, onProgress);
    if (options.replace) await rm(out, { recursive: true, force: true });
    await rename(partial, out);
    return { ...written, chain: Buffer.from(log.chain).toString("hex"), entries: log.entries.length };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function refuseExisting(base: string, out: string, replace: boolean): Promise<void> {
  const present: string[] = await readdir(out).catch(() => []);
  if (present.includes("config.json") && out === base) {
    throw new SteplogError("INVALID_ARGUMENT", "The output folder is the base itself. Give another.");
  }
  if (present.length === 0 || replace) return;
  throw new SteplogError("CONFLICT", `${out} is not empty. Give another folder, or --force to replace it.`);
}

/** Everything of a model folder but its weights: config, tokenizer, generation config, licence. */
async function copyCompanions(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const weights = /\.(?:safetensors|bin|pt|pth|h5|msgpack|gguf|onnx)$|\.index\.json$/u.test(entry.name);
    if (entry.isDirectory() || weights) continue;
    await cp(join(from, entry.name), join(to, entry.name));
  }
}

async function writeWeights(
  base: ModelFolder,
  log: StepLog,
  device: Device,
  path: string,
  onProgress?: OnProgress,
): Promise<{ digest: string; bytes: number }> {
  const lines = createHash("sha256");
  const trained = new Map(log.header.trainable.map((tensor) => [tensor.name, tensor]));
  const total = modelBytes(base);
  let replayed = 0;
  const onTensor = (name: string, bytes: Uint8Array) => {
    const tensor = trained.get(name);
    if (tensor) lines.update(hashLine(name, tensor.dtype, tensor.shape, sha256(bytes)));
    onProgress?.("replaying", Math.min(total, (replayed += bytes.length)), total);
  };
  let bytes = 0;
  const file = await open(path, "wx");
  try {
    for await (const chunk of replayedWeights(base, log, device, onTensor)) {
      await file.write(chunk);
      bytes += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { digest: lines.digest("hex"), bytes };
}

async function verifyWritten(out: string, base: ModelFolder, log: StepLog, onProgress?: OnProgress): Promise<void> {
  const written = await openModelFolder(out);
  const plain = createPlainDevice();
  const total = modelBytes(written);
  let done = 0;
  for (const tensor of written.tensors) {
    const again = log.header.trainable.some(({ name }) => name === tensor.name)
      ? await replayTensor(base, log, plain, tensor.name)
      : null;
    let at = 0;
    for await (const chunk of readTensorChunks(tensor)) {
      if (again && Buffer.compare(again.subarray(at, at + chunk.length), chunk) !== 0) {
        throw new SteplogError("INTERNAL", `Tensor ${tensor.name} differs from a second replay near byte ${at}.`);
      }
      at += chunk.length;
      onProgress?.("verifying", (done += chunk.length), total);
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
