/**
 * The plain device: readable TypeScript, one loop an operation, sums in double. Slow, and the truth that the other
 * devices are tested against.
 */
import { invariant } from "../../schema/errors.ts";
import type {
  Activation,
  ActivationFunction,
  AttentionShape,
  Device,
  Pass,
  Perturbation,
  Weight,
  WeightSpec,
} from "./device.ts";
import type { StoredWeight } from "./stored.ts";
import { perturb, storeWeight, storedBytes, updateStored, valuesOf } from "./stored.ts";

/** One side's values, or both sides': plus, minus. Each [rows, columns], row-major. */
interface PlainActivation extends Activation {
  readonly sides: readonly Float32Array[];
}

export function createPlainDevice(): Device {
  const stored = new Map<Weight, StoredWeight>();
  const find = (weight: Weight): StoredWeight => {
    const found = stored.get(weight);
    invariant(found, `${weight.name} belongs to this device`);
    return found;
  };
  return {
    name: "plain",
    description: "plain TypeScript",
    createWeight(spec: WeightSpec, bytes: Uint8Array) {
      const weight = storeWeight("plain", spec, bytes);
      stored.set(weight, weight);
      return weight;
    },
    freeWeight: (weight) => void stored.delete(weight),
    readWeight: (weight) => Promise.resolve(storedBytes(find(weight))),
    update(weights, entries, noise) {
      for (const weight of weights) updateStored(find(weight), entries, noise);
    },
    begin: (perturbation) => new PlainPass(find, perturbation),
    dispose: () => stored.clear(),
  };
}

class PlainPass implements Pass {
  readonly #find: (weight: Weight) => StoredWeight;
  readonly #perturbation: Perturbation | null;

  constructor(find: (weight: Weight) => StoredWeight, perturbation: Perturbation | null) {
    this.#find = find;
    this.#perturbation = perturbation;
  }

  /** The values that each side computes with: one array, or w + e*n and w - e*n. */
  #sidesOf(weight: Weight): Float32Array[] {
    const stored = this.#find(weight);
    if (!this.#perturbation) return [valuesOf(stored.elements)];
    if (!weight.trainable) return [valuesOf(stored.elements), valuesOf(stored.elements)];
    return perturb(stored, this.#perturbation);
  }

  #sides(make: (side: number) => Float32Array): Float32Array[] {
    return this.#perturbation ? [make(0), make(1)] : [make(0)];
  }

  embed(table: Weight, ids: Int32Array): Activation {
    const [entries = 0, columns = 0] = table.shape;
    invariant(
      ids.every((id) => id >= 0 && id < entries),
      `ids lie in ${table.name}`,
    );
    const values = this.#sidesOf(table);
    const sides = this.#sides((side) => gatherRows(at(values, side), columns, ids));
    return plain(ids.length, columns, sides);
  }

  add(a: Activation, b: Activation): Activation {
    invariant(a.rows === b.rows && a.columns === b.columns, "summands have one shape");
    const [x, y] = [own(a), own(b)];
    const sides = this.#sides((side) => at(x.sides, side).map((value, i) => value + (at(y.sides, side)[i] ?? 0)));
    return plain(a.rows, a.columns, sides);
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    const scales = weight && this.#sidesOf(weight);
    const shifts = bias && this.#sidesOf(bias);
    const sides = this.#sides((side) =>
      normRows(at(own(x).sides, side), x.columns, epsilon, scales && at(scales, side), shifts && at(shifts, side)),
    );
    return plain(x.rows, x.columns, sides);
  }

  linear(x: Activation, weight: Weight, bias: Weight | null): Activation {
    const [outputs = 0, inputs = 0] = weight.shape;
    invariant(inputs === x.columns, `${weight.name} takes ${inputs} columns, not ${x.columns}`);
    const weights = this.#sidesOf(weight);
    const shifts = bias && this.#sidesOf(bias);
    const sides = this.#sides((side) =>
      multiplyTransposed(at(own(x).sides, side), at(weights, side), inputs, outputs, shifts && at(shifts, side)),
    );
    return plain(x.rows, outputs, sides);
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    const rows = shape.lengths.reduce((sum, length) => sum + length, 0);
    invariant(rows === q.rows && rows === k.rows && rows === v.rows, "the sequences' lengths add up to the rows");
    const sides = this.#sides((side) =>
      attend(at(own(q).sides, side), at(own(k).sides, side), at(own(v).sides, side), q.columns, k.columns, shape),
    );
    return plain(q.rows, q.columns, sides);
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    const sides = this.#sides((side) => at(own(x).sides, side).map(activationFunctions[kind]));
    return plain(x.rows, x.columns, sides);
  }

  gather(x: Activation, index: Int32Array): Activation {
    invariant(
      index.every((row) => row >= 0 && row < x.rows),
      "gathered rows exist",
    );
    const sides = this.#sides((side) => gatherRows(at(own(x).sides, side), x.columns, index));
    return plain(index.length, x.columns, sides);
  }

  losses(x: Activation, head: Weight, targets: Int32Array): Promise<Float64Array> {
    const [vocab = 0] = head.shape;
    invariant(targets.length === x.rows, "every row has a target");
    invariant(
      targets.every((target) => target >= 0 && target < vocab),
      "targets lie in the vocabulary",
    );
    const { sides } = own(this.linear(x, head, null));
    return Promise.resolve(Float64Array.from(sides.flatMap((logits) => crossEntropies(logits, vocab, targets))));
  }

  logits(x: Activation, head: Weight): Promise<Float32Array> {
    invariant(!this.#perturbation, "logits are read from an unperturbed pass");
    return Promise.resolve(at(own(this.linear(x, head, null)).sides, 0));
  }

  end(): void {
    // Memory goes with the last reference.
  }
}

