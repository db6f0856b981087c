/**
 * Prefix tuning (Li and Liang 2021, "Prefix-Tuning: Optimizing Continuous Prompts for Generation"): each layer also attends to
 * learned keys and values, which come before those of every sequence. One tensor holds them, as peft stores it:
 *
 *   prompt_embeddings [length, 2 * layers * columns]      keys of layer l in part 2l, values in part 2l + 1
 *
 * A sequence's own positions start after the prefix. Model families know nothing of this: a pass with a prefix hands it to its
 * attention, layer by layer.
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

const prefixTensorName = "prompt_embeddings";

export interface PrefixAdapter extends Adapter {
  readonly kind: "prefix";
}

export type PrefixHeader = NonNullable<StepLogHeader["prefix"]>;

export interface SeededPrefix extends PrefixAdapter {
  readonly header: { readonly prefix: PrefixHeader };
}

/** Columns of the keys of a layer; its values have as many. */
export function keyColumns({ keyValueHeads, headSize }: Architecture): number {
  return keyValueHeads * headSize;
}

/** It is trained as float32 whatever the dtype of the base, since it is small. */
export function prefixTensor(architecture: Architecture, length: number): TrainableTensor {
  const columns = 2 * architecture.layers * keyColumns(architecture);
  return { name: prefixTensorName, shape: [length, columns], dtype: "F32" };
}

/** A prefix. `read` supplies its tensor at the start of training. */
export function prefixAdapter(
  architecture: Architecture,
  tensor: TrainableTensor,
  read: Adapter["read"],
): PrefixAdapter {
  const [length = 0] = tensor.shape;
  return {
    kind: "prefix",
    tensors: [tensor],
    prefixLength: length,
    read,
    terms: () => null,
    attach: (own) => (pass) => prefixedPass(pass, own(prefixTensorName), keyColumns(architecture)),
  };
}

/**
 * A new prefix. It starts as the keys and values of tokens drawn from the model's vocabulary by the seed: from random numbers
 * MeZO learns far less (Malladi et al. 2023).
 */
export function seededPrefix(base: ModelFolder, length: number, seed: number): SeededPrefix {
  const start = prefixStart(base, length, seed);
  return startedPrefix(base.architecture, { length, seed, digest: sha256(start) }, () => start);
}

/**
 * The prefix that a log trains, at its start.
 * @throws LOG_INVALID if it does not fit the base; `read` throws it if the start has another digest than the header's
 */
export function prefixOfLog(
  base: ModelFolder,
  { trainable }: Pick<StepLogHeader, "trainable">,
  prefix: PrefixHeader,
): SeededPrefix {
  const adapter = startedPrefix(base.architecture, prefix, () => {
    const start = prefixStart(base, prefix.length, prefix.seed);
    if (sha256(start) === prefix.digest) return start;
    const seen = `the digest of the prefix at its start is ${sha256(start)}, and the header says ${prefix.digest}`;
    throw new SteplogError("LOG_INVALID", `The log does not fit its base: ${seen}.`, [
      { field: "prefix.digest", message: seen },
    ]);
  });
  refuseOtherTensors(trainable, adapter.tensors);
  return adapter;
}

function startedPrefix(architecture: Architecture, prefix: PrefixHeader, start: () => Uint8Array): SeededPrefix {
  const tensor = prefixTensor(architecture, prefix.length);
  // A copy each time, since the caller may change it.
  let started: Uint8Array | undefined;
  const read = () => Promise.resolve().then(() => (started ??= start()).slice());
  return { ...prefixAdapter(architecture, tensor, read), header: { prefix } };
}

/** docs/STEP_LOG.md, "Prefixes", defines the bits. */
function prefixStart(base: ModelFolder, length: number, seed: number): Uint8Array {
  const values = keysAndValues(base, drawnTokens(base.architecture, length, seed));
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Tokens of the vocabulary without padding, uniformly drawn. */
export function drawnTokens({ vocabulary, padding }: Architecture, length: number, seed: number): Int32Array {
  const words = new Uint32Array(4 * Math.ceil(length / 4));
  new Philox(BigInt(seed), tensorId(prefixTensorName), streams.adapter).blocks(0, words.length / 4, words);
  const count = padding === null ? vocabulary : vocabulary - 1;
  return Int32Array.from(words.subarray(0, length), (word) => {
    // The product is below 2^53, so it is exact.
    const id = Math.floor((word * count) / 2 ** 32);
    return padding !== null && id >= padding ? id + 1 : id;
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The pass with each layer's part of the prefix added to its attention. Layers attend in order. */
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
