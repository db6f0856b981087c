/**
 * The interface between models and devices. A model family is written once against a Pass; each device implements it.
 *
 * A pass is one forward computation over packed sequences: activations are float32 [rows, columns], one row per token,
 * without padding. A perturbed pass measures both sides of SPSA at once: every activation then has two halves, the rows
 * under w + e*n and those under w - e*n, from the same noise. The model does not see this: it counts the rows of one side,
 * and only losses and logits are returned per side. Perturbed weights are temporary; only `update` changes stored weights.
 *
 * Operations are queued and may run later; `losses` and `logits` wait for them. Shapes that do not fit break an invariant.
 */
import type { LogEntries } from "../../schema/step-log.ts";
import type { Noise } from "../numbers/noise.ts";

export type WeightDtype = "F32" | "BF16";

export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: WeightDtype;
  /** Whether passes perturb it and updates change it. */
  readonly trainable: boolean;
}

/** A weight on a device. Opaque, except for its spec. */
export interface Weight extends WeightSpec {
  readonly device: string;
}

/** An activation [rows, columns], counted for one side. Opaque. Freed when its pass ends. */
export interface Activation {
  readonly rows: number;
  readonly columns: number;
}

/** w +- e * n with the noise of `seed`; `size` is e of docs/STEP_LOG.md. */
export interface Perturbation {
  readonly seed: bigint;
  readonly size: number;
  readonly noise: Noise;
  /** Measures only w + e * n: the pass has one side. */
  readonly oneSided?: boolean;
}

/** How many times a pass computes each row. */
export function sidesOf(perturbation: Perturbation | null): 1 | 2 {
  return perturbation && perturbation.oneSided !== true ? 2 : 1;
}

export interface AttentionShape {
  readonly heads: number;
  /** Key and value heads; a divisor of `heads` (grouped-query attention). */
  readonly keyValueHeads: number;
  /** Lengths of the packed sequences; their sum is the number of rows. */
  readonly lengths: readonly number[];
  readonly causal: boolean;
  /** Scores are multiplied by it; usually 1 / sqrt(head size). */
  readonly scale: number;
  /** Sliding window: a query sees the last `window` positions up to its own (Mistral). Causal attention only. */
  readonly window?: number;
  /** Scores become softcap * tanh(score / softcap) (Gemma 2). */
  readonly softcap?: number;
  /**
   * One cache per sequence, with its earlier tokens: the rows of k and v are appended, and queries see all cached rows.
   * Unperturbed causal passes only.
   */
  readonly caches?: readonly KeyValueCache[];
  /**
   * A learned prefix (Li and Liang 2021): keys and values [length, key columns] at the positions before every sequence,
   * which all queries see. A window counts these positions too.
   */
  readonly prefix?: Prefix;
}

interface Prefix {
  readonly keys: Activation;
  readonly values: Activation;
}

/** Keys and values of one layer, for the tokens of one sequence in earlier passes. Opaque. */
export interface KeyValueCache {
  readonly device: string;
}

/** Rotary positions (Su et al. 2021, RoFormer): pairs of columns of each head are rotated by position * frequency. */
export interface RotaryShape {
  /** Columns of a head; x has a whole number of heads. */
  readonly headSize: number;
  /** Position of each row in its sequence. */
  readonly positions: Int32Array;
  /** Radians per position, for each pair. Only the first 2 * frequencies.length columns of a head are rotated. */
  readonly frequencies: Float64Array;
  /** Column i is paired with i + frequencies.length ("half", as Llama's weights are stored) or 2i with 2i + 1. */
  readonly pairing: "half" | "interleaved";
  /** Sine and cosine are multiplied by it (attention scaling of longrope and yarn); usually 1. */
  readonly scale: number;
}

/** The term of an adapter for a run of rows: scale * B (A x), with A [rank, in] and B [out, rank] (LoRA, Hu et al. 2021). */
export interface LowRankPart {
  readonly a: Weight;
  readonly b: Weight;
  readonly scale: number;
  /** The run: rows first, ..., first + rows - 1. */
  readonly first: number;
  readonly rows: number;
}

export interface HeadOptions {
  /** [vocab], added to the logits (RoBERTa). */
  readonly bias?: Weight | null;
  /** Logits become softcap * tanh(logit / softcap) (Gemma 2). */
  readonly softcap?: number;
}

export interface LogitOptions extends HeadOptions {
  /** Memory of just their size, which the device may fill and return instead of new memory. */
  readonly into?: Float32Array;
}

/** How a linear layer's weight is stored: [out, in] like torch's Linear, or [in, out] like GPT-2's Conv1D. */
export type WeightLayout = "out-in" | "in-out";

/** Number format of the factors in matrix products; sums are float32 or wider. */
export type Precision = "float32" | "bfloat16";

/**
 * Which kernels multiply the rows of an unperturbed pass.
 *
 * "rows": dot products of stored weights, for any number of rows. A weight is read once for all rows, so that a few rows, as in
 * decoding, cost little more than one. In bfloat16, only weights [out, in] that are stored as bfloat16 are multiplied so.
 *
 * "panels": products of packed weights, for any number of rows: faster for many, such as those of a prompt.
 *
 * Left out: whichever is faster for the number of rows.
 */
export type Products = "panels" | "rows";

export interface PassOptions {
  readonly products?: Products;
}

export type ActivationFunction = "relu" | "gelu" | "gelu_tanh" | "silu";

