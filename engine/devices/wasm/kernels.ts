/**
 * The small operations of the wasm device, in TypeScript on views of the wasm heap: each is faster than several TensorFlow.js
 * kernels and needs no intermediate tensors. Matrices are row-major; sums are float64.
 */
import type { ActivationFunction, AttentionShape, RotaryShape } from "../device.ts";

/** Rows transposed together: their cache lines stay in the first-level cache. */
const tile = 16;

/** Writes the transpose of w [rows, columns] into `to` [columns, rows]. */
export function transpose(w: Float32Array, to: Float32Array, rows: number, columns: number): void {
  for (let row = 0; row < rows; row += tile) {
    const end = Math.min(rows, row + tile);
    for (let c = 0; c < columns; c++) {
      for (let r = row; r < end; r++) to[c * rows + r] = w[r * columns + c] ?? 0;
    }
  }
}

/** Writes the transposes of w + size * n and w - size * n, [rows, columns], into `plus` and `minus`, [columns, rows]. */
export function perturbTransposed(
  w: Float32Array,
  n: Int8Array,
  size: number,
  plus: Float32Array,
  minus: Float32Array,
  rows: number,
  columns: number,
): void {
  for (let row = 0; row < rows; row += tile) {
    const end = Math.min(rows, row + tile);
    for (let c = 0; c < columns; c++) {
      for (let r = row; r < end; r++) {
        const value = w[r * columns + c] ?? 0;
        const step = size * (n[r * columns + c] ?? 0);
        plus[c * rows + r] = value + step;
        minus[c * rows + r] = value - step;
      }
    }
  }
}

/** out[at + i] = w[i] + size * n[i]. */
export function perturbInto(out: Float32Array, at: number, w: Float32Array, n: Int8Array, size: number): void {
  for (let i = 0; i < w.length; i++) out[at + i] = (w[i] ?? 0) + size * (n[i] ?? 0);
}

export function addInto(out: Float32Array, a: Float32Array, b: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) + (b[i] ?? 0);
}

export function multiplyInto(out: Float32Array, a: Float32Array, b: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) * (b[i] ?? 0);
}

export function scaleInto(out: Float32Array, x: Float32Array, factor: number): void {
  for (let i = 0; i < out.length; i++) out[i] = (x[i] ?? 0) * factor;
}

/** In place; scores become softcap * tanh(score / softcap). */
export function capInPlace(scores: Float32Array | Float64Array, softcap: number): void {
  for (let i = 0; i < scores.length; i++) scores[i] = softcap * Math.tanh((scores[i] ?? 0) / softcap);
}

/** Columns first, ..., first + count - 1 of x. */
export function sliceInto(out: Float32Array, x: Float32Array, columns: number, first: number, count: number): void {
  for (let from = first, to = 0; to < out.length; from += columns, to += count) {
    out.set(x.subarray(from, from + count), to);
  }
}

/** RMS norm of each group of scale.length columns. */
export function rmsNormInto(
  out: Float32Array,
  x: Float32Array,
  scale: Float32Array,
  epsilon: number,
  offset: number,
): void {
  const size = scale.length;
  for (let start = 0; start < x.length; start += size) {
    const inverse = 1 / Math.sqrt(squaresOfRow(x, start, size, 0) / size + epsilon);
    for (let c = 0; c < size; c++) out[start + c] = (x[start + c] ?? 0) * inverse * ((scale[c] ?? 0) + offset);
  }
}

export function rotateInto(out: Float32Array, x: Float32Array, columns: number, shape: RotaryShape): void {
  const { headSize, positions, frequencies, pairing, scale } = shape;
  const pairs = frequencies.length;
  const [stride, apart] = pairing === "half" ? [1, pairs] : [2, 1];
  const [cosines, sines] = [new Float64Array(pairs), new Float64Array(pairs)];
  out.set(x);
  for (let row = 0; row < positions.length; row++) {
    for (let pair = 0; pair < pairs; pair++) {
      const angle = (positions[row] ?? 0) * (frequencies[pair] ?? 0);
      cosines[pair] = Math.cos(angle) * scale;
      sines[pair] = Math.sin(angle) * scale;
    }
    for (let head = row * columns; head < (row + 1) * columns; head += headSize) {
      for (let pair = 0; pair < pairs; pair++) {
        const first = head + pair * stride;
        const [cos, sin] = [cosines[pair] ?? 0, sines[pair] ?? 0];
        const [a, b] = [x[first] ?? 0, x[first + apart] ?? 0];
        out[first] = a * cos - b * sin;
        out[first + apart] = b * cos + a * sin;
      }
    }
  }
}

