/**
 * Prefix tuning (Li and Liang 2021, "Prefix-Tuning: Optimizing Continuous Prompts for Generation"): before the keys and values
 * of every sequence, each layer attends to some that are learned. One tensor holds them, as peft stores it:
 *
 *   prompt_embeddings [length, 2 * layers * columns]      of layer l keys in part 2l, values in part 2l + 1
 *
 * A sequence's own places are counted from behind the prefix. Families know nothing of this: a pass with a prefix gives it to
 * its attention, layer after layer.
 */
import { createHash } from "node:crypto";
import { SteplogError } from "../../../schema/errors.ts";
import type { StepLogHeader, TrainableTensor } from "../../../schema/step-log.ts";
import type { Pass, Weight } from "../../devices/device.ts";
import { Philox, streams, tensorId } from "../../numbers/noise.ts";
import type { Adapter } from "./adapter.ts";
import { changedPass, refuseOtherTensors } from "./adapter.ts";
import type { Architecture } from "../families/family.ts";
import type { ModelFolder } from "../files/folder.ts";
import { keysAndValues } from "./prefix-start.ts";

export const prefixTensorName = "prompt_embeddings";

export interface PrefixAdapter extends Adapter {
  readonly kind: "prefix";
}

export type PrefixHeader = NonNullable<StepLogHeader["prefix"]>;

export interface SeededPrefix extends PrefixAdapter {
  readonly header: { readonly prefix: PrefixHeader };
}

/** Columns of the keys, and of the values, of a layer. */
export function keyColumns({ keyValueHeads, headSize }: Architecture): number {
  return keyValueHeads * headSize;
}

/** It is trained as float32, whatever the base is stored as: it is small. */
export function prefixTensor(architecture: Architecture, length: number): TrainableTensor {
  const columns = 2 * architecture.layers * keyColumns(architecture);
  return { name: prefixTensorName, shape: [length, columns], dtype: "F32" };
}

/** A prefix whose tensor begins as `read` says. */
export function prefixAdapter(
  architecture: Architecture,
  tensor: TrainableTensor,
  read: Adapter["read"],
): PrefixAdapter {
  const [length = 0] = tensor.shape;
  return {
    kind: "prefix",
    tensors: [tensor],
    places: length,
    read,
    place: (own) => (pass) => prefixedPass(pass, own(prefixTensorName), keyColumns(architecture)),
  };
}

/**
 * A prefix to be trained. It begins with the keys and values of tokens of the model's own vocabulary, drawn by seed: from
 * random numbers MeZO learns far less (Malladi et al. 2023).
 */
export function seededPrefix(base: ModelFolder, length: number, seed: number): SeededPrefix {
  const start = prefixStart(base, length, seed);
  return startedPrefix(base.architecture, { length, seed, digest: sha256(start) }, () => start);
}

/**
 * The prefix that a log trains, as it began.
 * @throws LOG_INVALID when the base has no place for it; from `read`, when its header has another digest of its beginning
 */
export function prefixOfLog(
  base: ModelFolder,
  { trainable }: Pick<StepLogHeader, "trainable">,
  prefix: PrefixHeader,
): SeededPrefix {
  const adapter = startedPrefix(base.architecture, prefix, () => {
    const start = prefixStart(base, prefix.length, prefix.seed);
    if (sha256(start) === prefix.digest) return start;
    const seen = `the prefix begins with the digest ${sha256(start)}, and the header says ${prefix.digest}`;
    throw new SteplogError("LOG_INVALID", `The log does not fit its base: ${seen}.`, [
      { field: "prefix.digest", message: seen },
    ]);
  });
  refuseOtherTensors(trainable, adapter.tensors);
  return adapter;
}

function startedPrefix(architecture: Architecture, prefix: PrefixHeader, start: () => Uint8Array): SeededPrefix {
  const tensor = prefixTensor(architecture, prefix.length);
  // A copy each time: whoever reads may change it.
  let started: Uint8Array | undefined;
  const read = () => Promise.resolve().then(() => (started ??= start()).slice());
  return { ...prefixAdapter(architecture, tensor, read), header: { prefix } };
}

/** docs/STEP_LOG.md, "Prefixes", defines the bits. */
function prefixStart(base: ModelFolder, length: number, seed: number): Uint8Array {
  const values = keysAndValues(base, drawnTokens(base.architecture, length, seed));
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Tokens of the vocabulary but for padding, each as likely as the others. */
export function drawnTokens({ vocabulary, padding }: Architecture, length: number, seed: number): Int32Array {
  const words = new Uint32Array(4 * Math.ceil(length / 4));
  new Philox(BigInt(seed), tensorId(prefixTensorName), streams.adapter).blocks(0, words.length / 4, words);
  const count = padding === null ? vocabulary : vocabulary - 1;
  return Int32Array.from(words.subarray(0, length), (word) => {
    // Below 2^53: exact.
    const id = Math.floor((word * count) / 2 ** 32);
    return padding !== null && id >= padding ? id + 1 : id;
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The pass, but for its attention, which sees the prefix's part of its layer: layers attend in their order. */
function prefixedPass(pass: Pass, table: Weight, columns: number): Pass {
  const [length = 0] = table.shape;
  const all = pass.embed(
    table,
    Int32Array.from({ length }, (_, row) => row),
  );
  let part = 0;
  const next = () => pass.slice(all, part++ * columns, columns);
  return changedPass(pass, {
    attention: (q, k, v, shape) => pass.attention(q, k, v, { ...shape, prefix: { keys: next(), values: next() } }),
  });
}