export interface Pass {
  /** Rows `ids` of `table` [entries, columns]. */
  embed(table: Weight, ids: Int32Array): Activation;
  add(a: Activation, b: Activation): Activation;
  /** Element by element. */
  multiply(a: Activation, b: Activation): Activation;
  scale(x: Activation, factor: number): Activation;
  /** Columns first, ..., first + count - 1. */
  slice(x: Activation, first: number, count: number): Activation;
  /** (x - mean) / sqrt(variance + epsilon) * weight + bias, over each row; null is a weight of ones or a bias of zeros. */
  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation;
  /**
   * x / sqrt(mean(x^2) + epsilon) * (weight + offset), over each group of weight.shape[0] columns of a row: the whole row,
   * or each head of it (Qwen3). `offset` is 1 for Gemma, which stores its weights minus 1, else 0.
   */
  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation;
  rotate(x: Activation, shape: RotaryShape): Activation;
  /** x [rows, in] times the weight, plus bias [out]; the weight is [out, in] unless `layout` says otherwise. */
  linear(x: Activation, weight: Weight, bias: Weight | null, layout?: WeightLayout): Activation;
  /**
   * y [rows, out] plus the terms of x [rows, in]. Runs of rows come in order and do not overlap; rows in none are y's. Unperturbed
   * passes only.
   */
  addLowRank(y: Activation, x: Activation, parts: readonly LowRankPart[]): Activation;
  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation;
  activate(x: Activation, kind: ActivationFunction): Activation;
  /** The rows named by `index`, in that order. */
  gather(x: Activation, index: Int32Array): Activation;
  /**
   * Cross-entropy in nats of each row of x [rows, in] against its target under softmax(x times head [vocab, in]
   * transposed). [sides * rows], the plus side first; an unperturbed or one-sided pass has one side.
   */
  losses(x: Activation, head: Weight, targets: Int32Array, options?: HeadOptions): Promise<Float64Array>;
  /** x times head transposed: [sides * rows, vocab], row-major, the plus side first. */
  logits(x: Activation, head: Weight, options?: LogitOptions): Promise<Float32Array>;
  /** Frees every activation of the pass. */
  end(): void;
}

/** Where a tensor's elements are in a file. */
export interface StoredTensor {
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  /** The dtype in safetensors. F16 is widened to F32, the dtype of the weight. */
  readonly dtype: string;
}

/** Consecutive elements of a tensor, for replay in pieces. */
export interface TensorPiece {
  /** Name of the tensor, which determines its noise. */
  readonly name: string;
  readonly dtype: WeightDtype;
  /** Flat index of its first element. */
  readonly first: number;
  /** Stored little-endian elements; changed in place. */
  readonly bytes: Uint8Array;
}

export interface Device {
  /** Stable short name: plain, native, tfjs. */
  readonly name: string;
  /** For people: backend, library version. */
  readonly description: string;
  /** The precisions that `begin` accepts; float32 is always one of them. */
  readonly precisions: readonly Precision[];
  /** Bytes of the memory that weights are in, where it is the device's own; left out where it is the machine's, or not known. */
  readonly memoryBytes?: number | undefined;
  /**
   * Whether a row of a pass with `products` has the same bits, however its sequence is cut into passes of the same operations
   * and whichever other sequences are in them. By "rows", low-rank terms of other rows do not change it either.
   */
  readonly rowsApart: boolean;
  /** Copies the stored little-endian bytes of a tensor to the device. */
  createWeight(spec: WeightSpec, bytes: Uint8Array): Weight;
  /** Like createWeight, for a device that maps model files into memory itself. */
  mapWeight?(spec: WeightSpec, stored: StoredTensor): Weight;
  /** Frees a weight. Do not use it afterwards. */
  freeWeight(weight: Weight): void;
  /** The stored bytes after all updates so far. */
  readWeight(weight: Weight): Promise<Uint8Array>;
  /**
   * Applies entries in order to trainable weights (docs/STEP_LOG.md, "Update"). A device may delay the work until a weight is
   * next used or read, as long as the result is the same.
   */
  update(weights: readonly Weight[], entries: LogEntries, noise: Noise): void;
  /** Resolves when the device has taken the updates so far, so that those of a long log do not pile up; left out: at once. */
  settled?(): Promise<void>;
  /** Applies entries in order to a piece of a tensor that is not a weight of the device: the same update, for replay. */
  replay(piece: TensorPiece, entries: LogEntries, noise: Noise): Promise<void>;
  /**
   * Hands the elements of each weight to `replay`, a piece at a time, and takes them back when it has resolved. Left out where
   * updates of weights are as fast as replays of pieces.
   */
  replayOutside?(weights: readonly Weight[], replay: (piece: TensorPiece) => Promise<void>): Promise<void>;
  /**
   * The same for a trainable weight, where it is: as many elements as `bytes` has, from the first on, which `bytes` holds
   * afterwards. For a device that maps model files into memory itself.
   */
  replayWeight?(weight: Weight, first: number, bytes: Uint8Array, entries: LogEntries, noise: Noise): Promise<void>;
  /** Starts a pass; one at a time. */
  begin(perturbation: Perturbation | null, precision?: Precision, options?: PassOptions): Pass;
  /** An empty cache. */
  createCache(): KeyValueCache;
  /** A new cache with the first `rows` rows of another. Both can grow. */
  copyCache(cache: KeyValueCache, rows: number): KeyValueCache;
  freeCache(cache: KeyValueCache): void;
  dispose(): void;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export const bytesPerElement: Readonly<Record<WeightDtype, number>> = { F32: 4, BF16: 2 };
