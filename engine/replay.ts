/**
 * From a base model and a log to the fine-tuned weights, bit for bit. Pieces of the base are read, taken through all
 * entries by the device's update, the same that trained it, and written; no database, no network, no forward pass.
 */
import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError, invariant } from "../schema/errors.ts";
import type { StepLog, StepLogHeader, TrainableTensor } from "../schema/step-log.ts";
import type { Device } from "./devices/device.ts";
import { copyCompanions } from "./model/companions.ts";
import type { ModelFolder } from "./model/folder.ts";
import { baseHash, hashLine, modelBytes } from "./model/folder.ts";
import { trainableTensors } from "./model/model.ts";
import { fineTunedOrigin, writeOrigin } from "./model/origin.ts";
import type { TensorInfo, TensorLocation } from "./model/safetensors.ts";
import { bytesOf, readTensorChunks } from "./model/safetensors.ts";
import type { OutputFile, WrittenFile } from "./model/shards.ts";
import { shardBytes, writeFiles, writeModelFiles } from "./model/shards.ts";
import type { Piece } from "./pieces.ts";
import { ahead, asTrained, readPieces } from "./pieces.ts";
import type { OnProgress, Verification, WrittenWeights } from "./verify.ts";
import { verifyWeights } from "./verify.ts";

/**
 * Proves that a log belongs to a base, whose base hash is `seen`.
 * @throws BASE_MISMATCH naming both hashes; LOG_INVALID when the log trains a tensor that the base does not have so.
 */
