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
import type { Noise } from "../noise.ts";

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
}

export type ActivationFunction = "relu" | "gelu" | "gelu_tanh" | "silu";

export interface Pass {
  /** Rows `ids` of `table` [entries, columns]. */
  embed(table: Weight, ids: Int32Array): Activation;
  add(a: Activation, b: Activation): Activation;
  /** (x - mean) / sqrt(variance + epsilon) * weight + bias, over each row; no weight, no scaling. */
  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation;
  /** x [rows, in] times weight [out, in] transposed, plus bias [out]. */
  linear(x: Activation, weight: Weight, bias: Weight | null): Activation;
  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation;
  activate(x: Activation, kind: ActivationFunction): Activation;
  /** The rows named by `index`, in that order. */
  gather(x: Activation, index: Int32Array): Activation;
  /**
   * Cross-entropy in nats of each row of x [rows, in] against its target under softmax(x times head [vocab, in]
   * transposed). [rows] for an unperturbed pass; else [2 * rows], the plus side first.
   */
  losses(x: Activation, head: Weight, targets: Int32Array): Promise<Float64Array>;
  /** x times head transposed: [rows, vocab], row-major. Unperturbed passes only. */
  logits(x: Activation, head: Weight): Promise<Float32Array>;
  /** Frees every activation of the pass. */
  end(): void;
}

export interface Device {
  /** Stable short name: plain, tfjs. */
  readonly name: string;
  /** What it runs on, for people: backend, library version. */
  readonly description: string;
  /** Takes the stored little-endian bytes of a tensor; the device's copy is its own. */
  createWeight(spec: WeightSpec, bytes: Uint8Array): Weight;
  /** Gives a weight's memory back; it must not be used again. */
  freeWeight(weight: Weight): void;
  /** The stored bytes as they are after every update so far. */
  readWeight(weight: Weight): Promise<Uint8Array>;
  /**
   * Applies entries, in order, to a trainable weight (docs/STEP_LOG.md, "Update"). A device may put the work off until
   * the weight is next used or read; it may not change the outcome.
   */
  update(weights: readonly Weight[], entries: readonly LogEntry[], noise: Noise): void;
  /** Begins a pass; one at a time. */
  begin(perturbation: Perturbation | null): Pass;
  dispose(): void;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export const bytesPerElement: Readonly<Record<WeightDtype, number>> = { F32: 4, BF16: 2 };
