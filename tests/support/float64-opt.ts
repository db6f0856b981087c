/**
 * A tiny OPT a second time, in plain float64 and independent of the engine: what finite differences are taken of.
 * Pre-norm, ReLU, tied head (Zhang et al. 2022).
 */
import type { EncodedRow } from "../../dataset/encode.ts";

export type Weights = ReadonlyMap<string, Float64Array>;

export interface TinyOpt {
  readonly hidden: number;
  readonly heads: number;
  readonly layers: number;
  readonly inner: number;
}

/** Mean cross-entropy over all scored tokens, nats. */
export function lossOf(config: TinyOpt, weights: Weights, rows: readonly EncodedRow[]): number {
  const losses = rows.flatMap((row) => {
    const hidden = forward(config, weights, row.ids);
    return Array.from(row.positions, (at, i) => crossEntropy(weights, hidden[at] ?? [], row.targets[i] ?? 0));
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function forward(config: TinyOpt, weights: Weights, ids: Int32Array): number[][] {
  const { hidden, layers } = config;
  const row = (name: string, index: number) =>
    Array.from(tensor(weights, name).subarray(index * hidden, (index + 1) * hidden));
  let x = Array.from(ids, (id, at) => sum(row("embed_tokens.weight", id), row("embed_positions.weight", at + 2)));
  for (let layer = 0; layer < layers; layer++) {
    const name = `layers.${layer}`;
    const attended = attention(
      config,
      weights,
      `${name}.self_attn`,
      x.map((one) => norm(weights, `${name}.self_attn_layer_norm`, one)),
    );
    x = x.map((one, i) => sum(one, attended[i] ?? []));
    x = x.map((one) => {
      const inner = linear(weights, `${name}.fc1`, norm(weights, `${name}.final_layer_norm`, one));
      return sum(
        one,
        linear(
          weights,
          `${name}.fc2`,
          inner.map((value) => Math.max(0, value)),
        ),
      );
    });
  }
  return x.map((one) => norm(weights, "final_layer_norm", one));
}

function attention({ hidden, heads }: TinyOpt, weights: Weights, name: string, x: readonly number[][]): number[][] {
  const size = hidden / heads;
  const [q, k, v] = ["q_proj", "k_proj", "v_proj"].map((part) =>
    x.map((one) => linear(weights, `${name}.${part}`, one)),
  );
  return x.map((_, at) => {
    const out = Array.from({ length: heads }, (__, head) => {
      const part = (rows: readonly number[][] | undefined, index: number) =>
        (rows?.[index] ?? []).slice(head * size, (head + 1) * size);
      const scores = Array.from({ length: at + 1 }, (___, j) => dot(part(q, at), part(k, j)) / Math.sqrt(size));
      const peak = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - peak));
      const total = shares.reduce((a, b) => a + b);
      return Array.from({ length: size }, (___, c) =>
        shares.reduce((value, share, j) => value + (share / total) * (part(v, j)[c] ?? 0), 0),
      );
    });
    return linear(weights, `${name}.out_proj`, out.flat());
  });
}

function crossEntropy(weights: Weights, x: readonly number[], target: number): number {
  const table = tensor(weights, "embed_tokens.weight");
  const logits = Array.from({ length: table.length / x.length }, (_, id) =>
    dot(Array.from(table.subarray(id * x.length, (id + 1) * x.length)), x),
  );
  const peak = Math.max(...logits);
  return Math.log(logits.reduce((total, logit) => total + Math.exp(logit - peak), 0)) + peak - (logits[target] ?? NaN);
}

function linear(weights: Weights, name: string, x: readonly number[]): number[] {
  const matrix = tensor(weights, `${name}.weight`);
  return Array.from(tensor(weights, `${name}.bias`), (bias, output) =>
    x.reduce((total, value, i) => total + value * (matrix[output * x.length + i] ?? 0), bias),
  );
}

function norm(weights: Weights, name: string, x: readonly number[]): number[] {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((total, value) => total + (value - mean) ** 2, 0) / x.length;
  const [scale, shift] = [tensor(weights, `${name}.weight`), tensor(weights, `${name}.bias`)];
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (scale[i] ?? 0) + (shift[i] ?? 0));
}

function tensor(weights: Weights, name: string): Float64Array {
  const values = weights.get(`model.decoder.${name}`);
  if (!values) throw new Error(`the model has ${name}`);
  return values;
}

function sum(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value + (b[i] ?? 0));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((total, value, i) => total + value * (b[i] ?? 0), 0);
}
