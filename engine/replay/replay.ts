/**
 * Replay: from a base model and a log to the fine-tuned weights, bit for bit. Pieces of the base are read, updated with all
 * entries by the same device update that trained them, and written. It needs no database, network or forward pass.
 */
import type { InputIssue } from "../../schema/errors.ts";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { StepLog, StepLogHeader, TrainableTensor } from "../../schema/step-log.ts";
import type { Device } from "../devices/device.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { asTrained } from "../model/files/half.ts";
import { adapterOfLog } from "../model/adapters/all.ts";
import { trainableTensors } from "../model/trainable.ts";
import type { TensorInfo, TensorLocation } from "../model/files/safetensors.ts";
import { bytesOf, readTensorChunks } from "../model/files/safetensors.ts";
import type { OutputFile } from "../model/files/shards.ts";
import { writeModelFiles } from "../model/files/shards.ts";
import type { OutputOptions } from "./output.ts";
import { outputOf } from "./output.ts";
import type { Piece } from "./pieces.ts";
import { prefetch, readPieces } from "./pieces.ts";
import { applyInParts } from "./timed-parts.ts";

/**
 * Checks that a log belongs to a base with the base hash `seen`.
 * @throws BASE_MISMATCH naming both hashes; LOG_INVALID if a tensor of the log is missing in the base or differs there
 */
export function matchBase(base: ModelFolder, header: StepLogHeader, seen: string): void {
  if (seen !== header.base) {
    throw new SteplogError(
      "BASE_MISMATCH",
      `The log belongs to the base model with hash ${header.base}, but ${base.path} has ${seen}. Give the base that the log was trained on.`,
    );
  }
  if (adapterOfLog(base, header)) return;
  const known = new Map(trainableTensors(base).map((tensor) => [tensor.name, tensor]));
  const issues: InputIssue[] = header.trainable.flatMap(({ name, shape, dtype }) => {
    const tensor = known.get(name);
    if (tensor?.dtype === dtype && tensor.shape.join() === shape.join()) return [];
    return [{ field: name, message: `the base has no tensor ${name} of ${dtype} [${shape.join(",")}]` }];
  });
  if (issues[0]) throw new SteplogError("LOG_INVALID", `The log does not fit its base: ${issues[0].message}.`, issues);
}

/** A tensor of the output, and its location in the base. */
export interface OutputTensor extends TensorInfo {
  readonly location: TensorLocation;
  readonly trained: boolean;
}

/**
 * The tensors after training, in order of name: those of the base, without copies of tied weights, which training has made
 * stale.
 */
export function outputTensors(base: ModelFolder, trainable: readonly TrainableTensor[]): OutputTensor[] {
  const trained = new Map(trainable.map((tensor) => [tensor.name, tensor]));
  return base.tensors
    .filter(({ name }) => !base.copies.has(name) && !base.architecture.ignores(name))
    .map((location) => {
      const { name, dtype, shape } = trained.get(location.name) ?? location;
      return { name, dtype, shape, location, trained: trained.has(name) };
    });
}

/** The weight files after training: trained tensors from `read`, the others from the base. */
export function trainedFiles(
  base: ModelFolder,
  trainable: readonly TrainableTensor[],
  read: (name: string) => Promise<Uint8Array>,
  { shardBytes, ...options }: ModelFilesOptions = {},
): AsyncGenerator<OutputFile> {
  const chunks = async function* chunks(tensor: OutputTensor): AsyncGenerator<Uint8Array> {
    if (tensor.trained) yield await read(tensor.name);
    else yield* readTensorChunks(tensor.location);
  };
  const output = outputOf({ tensors: outputTensors(base, trainable), read: chunks }, options);
  return writeModelFiles(output.tensors, output.read, shardBytes);
}

export interface ModelFilesOptions extends OutputOptions {
  /** Bytes of the tensors of one file, at most; shards.ts has the default. */
  readonly shardBytes?: number | undefined;
}

export interface ReplayOptions extends ModelFilesOptions {
  /** Called with every piece of a tensor as it was trained, in order. */
  readonly onPiece?: (tensor: TensorInfo, bytes: Uint8Array) => void;
  readonly pieceBytes?: number;
  /** Waited for before each part of the log is applied to a piece; what it throws ends the replay. */
  readonly beforePart?: (() => Promise<void>) | undefined;
}

/**
 * The weight files that a log makes of its base. Three pieces are in memory, whatever the size of the model.
 */
export async function* replayedFiles(
  base: ModelFolder,
  log: StepLog,
  device: Device,
  options: ReplayOptions = {},
): AsyncGenerator<OutputFile> {
  const tensors = outputTensors(base, log.header.trainable);
  const pieces = replayedPieces(tensors, log, device, options);
  const take = async function* take(tensor: TensorInfo): AsyncGenerator<Uint8Array> {
    for (let left = bytesOf(tensor); left > 0;) {
      const { bytes } = await nextPiece(pieces);
      options.onPiece?.(tensor, bytes);
      yield bytes;
      left -= bytes.length;
    }
  };
  try {
    const output = outputOf({ tensors, read: take }, options);
    yield* writeModelFiles(output.tensors, output.read, options.shardBytes);
  } finally {
    await pieces.return(undefined);
  }
}

/** The tensors in pieces, in order: one is read while the one before it is replayed and the caller uses the one before that. */
export function replayedPieces(
  tensors: readonly OutputTensor[],
  log: StepLog,
  device: Device,
  { pieceBytes, beforePart }: Pick<ReplayOptions, "pieceBytes" | "beforePart"> = {},
): AsyncGenerator<Piece> {
  const stored = readPieces(
    tensors.map((tensor) => tensor.location),
    pieceBytes,
  );
  return prefetch(replayPieces(prefetch(stored), log, device, beforePart));
}

/** Applies all entries to the pieces of trained tensors, and passes the others through. */
async function* replayPieces(
  pieces: AsyncIterable<Piece>,
  log: StepLog,
  device: Device,
  beforePart?: () => Promise<void>,
): AsyncGenerator<Piece> {
  const dtypes = new Map(log.header.trainable.map(({ name, dtype }) => [name, dtype]));
  for await (const piece of pieces) {
    const { tensor, first } = piece;
    const dtype = dtypes.get(tensor.name);
    if (dtype === undefined) {
      yield piece;
      continue;
    }
    const bytes = asTrained(tensor, piece.bytes);
    const stored = { name: tensor.name, dtype, first, bytes };
    await applyInParts(log.entries, (part) => device.replay(stored, part, log.header.noise), beforePart);
    yield { tensor, first, bytes };
  }
}

/** All tensors share one stream of pieces; each takes its own from it in turn. */
async function nextPiece(pieces: AsyncGenerator<Piece>): Promise<Piece> {
  const next: IteratorResult<Piece, unknown> = await pieces.next();
  invariant(next.done !== true, "the stream has pieces for every tensor of the output");
  return next.value;
}