export function matchBase(base: ModelFolder, header: StepLogHeader, seen: string): void {
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

/** A tensor of the output, and where the base has it. */
interface OutputTensor extends TensorInfo {
  readonly location: TensorLocation;
  readonly trained: boolean;
}

/**
 * What training leaves, in order of name: the tensors of the base, without copies of tied weights, which training made
 * stale.
 */
function outputTensors(base: ModelFolder, trainable: readonly TrainableTensor[]): OutputTensor[] {
  const trained = new Map(trainable.map((tensor) => [tensor.name, tensor]));
  return base.tensors
    .filter((tensor) => !base.architecture.ignores(tensor.name))
    .map((location) => {
      const { name, dtype, shape } = trained.get(location.name) ?? location;
      return { name, dtype, shape, location, trained: trained.has(name) };
    });
}

/** The files of the weights after training: trained tensors from `read`, the others as they are in the base. */
export function trainedFiles(
  base: ModelFolder,
  trainable: readonly TrainableTensor[],
  read: (name: string) => Promise<Uint8Array>,
  limit = shardBytes,
): AsyncGenerator<OutputFile> {
  const chunks = async function* chunks(tensor: OutputTensor): AsyncGenerator<Uint8Array> {
    if (tensor.trained) yield await read(tensor.name);
    else yield* readTensorChunks(tensor.location);
  };
  return writeModelFiles(outputTensors(base, trainable), chunks, limit);
}

export interface ReplayOptions {
  /** Called with every piece of a tensor as it will be in its file, in order. */
  readonly onPiece?: (tensor: TensorInfo, bytes: Uint8Array) => void;
  readonly pieceBytes?: number;
  /** Bytes of the tensors of one file; shards.ts says what is usual. */
  readonly shardBytes?: number;
}

/**
 * The files of the weights that a log makes of its base. A piece is read while the one before it is replayed and the one
 * before that is with the caller: three are in memory, whatever the size of the model.
 */
export async function* replayedFiles(
  base: ModelFolder,
  log: StepLog,
  device: Device,
  options: ReplayOptions = {},
): AsyncGenerator<OutputFile> {
  const output = outputTensors(base, log.header.trainable);
  const stored = readPieces(
    output.map((tensor) => tensor.location),
    options.pieceBytes,
  );
  const pieces = ahead(replayPieces(ahead(stored), log, device));
  const take = async function* take(tensor: TensorInfo): AsyncGenerator<Uint8Array> {
    for (let left = bytesOf(tensor); left > 0;) {
      const { bytes } = await following(pieces);
      options.onPiece?.(tensor, bytes);
      yield bytes;
      left -= bytes.length;
    }
  };
  try {
    yield* writeModelFiles(output, take, options.shardBytes);
  } finally {
    await pieces.return(undefined);
  }
}

/** Takes pieces of trained tensors through all entries, by the update that trained them; passes the others on. */
async function* replayPieces(pieces: AsyncIterable<Piece>, log: StepLog, device: Device): AsyncGenerator<Piece> {
  const dtypes = new Map(log.header.trainable.map(({ name, dtype }) => [name, dtype]));
  for await (const piece of pieces) {
    const { tensor, first } = piece;
    const dtype = dtypes.get(tensor.name);
    if (dtype === undefined) {
      yield piece;
      continue;
    }
    const bytes = asTrained(tensor, piece.bytes);
    await device.replay({ name: tensor.name, dtype, first, bytes }, log.entries, log.header.noise);
    yield { tensor, first, bytes };
  }
}

/** The pieces of all tensors are one stream: each tensor takes its own from it. */
async function following(pieces: AsyncGenerator<Piece>): Promise<Piece> {
  const next: IteratorResult<Piece, unknown> = await pieces.next();
  invariant(next.done !== true, "every tensor of the output has its pieces");
  return next.value;
}

export interface WrittenModel extends WrittenWeights {
  readonly files: readonly WrittenFile[];
  /** Weights digest, hex. */
  readonly digest: string;
}

/** Writes the files of replayed weights into a folder. Each tensor is hashed as it passes: no file is read again. */
export async function writeReplayed(
  base: ModelFolder,
  log: StepLog,
  device: Device,
  folder: string,
  options: { readonly shardBytes?: number | undefined; readonly onProgress?: OnProgress | undefined } = {},
): Promise<WrittenModel> {
  const { trainable } = log.header;
  const hashes = new Map<string, Hash>();
  const total = outputTensors(base, trainable).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  let replayed = 0;
  const onPiece = ({ name }: TensorInfo, bytes: Uint8Array) => {
    const hash = hashes.get(name) ?? createHash("sha256");
    hashes.set(name, hash.update(bytes));
    options.onProgress?.("replaying", (replayed += bytes.length), total);
  };
  const limit = options.shardBytes === undefined ? {} : { shardBytes: options.shardBytes };
  const files = await writeFiles(folder, replayedFiles(base, log, device, { onPiece, ...limit }));
  const sha256 = new Map([...hashes].map(([name, hash]) => [name, hash.digest("hex")]));
  return { files, sha256, digest: digestOf(sha256, trainable) };
}

/** docs/STEP_LOG.md, "Hashes": over the trained tensors, in order of name. */
function digestOf(sha256: ReadonlyMap<string, string>, trainable: readonly TrainableTensor[]): string {
  const lines = createHash("sha256");
  for (const { name, dtype, shape } of trainable)
    lines.update(hashLine(name, dtype, shape, sha256.get(name) ?? emptyHash));
  return lines.digest("hex");
}

/** Of a tensor without elements, which has no pieces. */
const emptyHash = createHash("sha256").digest("hex");

export interface Reconstruction {
  /** Hex. */
  readonly chain: string;
  /** Weights digest, hex. */
  readonly digest: string;
  readonly entries: number;
  /** Of the files of the weights. */
  readonly bytes: number;
  readonly verified: Verification | null;
}

/**
 * Writes the fine-tuned model as a whole folder in Hugging Face layout: the base's, with other weights. The folder
 * appears when it is complete, and checked when that was asked for (verify.ts).
 * @throws BASE_MISMATCH, LOG_INVALID; CONFLICT when `out` is there already and `replace` is not set
 */
export async function reconstruct(options: {
  base: ModelFolder;
  log: StepLog;
  out: string;
  device: Device;
  verify: boolean | "all";
  replace: boolean;
  shardBytes?: number;
  onProgress?: OnProgress;
}): Promise<Reconstruction> {
  const { base, log, out, device, shardBytes, onProgress } = options;
  await refuseExisting(base.path, out, options.replace);
  let hashed = 0;
  const onBytes = (bytes: number) => onProgress?.("hashing", (hashed += bytes), modelBytes(base));
  matchBase(base, log.header, await baseHash(base, onBytes));

  const partial = join(dirname(out), `.${basename(out)}.partial-${process.pid}`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  try {
    await copyCompanions(base, log.header, partial);
    const written = await writeReplayed(base, log, device, partial, { shardBytes, onProgress });
    const extent = options.verify === "all" ? "all" : "affordable";
    const verified = options.verify ? await verifyWeights(partial, written, base, log, extent, onProgress) : null;
    const entries = log.entries.length;
    const chain = Buffer.from(log.chain).toString("hex");
    await writeOrigin(partial, await fineTunedOrigin(base.path, log.header.base, { entries, chain, ...written }));
    if (options.replace) await rm(out, { recursive: true, force: true });
    await rename(partial, out);
    const bytes = written.files.reduce((sum, file) => sum + file.bytes, 0);
    return { chain, digest: written.digest, entries, bytes, verified };
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
