/**
 * The weights that a log makes of its base, on a device that answers with them: the tensors of a rebuilt folder (replay.ts), in
 * the device's memory instead of files. Beside the weights there are a few pieces, and on devices that map no files one tensor
 * that is larger than a piece while it is put together.
 */
import type { LogEntries } from "../../schema/log-entries.ts";
import type { StepLog } from "../../schema/step-log.ts";
import type { Device, Weight } from "../devices/device.ts";
import { bytesPerElement, elementCount } from "../devices/device.ts";
import { tensorsDigest } from "../model/files/digest.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { locationOf } from "../model/files/folder.ts";
import type { TensorInfo } from "../model/files/safetensors.ts";
import { bytesOf } from "../model/files/safetensors.ts";
import { loadWeight, specOf } from "../model/model.ts";
import { TensorHashes } from "./output.ts";
import type { Piece } from "./pieces.ts";
import { pieceBytes as usualPieceBytes } from "./pieces.ts";
import type { OutputTensor } from "./replay.ts";
import { outputTensors, replayedPieces } from "./replay.ts";
import { applyInParts } from "./timed-parts.ts";

export interface ReplayedWeights {
  /** By the names of their definitions, as loadWeights has them. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** Of those that the log trains, hex. */
  readonly digest: string;
}

interface Options {
  /** Waited for before each part of the log is applied to a piece, and each weight of the base; it may throw. */
  readonly beforePart: () => Promise<void>;
  readonly pieceBytes?: number;
}

export async function replayedWeights(
  base: ModelFolder,
  log: StepLog,
  device: Device,
  options: Options,
): Promise<ReplayedWeights> {
  const trained = outputTensors(base, log.header.trainable).filter((tensor) => tensor.trained && bytesOf(tensor) > 0);
  const names = new Set(trained.map(({ name }) => name));
  const definitions = new Map(base.architecture.tensors.map(({ name }) => [locationOf(base, name).name, name]));
  const weights = new Map<string, Weight>();
  const hashes = new TensorHashes();
  const add = (weight: Weight) => void weights.set(definitions.get(weight.name) ?? weight.name, weight);
  try {
    for (const [stored, definition] of definitions) {
      if (names.has(stored)) continue;
      await options.beforePart();
      add(await loadWeight(locationOf(base, definition), device, false));
    }
    const isThere = device.mapWeight && device.replayWeight && log.entries.length > 0;
    const replay = isThere ? replayInPlace : replayPieces;
    await replay(trained, log, device, options, { add, hash: hashes.add });
  } catch (error) {
    for (const weight of weights.values()) device.freeWeight(weight);
    throw error;
  }
  return { weights, digest: tensorsDigest(log.header.trainable, hashes.end()) };
}

interface Sink {
  readonly add: (weight: Weight) => void;
  readonly hash: TensorHashes["add"];
}

/** Each weight is read into the device's memory and replayed there. What a piece has become is hashed while the next one is replayed. */
async function replayInPlace(
  tensors: readonly OutputTensor[],
  { header, entries }: StepLog,
  device: Device,
  { beforePart, pieceBytes = usualPieceBytes }: Options,
  { add, hash }: Sink,
): Promise<void> {
  let [free, taken] = [new Uint8Array(pieceBytes), new Uint8Array(pieceBytes)];
  let hashLast = () => {};
  for (const tensor of tensors) {
    await beforePart();
    const weight = await loadWeight(tensor.location, device, true);
    add(weight);
    const size = bytesPerElement[weight.dtype];
    const [elements, most] = [elementCount(weight.shape), Math.floor(pieceBytes / size)];
    for (let first = 0; first < elements; first += most) {
      const bytes = free.subarray(0, size * Math.min(most, elements - first));
      [free, taken] = [taken, free];
      const replay = (part: LogEntries) => {
        const replayed = device.replayWeight?.(weight, first, bytes, part, header.noise);
        hashLast();
        hashLast = () => {};
        return replayed;
      };
      await applyInParts(entries, replay, beforePart);
      hashLast = () => hash(tensor, bytes);
    }
  }
  hashLast();
}

/** On other devices: the pieces are replayed as those of a folder are, and a weight is made of each whole tensor. */
async function replayPieces(
  tensors: readonly OutputTensor[],
  log: StepLog,
  device: Device,
  options: Options,
  { add, hash }: Sink,
): Promise<void> {
  const pieces = replayedPieces(tensors, log, device, options);
  for await (const [{ location }, bytes] of wholeTensors(tensors, pieces, hash)) {
    add(device.createWeight(specOf(location, false), bytes));
  }
}

/** A piece is hashed, and put beside the others of its tensor, while the device replays the next one. */
async function* wholeTensors<T extends TensorInfo>(
  tensors: readonly T[],
  pieces: AsyncGenerator<Piece>,
  hash: TensorHashes["add"],
): AsyncGenerator<[T, Uint8Array]> {
  const left = [...tensors];
  let whole: Uint8Array | null = null;
  let filled = 0;
  for await (const { bytes } of pieces) {
    const [tensor] = left;
    if (!tensor) return;
    hash(tensor, bytes);
    const size = bytesOf(tensor);
    if (bytes.length < size) (whole ??= new Uint8Array(size)).set(bytes, filled);
    filled += bytes.length;
    if (filled < size) continue;
    yield [tensor, whole ?? bytes];
    left.shift();
    [whole, filled] = [null, 0];
  }
}