function plain(rows: number, columns: number, sides: readonly Float32Array[]): PlainActivation {
  return { rows, columns, sides };
}

function own(activation: Activation): PlainActivation {
  invariant("sides" in activation, "the activation was made by this device");
  return activation as PlainActivation;
}

function at(sides: readonly Float32Array[], side: number): Float32Array {
  const values = sides[side];
  invariant(values, "every operand has both sides");
  return values;
}

function gatherRows(table: Float32Array, columns: number, index: Int32Array): Float32Array {
  const out = new Float32Array(index.length * columns);
  index.forEach((row, i) => out.set(table.subarray(row * columns, (row + 1) * columns), i * columns));
  return out;
}

function normRows(
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
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / columns;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    row.forEach((value, c) => (out[start + c] = (value - mean) * inverse * (scale?.[c] ?? 1) + (shift?.[c] ?? 0)));
  }
  return out;
}

/** x [rows, inputs] times w [outputs, inputs] transposed, plus bias. */
function multiplyTransposed(
  x: Float32Array,
  w: Float32Array,
  inputs: number,
  outputs: number,
  bias: Float32Array | null,
): Float32Array {
  const rows = x.length / inputs;
  const out = new Float32Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++) {
      out[row * outputs + output] = dot(x, row * inputs, w, output * inputs, inputs) + (bias?.[output] ?? 0);
    }
  }
  return out;
}

function dot(a: Float32Array, aStart: number, b: Float32Array, bStart: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (a[aStart + i] ?? 0) * (b[bStart + i] ?? 0);
  return sum;
}

/** softmax(scale * q k^T) v within each sequence and head. */
function attend(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  columns: number,
  keyColumns: number,
  shape: AttentionShape,
): Float32Array {
  const size = columns / shape.heads;
  const group = shape.heads / shape.keyValueHeads;
  const out = new Float32Array(q.length);
  let start = 0;
  for (const length of shape.lengths) {
    for (let head = 0; head < shape.heads; head++) {
      const keyOffset = Math.floor(head / group) * size;
      for (let i = start; i < start + length; i++) {
        const end = shape.causal ? i + 1 : start + length;
        const scores = new Float64Array(end - start);
        for (let j = start; j < end; j++) {
          scores[j - start] = shape.scale * dot(q, i * columns + head * size, k, j * keyColumns + keyOffset, size);
        }
        const weights = softmax(scores);
        for (let c = 0; c < size; c++) {
          let sum = 0;
          for (let j = start; j < end; j++) sum += (weights[j - start] ?? 0) * (v[j * keyColumns + keyOffset + c] ?? 0);
          out[i * columns + head * size + c] = sum;
        }
      }
    }
    start += length;
  }
  return out;
}

function softmax(scores: Float64Array): Float64Array {
  const peak = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = scores.map((score) => Math.exp(score - peak));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** log(sum(exp(logits))) - logits[target], for each row. */
function crossEntropies(logits: Float32Array, vocab: number, targets: Int32Array): number[] {
  return Array.from(targets, (target, row) => {
    const scores = logits.subarray(row * vocab, (row + 1) * vocab);
    const peak = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = scores.reduce((a, b) => a + Math.exp(b - peak), 0);
    return Math.log(sum) + peak - (scores[target] ?? NaN);
  });
}

const activationFunctions: Readonly<Record<ActivationFunction, (x: number) => number>> = {
  relu: (x) => (x < 0 ? 0 : x),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  silu: (x) => x / (1 + Math.exp(-x)),
};

/** Error function by its series below 3 and its continued fraction above; about 1e-15 relative. */
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
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}