/** Layer norm of each row of x, scaled and shifted. */
export function normInto(
  out: Float32Array,
  x: Float32Array,
  columns: number,
  epsilon: number,
  scale: Float32Array,
  shift: Float32Array,
): void {
  for (let start = 0; start < x.length; start += columns) {
    const mean = sumOfRow(x, start, columns) / columns;
    const variance = squaresOfRow(x, start, columns, mean) / columns;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    for (let c = 0; c < columns; c++) {
      out[start + c] = ((x[start + c] ?? 0) - mean) * inverse * (scale[c] ?? 1) + (shift[c] ?? 0);
    }
  }
}

/** Two partial sums, so that additions do not wait for each other. */
function sumOfRow(x: Float32Array, start: number, columns: number): number {
  const even = columns & ~1;
  let a = 0;
  let b = 0;
  for (let i = start; i < start + even; i += 2) {
    a += x[i] ?? 0;
    b += x[i + 1] ?? 0;
  }
  return even === columns ? a + b : a + b + (x[start + even] ?? 0);
}

function squaresOfRow(x: Float32Array, start: number, columns: number, mean: number): number {
  const even = columns & ~1;
  let a = 0;
  let b = 0;
  for (let i = start; i < start + even; i += 2) {
    const first = (x[i] ?? 0) - mean;
    const second = (x[i + 1] ?? 0) - mean;
    a += first * first;
    b += second * second;
  }
  return even === columns ? a + b : a + b + ((x[start + even] ?? 0) - mean) ** 2;
}

/** Keys and values [seen, keyColumns] of one sequence; the last ones are the last token's. */
interface Seen {
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/**
 * softmax(scale * q k^T) v within each sequence and head; q and out are [rows, columns]. `seenBy` returns the keys and values
 * of a sequence by its index.
 */
export function attendInto(
  out: Float32Array,
  q: Float32Array,
  columns: number,
  shape: AttentionShape,
  seenBy: (sequence: number) => Seen,
): void {
  const { heads, keyValueHeads, softcap, window = Infinity } = shape;
  const size = columns / heads;
  const keyColumns = size * keyValueHeads;
  const query = new Float64Array(size);
  const sums = new Float64Array(size);
  let start = 0;
  for (const [sequence, length] of shape.lengths.entries()) {
    const seen = seenBy(sequence);
    const count = seen.k.length / keyColumns;
    const keys = new Float64Array(paddedTo4(count) * size);
    const values = new Float64Array(paddedTo4(count) * size);
    const scores = new Float64Array(paddedTo4(count));
    for (let head = 0; head < heads; head++) {
      if (head % (heads / keyValueHeads) === 0) {
        const from = (head * keyValueHeads * size) / heads;
        widenRows(keys, seen.k, from, keyColumns, count, size);
        widenRows(values, seen.v, from, keyColumns, count, size);
      }
      for (let row = 0; row < length; row++) {
        const at = (start + row) * columns + head * size;
        const end = shape.causal ? count - length + row + 1 : count;
        // Groups of four keys: those before the window get the score -Infinity, so their weight is 0.
        const hidden = shape.causal ? Math.max(0, end - window) : 0;
        const first = hidden & ~3;
        for (let c = 0; c < size; c++) query[c] = (q[at + c] ?? 0) * shape.scale;
        scoreKeys(scores, query, keys, first, end, size);
        if (softcap !== undefined) capInPlace(scores.subarray(first, end), softcap);
        scores.fill(-Infinity, first, hidden);
        const total = exponentiate(scores, first, end);
        sumValues(sums, scores, values, first, end, size);
        for (let c = 0; c < size; c++) out[at + c] = (sums[c] ?? 0) / total;
      }
    }
    start += length;
  }
}

function paddedTo4(count: number): number {
  return (count + 3) & ~3;
}

/** Packs one head's rows as doubles, padded with zeros to a multiple of four rows. */
function widenRows(to: Float64Array, x: Float32Array, from: number, stride: number, rows: number, size: number): void {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < size; c++) to[row * size + c] = x[from + row * stride + c] ?? 0;
  }
  to.fill(0, rows * size, paddedTo4(rows) * size);
}

/** scores[j] = query . key j for first <= j < end, four keys at a time, so that sums do not wait for each other. */
function scoreKeys(
  scores: Float64Array,
  query: Float64Array,
  keys: Float64Array,
  first: number,
  end: number,
  size: number,
): void {
  for (let j = first; j < end; j += 4) {
    const [k0, k1, k2, k3] = [j * size, (j + 1) * size, (j + 2) * size, (j + 3) * size];
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let c = 0; c < size; c++) {
      const x = query[c] ?? 0;
      s0 += x * (keys[k0 + c] ?? 0);
      s1 += x * (keys[k1 + c] ?? 0);
      s2 += x * (keys[k2 + c] ?? 0);
      s3 += x * (keys[k3 + c] ?? 0);
    }
    scores[j] = s0;
    scores[j + 1] = s1;
    scores[j + 2] = s2;
    scores[j + 3] = s3;
  }
}

