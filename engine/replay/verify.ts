/**
 * Checks written weights. Two things can go wrong, and each has its check:
 *
 * - The disk does not hold what was computed: every byte is read back, and its hash compared with the one taken while writing.
 * - The computation was wrong: weights are replayed again from the base, by the plain update whatever device made them, and
 *   compared bit by bit. The plain update is slow, so for a large model with a long log only samples are replayed, for a
 *   minute at most: the start and the end of every tensor, then more, spread evenly. Elements are independent, and a fault
 *   in a kernel, a seed, a tensor's id or an offset affects long runs of them, so samples find it. "all" replays every element.
 */
import { createHash } from "node:crypto";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { StepLog, TrainableTensor } from "../../schema/step-log.ts";
import { createPlainDevice } from "../devices/plain.ts";
import { outputDtypes } from "../../schema/output-dtype.ts";
import { converted, storedDtype } from "../model/files/convert.ts";
import { asTrained } from "../model/files/half.ts";
import type { TensorLocation } from "../model/files/safetensors.ts";
import { TensorReader, elementsOf, prefetch, readPieces } from "./pieces.ts";

/** Progress of long work: the stage, and how many of its bytes or elements are done. */
export type OnProgress = (stage: "hashing" | "replaying" | "verifying", done: number, total: number) => void;

export interface WrittenWeights {
  /** The hash of each tensor's bytes as written, by name, in hex. */
  readonly sha256: ReadonlyMap<string, string>;
}

export interface Verification {
  /** Trained elements that were replayed again. */
  readonly replayed: number;
  /** All trained elements. */
  readonly of: number;
}

/** Updates of one element that a fast machine's plain device does in a minute (measured: 20 to 280 million a second). */
const affordableUpdates = 3e9;

/** No sample is begun after this time: machines, dtypes and kinds of noise differ. */
const affordableMs = 60_000;

/** Elements in a block: small blocks when sampling, so that many places are checked. */
const blockElements = { all: 65_536, sample: 256, least: 8 };

/** The weights at the start of training. */
export interface InitialWeights {
  /** Elements first, ..., first + count - 1, in the dtype of training. The receiver owns them. */
  read(tensor: TrainableTensor, first: number, count: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Full-parameter training starts from the tensors of the base. */
export function initialBase(base: readonly TensorLocation[]): InitialWeights {
  const reader = new TensorReader();
  const byName = new Map(base.map((tensor) => [tensor.name, tensor]));
  return {
    async read({ name }, first, count) {
      const tensor = named(byName, name);
      return asTrained(tensor, await reader.read(tensor, first, count));
    },
    close: () => reader.close(),
  };
}

/**
 * Checks the tensors of written files.
 * @throws INTERNAL naming a tensor that differs
 */
export async function verifyWeights(
  tensors: readonly TensorLocation[],
  written: WrittenWeights,
  initial: InitialWeights,
  log: StepLog,
  extent: "all" | "affordable",
  onProgress?: OnProgress,
  now: () => number = () => performance.now(),
): Promise<Verification> {
  await compareHashes(tensors, written, onProgress);
  const until = extent === "all" ? Infinity : now() + affordableMs;
  return compareReplays(tensors, initial, log, () => now() < until, extent, onProgress);
}

async function compareHashes(
  tensors: readonly TensorLocation[],
  written: WrittenWeights,
  onProgress?: OnProgress,
): Promise<void> {
  const seen = new Map(tensors.map(({ name }) => [name, createHash("sha256")]));
  const total = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for await (const { tensor, bytes } of prefetch(readPieces(tensors))) {
    seen.get(tensor.name)?.update(bytes);
    onProgress?.("verifying", (done += bytes.length), total);
  }
  for (const [name, hash] of written.sha256) {
    if (seen.get(name)?.digest("hex") === hash) continue;
    throw new SteplogError(
      "INTERNAL",
      `Tensor ${name} was read back from its file with other bytes than were written.`,
    );
  }
}

async function compareReplays(
  tensors: readonly TensorLocation[],
  initial: InitialWeights,
  log: StepLog,
  hasTime: () => boolean,
  extent: "all" | "affordable",
  onProgress?: OnProgress,
): Promise<Verification> {
  const plain = createPlainDevice();
  const reader = new TensorReader();
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const pairs = log.header.trainable.map((trained) => ({ trained, now: named(byName, trained.name) }));
  const of = pairs.reduce((sum, { now }) => sum + elementsOf(now), 0);
  const share = extent === "all" ? 1 : affordableUpdates / (of * log.entries.length);
  const size = share >= 1 ? blockElements.all : sampleElements(log.entries.length);
  const planned = endsFirst(
    pairs.map((pair) => [...samples(elementsOf(pair.now), share, size)].map((run) => ({ ...pair, ...run }))),
  );
  const total = planned.reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  try {
    for (const { trained, now, first, count } of planned) {
      if (!hasTime()) break;
      const { name, dtype } = trained;
      const bytes = await initial.read(trained, first, count);
      await plain.replay({ name, dtype, first, bytes }, log.entries, log.header.noise);
      refuseDifference(name, first, asWritten(trained, bytes, now), await reader.read(now, first, count));
      done += count;
      onProgress?.("verifying", done, total);
    }
  } finally {
    await reader.close();
    await initial.close();
  }
  return { replayed: done, of };
}

/** Elements of a sample, fewer for a log so long that one block of the usual size would take the whole time. */
export function sampleElements(entries: number): number {
  const affordable = Math.floor(affordableUpdates / (100 * Math.max(1, entries)));
  return Math.min(blockElements.sample, Math.max(blockElements.least, affordable));
}

/** The first and the last sample of every tensor, then the others. */
function endsFirst<T>(samplesByTensor: readonly (readonly T[])[]): T[] {
  const ends = samplesByTensor.flatMap((all) => all.filter((_, k) => k === 0 || k === all.length - 1));
  return [...ends, ...samplesByTensor.flatMap((all) => all.slice(1, -1))];
}

function named(tensors: ReadonlyMap<string, TensorLocation>, name: string): TensorLocation {
  const found = tensors.get(name);
  invariant(found, `${name} is a tensor of the base and of the output`);
  return found;
}

/** Runs of elements that are about `share` of all, evenly spread and including the first and the last. */
export function* samples(
  elements: number,
  share: number,
  size = share >= 1 ? blockElements.all : blockElements.sample,
): Generator<{ first: number; count: number }> {
  const blocks = Math.ceil(elements / size);
  const wanted = share >= 1 ? blocks : Math.min(blocks, Math.max(2, Math.round(blocks * share)));
  for (let k = 0; k < wanted; k++) {
    const block = wanted === 1 ? 0 : Math.round((k * (blocks - 1)) / (wanted - 1));
    yield { first: block * size, count: Math.min(size, elements - block * size) };
  }
}

/** Replayed elements in the dtype of the file, which may have been chosen for it. */
function asWritten(trained: TrainableTensor, bytes: Uint8Array, { dtype }: TensorLocation): Uint8Array {
  const chosen = outputDtypes.find((each) => storedDtype(each) === dtype);
  invariant(chosen, `weights are never written as ${dtype}`);
  return converted(trained, bytes, chosen);
}

function refuseDifference(name: string, first: number, expected: Uint8Array, seen: Uint8Array): void {
  if (Buffer.compare(expected, seen) === 0) return;
  const at = expected.findIndex((byte, index) => byte !== seen[index]);
  const where = `element ${first} and byte ${at} after it`;
  throw new SteplogError("INTERNAL", `Tensor ${name} differs from a second replay, by the plain device, at ${where}.`);
}
