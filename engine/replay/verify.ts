/**
 * Written weights, checked against what they should be. Two things can go wrong, and each has its check:
 *
 * - the disk does not hold what was computed: every byte is read back, and its hash compared with the one taken on the
 *   way out;
 * - what was computed is wrong: weights are replayed a second time, from the base, by the plain update, whatever device
 *   did it the first time, and compared bit by bit. The plain update is slow, so that of a large model with a long log
 *   only samples are replayed, spread evenly over every tensor. Elements do not depend on each other, and a fault in a
 *   kernel, a seed, a tensor's id or an offset touches whole runs of them, so that samples find it. "all" spares nothing.
 */
import { createHash } from "node:crypto";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { StepLog, TrainableTensor } from "../../schema/step-log.ts";
import { createPlainDevice } from "../devices/plain.ts";
import { asTrained } from "../model/files/half.ts";
import type { TensorLocation } from "../model/files/safetensors.ts";
import { TensorReader, ahead, elementsOf, readPieces } from "./pieces.ts";

/** Progress of long work: what is being done, and how much of it. */
export type OnProgress = (stage: "hashing" | "replaying" | "verifying", done: number, total: number) => void;

export interface WrittenWeights {
  /** Of each tensor's bytes as they were written, by name; hex. */
  readonly sha256: ReadonlyMap<string, string>;
}

export interface Verification {
  /** Trained elements that were replayed a second time. */
  readonly replayed: number;
  /** Trained elements there are. */
  readonly of: number;
}

/** Updates of single elements that the plain device makes in less than a minute (56 to 280 million a second here). */
const affordableUpdates = 3e9;

/** Elements replayed at a time: all of them, or of a sample, which must be small for there to be many. */
const blockElements = { all: 65_536, sample: 256 };

/** What training began with, by elements. */
export interface Beginning {
  /** Elements first, ..., first + count - 1, in the dtype that they are trained in; the receiver's own. */
  read(tensor: TrainableTensor, first: number, count: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Trained tensors begin as the base has them. */
export function baseBeginning(base: readonly TensorLocation[]): Beginning {
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
 * @throws INTERNAL naming the tensor that differs
 */
export async function verifyWeights(
  tensors: readonly TensorLocation[],
  written: WrittenWeights,
  beginning: Beginning,
  log: StepLog,
  extent: "all" | "affordable",
  onProgress?: OnProgress,
): Promise<Verification> {
  await compareHashes(tensors, written, onProgress);
  return compareReplays(tensors, beginning, log, extent, onProgress);
}

async function compareHashes(
  tensors: readonly TensorLocation[],
  written: WrittenWeights,
  onProgress?: OnProgress,
): Promise<void> {
  const seen = new Map(tensors.map(({ name }) => [name, createHash("sha256")]));
  const total = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for await (const { tensor, bytes } of ahead(readPieces(tensors))) {
    seen.get(tensor.name)?.update(bytes);
    onProgress?.("verifying", (done += bytes.length), total);
  }
  for (const [name, hash] of written.sha256) {
    if (seen.get(name)?.digest("hex") === hash) continue;
    throw new SteplogError("INTERNAL", `Tensor ${name} reads back from its file as other bytes than were written.`);
  }
}

async function compareReplays(
  tensors: readonly TensorLocation[],
  beginning: Beginning,
  log: StepLog,
  extent: "all" | "affordable",
  onProgress?: OnProgress,
): Promise<Verification> {
  const plain = createPlainDevice();
  const reader = new TensorReader();
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const pairs = log.header.trainable.map((trained) => ({ trained, now: named(byName, trained.name) }));
  const of = pairs.reduce((sum, { now }) => sum + elementsOf(now), 0);
  const share = extent === "all" ? 1 : affordableUpdates / (of * log.entries.length);
  const planned = pairs.map((pair) => ({ ...pair, runs: [...samples(elementsOf(pair.now), share)] }));
  const total = planned.flatMap(({ runs }) => runs).reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  try {
    for (const { trained, now, runs } of planned) {
      const { name, dtype } = trained;
      for (const { first, count } of runs) {
        const bytes = await beginning.read(trained, first, count);
        await plain.replay({ name, dtype, first, bytes }, log.entries, log.header.noise);
        refuseDifference(name, first, bytes, await reader.read(now, first, count));
        onProgress?.("verifying", (done += count), total);
      }
    }
  } finally {
    await reader.close();
    await beginning.close();
  }
  return { replayed: total, of };
}

function named(tensors: ReadonlyMap<string, TensorLocation>, name: string): TensorLocation {
  const found = tensors.get(name);
  invariant(found, `${name} is a tensor of the base and of what was made of it`);
  return found;
}

/** Runs of elements that make up about `share` of all: evenly spread, the first and the last always among them. */
export function* samples(elements: number, share: number): Generator<{ first: number; count: number }> {
  const size = share >= 1 ? blockElements.all : blockElements.sample;
  const blocks = Math.ceil(elements / size);
  const wanted = share >= 1 ? blocks : Math.min(blocks, Math.max(2, Math.round(blocks * share)));
  for (let k = 0; k < wanted; k++) {
    const block = wanted === 1 ? 0 : Math.round((k * (blocks - 1)) / (wanted - 1));
    yield { first: block * size, count: Math.min(size, elements - block * size) };
  }
}

function refuseDifference(name: string, first: number, expected: Uint8Array, seen: Uint8Array): void {
  if (Buffer.compare(expected, seen) === 0) return;
  const at = expected.findIndex((byte, index) => byte !== seen[index]);
  const where = `element ${first} and byte ${at} after it`;
  throw new SteplogError("INTERNAL", `Tensor ${name} differs from a second, plain replay at ${where}.`);
}
