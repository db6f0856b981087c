/**
 * The operations of the plain device, each written like its formula: row-major matrices, sums in float64 in order of index. No
 * result depends on the machine: elementary functions come from deterministic-math.ts, and the rest is IEEE 754.
 */
import { cos, exp, log, sin, tanh } from "../numbers/deterministic-math.ts";
import type { ActivationFunction, AttentionShape, RotaryShape, WeightLayout } from "./device.ts";

export function gatherRows(table: Float32Array, columns: number, index: Int32Array): Float32Array {
  const out = new Float32Array(index.length * columns);
  index.forEach((row, i) => out.set(table.subarray(row * columns, (row + 1) * columns), i * columns));
  return out;
}

/** The rows of `a`, then those of `b`. */
export function joined(a: Float32Array, b: Float32Array): Float32Array {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

export function sliceColumns(x: Float32Array, columns: number, first: number, count: number): Float32Array {
  const out = new Float32Array((x.length / columns) * count);
  for (let row = 0; row * columns < x.length; row++) {
    out.set(x.subarray(row * columns + first, row * columns + first + count), row * count);
  }
  return out;
}

export function layerNormRows(
  x: Float32Array,
  columns: number,
  epsilon: number,
  scale: Float32Array | null,
  shift: Float32Array | null,
): Float32Array {
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const row = x.subarray(start, start + columns);
    const mean = row.reduce((sum, value) => sum + value, 0) / columns;
    const variance = row.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / columns;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    row.forEach((value, c) => (out[start + c] = (value - mean) * inverse * (scale?.[c] ?? 1) + (shift?.[c] ?? 0)));
  }
  return out;
}

/** RMS norm of each group of scale.length columns. */
export function rmsNormGroups(x: Float32Array, scale: Float32Array, epsilon: number, offset: number): Float32Array {
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += scale.length) {
    const group = x.subarray(start, start + scale.length);
    const square = group.reduce((sum, value) => sum + value * value, 0) / scale.length;
    const inverse = 1 / Math.sqrt(square + epsilon);
    group.forEach((value, c) => (out[start + c] = value * inverse * ((scale[c] ?? 0) + offset)));
  }
  return out;
}

/** Each pair (a, b) of a head's columns becomes (a cos - b sin, b cos + a sin). */
export function rotateHeads(x: Float32Array, columns: number, shape: RotaryShape): Float32Array {
  const { headSize, positions, frequencies, pairing, scale } = shape;
  const out = x.slice();
  positions.forEach((position, row) => {
    for (let head = row * columns; head < (row + 1) * columns; head += headSize) {
      frequencies.forEach((frequency, pair) => {
        const [first, second] = pairing === "half" ? [pair, pair + frequencies.length] : [2 * pair, 2 * pair + 1];
        const across = cos(position * frequency) * scale;
        const up = sin(position * frequency) * scale;
        const [a, b] = [x[head + first] ?? 0, x[head + second] ?? 0];
        out[head + first] = a * across - b * up;
        out[head + second] = b * across + a * up;
      });
    }
  });
  return out;
}

/** x [rows, inputs] times w, plus bias [outputs]. */
export function multiplyMatrix(
  x: Float32Array,
  w: Float32Array,
  inputs: number,
  outputs: number,
  layout: WeightLayout,
  bias: Float32Array | null,
): Float32Array {
  const rows = x.length / inputs;
  const out = new Float32Array(rows * outputs);
  const [perOutput, perInput] = layout === "out-in" ? [inputs, 1] : [1, outputs];
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = bias?.[output] ?? 0;
      for (let i = 0; i < inputs; i++) sum += (x[row * inputs + i] ?? 0) * (w[output * perOutput + i * perInput] ?? 0);
      out[row * outputs + output] = sum;
    }
  }
  return out;
}

/** One sequence: queries [tokens, columns], keys and values [seen, keyColumns]. The last key is the last token's. */
interface Sequence {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly columns: number;
  readonly keyColumns: number;
}

/** softmax(scale * q k^T) v for each head of a sequence: [tokens, columns]. */
export function attend({ q, k, v, columns, keyColumns }: Sequence, shape: AttentionShape): Float32Array {
  const size = columns / shape.heads;
  const group = shape.heads / shape.keyValueHeads;
  const [tokens, keys] = [q.length / columns, k.length / keyColumns];
  const out = new Float32Array(q.length);
  for (let token = 0; token < tokens; token++) {
    const own = keys - tokens + token;
    const [first, end] = shape.causal ? [Math.max(0, own + 1 - (shape.window ?? Infinity)), own + 1] : [0, keys];
    for (let head = 0; head < shape.heads; head++) {
      const query = q.subarray(token * columns + head * size, token * columns + (head + 1) * size);
      const keyAt = (key: number) => key * keyColumns + Math.floor(head / group) * size;
      const scores = Float64Array.from({ length: end - first }, (_, i) =>
        cap(shape.scale * dot(query, k, keyAt(first + i)), shape.softcap),
      );
      const weights = softmax(scores);
      for (let c = 0; c < size; c++) {
        let sum = 0;
        weights.forEach((weight, i) => (sum += weight * (v[keyAt(first + i) + c] ?? 0)));
        out[token * columns + head * size + c] = sum;
      }
    }
  }
  return out;
}

function dot(a: Float32Array, b: Float32Array, bStart: number): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[bStart + i] ?? 0);
  return sum;
}

export function cap(score: number, softcap: number | undefined): number {
  return softcap === undefined ? score : softcap * tanh(score / softcap);
}

function softmax(scores: Float64Array): Float64Array {
  const peak = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = scores.map((score) => exp(score - peak));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** log(sum(exp(logits))) - logits[target], for each row. */
export function crossEntropies(logits: Float32Array, vocab: number, targets: Int32Array): number[] {
  return Array.from(targets, (target, row) => {
    const scores = logits.subarray(row * vocab, (row + 1) * vocab);
    const peak = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = scores.reduce((a, b) => a + exp(b - peak), 0);
    return log(sum) + peak - (scores[target] ?? NaN);
  });
}

export const activationFunctions: Readonly<Record<ActivationFunction, (x: number) => number>> = {
  relu: (x) => (x < 0 ? 0 : x),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => 0.5 * x * (1 + tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  silu: (x) => x / (1 + exp(-x)),
};

/** The error function, by its series below 3 and its continued fraction above. Relative error about 1e-15. */
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  return Math.sign(x) * (size < 3 ? erfSeries(size) : 1 - erfcFraction(size));
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
    term *= -(x * x) / k;
    sum += term / (2 * k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function erfcFraction(x: number): number {
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (x + fraction);
  return exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}