/** Replaces scores by exp(score - maximum) and returns their sum. */
function exponentiate(scores: Float64Array, first: number, end: number): number {
  let peak = -Infinity;
  for (let j = first; j < end; j++) if ((scores[j] ?? 0) > peak) peak = scores[j] ?? 0;
  let total = 0;
  for (let j = first; j < end; j++) {
    const power = Math.exp((scores[j] ?? 0) - peak);
    scores[j] = power;
    total += power;
  }
  return total;
}

/** sums = the weighted sum of the values, four at a time. Clears the weights from `end` to a multiple of four. */
function sumValues(
  sums: Float64Array,
  weights: Float64Array,
  values: Float64Array,
  first: number,
  end: number,
  size: number,
): void {
  weights.fill(0, end, paddedTo4(end));
  sums.fill(0);
  for (let j = first; j < end; j += 4) {
    const [w0, w1, w2, w3] = [weights[j] ?? 0, weights[j + 1] ?? 0, weights[j + 2] ?? 0, weights[j + 3] ?? 0];
    const at = j * size;
    for (let c = at; c < at + size; c++) {
      const pair = w0 * (values[c] ?? 0) + w1 * (values[c + size] ?? 0);
      const other = w2 * (values[c + 2 * size] ?? 0) + w3 * (values[c + 3 * size] ?? 0);
      sums[c - at] = (sums[c - at] ?? 0) + (pair + other);
    }
  }
}

export function activateInto(out: Float32Array, x: Float32Array, kind: ActivationFunction): void {
  loops[kind](out, x);
}

/** One loop per function, so that each is compiled separately. */
const loops: Readonly<Record<ActivationFunction, (out: Float32Array, x: Float32Array) => void>> = {
  relu(out, x) {
    // Exact, and five times as fast as Math.max or a branch on random signs.
    for (let i = 0; i < x.length; i++) out[i] = 0.5 * ((x[i] ?? 0) + Math.abs(x[i] ?? 0));
  },
  gelu(out, x) {
    for (let i = 0; i < x.length; i++) out[i] = gelu(x[i] ?? 0);
  },
  gelu_tanh(out, x) {
    const factor = Math.sqrt(2 / Math.PI);
    for (let i = 0; i < x.length; i++) {
      const value = x[i] ?? 0;
      out[i] = 0.5 * value * (1 + Math.tanh(factor * (value + 0.044715 * value * value * value)));
    }
  },
  silu(out, x) {
    for (let i = 0; i < x.length; i++) {
      const value = x[i] ?? 0;
      out[i] = value / (1 + Math.exp(-value));
    }
  },
};

/** x times the normal distribution function, with erf by Abramowitz and Stegun 7.1.26 (error below 1.5e-7). */
function gelu(x: number): number {
  const size = Math.abs(x) * Math.SQRT1_2;
  const t = 1 / (1 + 0.3275911 * size);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = 0.5 * series * Math.exp(-size * size);
  return x < 0 ? x * tail : x * (1 - tail);
}

/** Cross-entropy log(sum(exp(scores))) - scores[target] of rows whose scores arrive in chunks of columns. */
export class CrossEntropy {
  readonly #targets: Int32Array;
  readonly #peaks: Float64Array;
  readonly #sums: Float64Array;
  readonly #scores: Float64Array;

  constructor(targets: Int32Array) {
    this.#targets = targets;
    this.#peaks = new Float64Array(targets.length).fill(-Infinity);
    this.#sums = new Float64Array(targets.length);
    this.#scores = new Float64Array(targets.length).fill(NaN);
  }

  /** Adds the scores [rows, count] of columns first, ..., first + count - 1. */
  add(scores: Float32Array, first: number, count: number): void {
    for (let row = 0; row < this.#targets.length; row++) {
      const start = row * count;
      const before = this.#peaks[row] ?? 0;
      let peak = before;
      for (let i = start; i < start + count; i++) if ((scores[i] ?? 0) > peak) peak = scores[i] ?? 0;
      let sum = (this.#sums[row] ?? 0) * (before === peak ? 1 : Math.exp(before - peak));
      for (let i = start; i < start + count; i++) sum += Math.exp((scores[i] ?? 0) - peak);
      this.#peaks[row] = peak;
      this.#sums[row] = sum;
      const target = (this.#targets[row] ?? 0) - first;
      if (target >= 0 && target < count) this.#scores[row] = scores[start + target] ?? NaN;
    }
  }

  losses(): Float64Array {
    return this.#scores.map((score, row) => Math.log(this.#sums[row] ?? 0) + (this.#peaks[row] ?? 0) - score);
  }
}
