/**
 * The narrow waist between models and devices. A model family is written once against a Pass; a device supplies it.
 *
 * A pass is one forward computation over packed sequences: activations are float32 [rows, columns], one row a token,
 * no padding. A perturbed pass measures both sides of SPSA at once: every activation then stands for two halves, the
 * rows under w + e*n and the rows under w - e*n, made from one draw of the noise. A model does not see this: it counts
 * the rows of one side, and only the losses come back per side. Perturbed weights are used and thrown away; stored
 * weights change in `update` alone.
 *
 * Operations are queued and may run later; what `losses` and `logits` return has run. Shapes that do not fit break an
 * invariant.
 */
import type { LogEntry } from "../../schema/step-log.ts";
import type { Noise } from "../numbers/noise.ts";

export type WeightDtype = "F32" | "BF16";

export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: WeightDtype;
  /** Whether the noise and the update reach it. */
  readonly trainable: boolean;
}

/** A weight as a device keeps it; opaque but for what it is called and its shape. */
export interface Weight extends WeightSpec {
  readonly device: string;
}

/** Activations [rows, columns] of one side; opaque. Freed when its pass ends. */
export interface Activation {
  readonly rows: number;
  readonly columns: number;
}

/** w +- e * n with the noise of `seed`; `size` is e of docs/STEP_LOG.md. */
export interface Perturbation {
  readonly seed: bigint;
  readonly size: number;
  readonly noise: Noise;
  /** Measures w + e * n alone: the pass has one side. */
  readonly oneSided?: boolean;
}

/** How often a pass computes every row. */
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
  /** Factor of the scores, usually 1 / sqrt(head size). */
  readonly scale: number;
  /** Sliding window: a query sees the last `window` positions up to its own (Mistral). Causal attention only. */
  readonly window?: number;
  /** Scores become softcap * tanh(score / softcap) (Gemma 2). */
  readonly softcap?: number;
  /**
   * What came before, one cache a sequence: the rows of k and v are appended to it, and queries see all that it then
   * holds. Unperturbed causal passes only.
   */
  readonly caches?: readonly KeyValueCache[];
  /**
   * Keys and values [length, key columns] that every query of every sequence sees, as those of places before the first of
   * its sequence: a learned prefix (Li and Liang 2021). A window counts them as such places.
   */
  readonly prefix?: Prefix;
}

export interface Prefix {
  readonly keys: Activation;
  readonly values: Activation;
}

/** Keys and values of the tokens of one sequence that earlier passes saw, of one layer; opaque. */
export interface KeyValueCache {
  readonly device: string;
}

/** Rotary positions (Su et al. 2021, RoFormer): pairs of columns of each head are turned by position * frequency. */
export interface RotaryShape {
  /** Columns of a head; x has a whole number of heads. */
  readonly headSize: number;
  /** Position of each row in its sequence. */
  readonly positions: Int32Array;
  /** Radians a position, one for each pair; the first 2 * frequencies.length columns of a head are turned. */
  readonly frequencies: Float64Array;
  /** Column i is paired with i + frequencies.length ("half", as Llama's weights are stored) or 2i with 2i + 1. */
  readonly pairing: "half" | "interleaved";
  /** Factor of sine and cosine (attention scaling of longrope and yarn), usually 1. */
  readonly scale: number;
}

export interface HeadOptions {
  /** [vocab], added to the logits (RoBERTa). */
  readonly bias?: Weight | null;
  /** Logits become softcap * tanh(logit / softcap) (Gemma 2). */
  readonly softcap?: number;
}

/** How a linear layer's weight is stored: [out, in] as torch's Linear, or [in, out] as GPT-2's Conv1D. */
export type WeightLayout = "out-in" | "in-out";

/** Number format that products are multiplied in; sums are float32 or wider. */
export type Precision = "float32" | "bfloat16";

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
  /** (x - mean) / sqrt(variance + epsilon) * weight + bias, over each row; no weight, no scaling. */
  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation;
  /**
   * x / sqrt(mean(x^2) + epsilon) * (weight + offset), over each group of weight.shape[0] columns of a row: the whole row,
   * or each head of it (Qwen3). `offset` is 1 for Gemma, which stores its weights less one, else 0.
   */
  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation;
  rotate(x: Activation, shape: RotaryShape): Activation;
  /** x [rows, in] times the weight, plus bias [out]; the weight is [out, in] unless `layout` says otherwise. */
  linear(x: Activation, weight: Weight, bias: Weight | null, layout?: WeightLayout): Activation;
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
  logits(x: Activation, head: Weight, options?: HeadOptions): Promise<Float32Array>;
  /** Frees every activation of the pass. */
  end(): void;
}

/** Where a tensor's elements lie in a file. */
export interface StoredTensor {
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  /** As safetensors names it; F16 is widened to the F32 that the weight then has. */
  readonly dtype: string;
}

/** A run of elements of a tensor, for replay by pieces. */
export interface TensorPiece {
  /** Name of the tensor, which its noise is drawn by. */
  readonly name: string;
  readonly dtype: WeightDtype;
  /** Flat index of its first element. */
  readonly first: number;
  /** Stored little-endian elements; changed in place. */
  readonly bytes: Uint8Array;
}

export interface Device {
  /** Stable short name: plain, tfjs. */
  readonly name: string;
  /** What it runs on, for people: backend, library version. */
  readonly description: string;
  /** What `begin` may be asked to multiply in; float32 is always among them. */
  readonly precisions: readonly Precision[];
  /** Takes the stored little-endian bytes of a tensor; the device's copy is its own. */
  createWeight(spec: WeightSpec, bytes: Uint8Array): Weight;
  /** As createWeight, by a device that reads model files itself (by mapping them into memory). */
  mapWeight?(spec: WeightSpec, stored: StoredTensor): Weight;
  /** Gives a weight's memory back; it must not be used again. */
  freeWeight(weight: Weight): void;
  /** The stored bytes as they are after every update so far. */
  readWeight(weight: Weight): Promise<Uint8Array>;
  /**
   * Applies entries, in order, to a trainable weight (docs/STEP_LOG.md, "Update"). A device may put the work off until
   * the weight is next used or read; it may not change the outcome.
   */
  update(weights: readonly Weight[], entries: readonly LogEntry[], noise: Noise): void;
  /** Applies entries, in order, to a piece of a tensor that is no weight of the device: the same update, for replay. */
  replay(piece: TensorPiece, entries: readonly LogEntry[], noise: Noise): Promise<void>;
  /** Begins a pass; one at a time. */
  begin(perturbation: Perturbation | null, precision?: Precision): Pass;
  /** An empty cache, until it is freed. */
  createCache(): KeyValueCache;
  freeCache(cache: KeyValueCache): void;
  dispose(): void;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export const bytesPerElement: Readonly<Record<WeightDtype, number>> = { F32: 4, BF16: 2 };
