/**
 * TensorFlow.js on libtensorflow (tfjs-node-gpu or tfjs-node): weights, noise, update and forward pass are TensorFlow
 * operations, on a GPU where it has one.
 *
 * An activation is one tensor [sides, rows, columns], so that both sides of a perturbed pass go through every operation
 * together. One side stands for both as long as nothing perturbed has touched it: the operations broadcast.
 */
import { invariant } from "../../schema/errors.ts";
import type { Activation, ActivationFunction, AttentionShape, Device, Pass, Perturbation, Weight } from "./device.ts";
import type { Handle } from "./tfjs-binding.ts";
import { TensorFlow, loadBinding, types } from "./tfjs-binding.ts";
import type { TensorflowWeight } from "./tfjs-tensorflow-weights.ts";
import {
  noiseAlignment,
  noiseOf,
  readTensorflowWeight,
  storeTensorflowWeight,
  updateTensorflowWeight,
  valuesOf,
} from "./tfjs-tensorflow-weights.ts";

/** Elements of the head that are multiplied with at once: scores of the whole vocabulary are never held. */
const headChunkElements = 2 ** 23;

/** Added to scores that attention must not see; far below any score, and finite, as infinities would make NaN. */
const masked = -1e30;

interface TensorflowActivation extends Activation {
  readonly values: Handle;
}

export interface TensorflowDevice extends Device {
  /** Tensors that TensorFlow holds now. */
  tensors(): number;
}

/** @throws when neither tfjs-node package can be loaded */
export function createTensorflowDevice(): TensorflowDevice {
  const { binding, description } = loadBinding();
  const tf = new TensorFlow(binding);
  const stored = new Map<Weight, TensorflowWeight>();
  const find = (weight: Weight): TensorflowWeight => {
    const found = stored.get(weight);
    invariant(found, `${weight.name} belongs to this device`);
    return found;
  };
  const freeWeight = (weight: Weight) => {
    tf.free(find(weight).values);
    stored.delete(weight);
  };
  return {
    name: "tfjs",
    description,
    createWeight(spec, bytes) {
      const weight = storeTensorflowWeight(tf, spec, bytes);
      stored.set(weight, weight);
      return weight;
    },
    freeWeight,
    readWeight: (weight) => Promise.resolve(readTensorflowWeight(tf, find(weight))),
    update(weights, entries, noise) {
      for (const weight of weights) updateTensorflowWeight(tf, find(weight), entries, noise);
    },
    begin: (perturbation) => new TensorflowPass(tf, find, perturbation),
    dispose: () => [...stored.keys()].forEach(freeWeight),
    tensors: () => tf.tensors(),
  };
}

class TensorflowPass implements Pass {
  readonly #tf: TensorFlow;
  readonly #find: (weight: Weight) => TensorflowWeight;
  readonly #perturbation: Perturbation | null;
  readonly #made: Handle[] = [];

  constructor(tf: TensorFlow, find: (weight: Weight) => TensorflowWeight, perturbation: Perturbation | null) {
    this.#tf = tf;
    this.#find = find;
    this.#perturbation = perturbation;
  }

  embed(table: Weight, ids: Int32Array): Activation {
    const weight = this.#find(table);
    const [entries = 0, columns = 0] = table.shape;
    invariant(
      ids.every((id) => id >= 0 && id < entries),
      `ids lie in ${table.name}`,
    );
    return this.#make(ids.length, columns, (tf) => {
      const rows = (values: Handle) => tf.gather(tf.reshape(values, [1, entries, columns]), ids, 1);
      const w = rows(valuesOf(tf, weight, 0, weight.elements));
      return this.#perturb(weight, w, (seed, noise) => rows(noiseOf(tf, noise, seed, weight.id, 0, weight.elements)));
    });
  }

  add(a: Activation, b: Activation): Activation {
    invariant(a.rows === b.rows && a.columns === b.columns, "summands have one shape");
    return this.#make(a.rows, a.columns, (tf) => tf.binary("AddV2", own(a), own(b)));
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    return this.#make(x.rows, x.columns, (tf) => {
      const centred = tf.binary("Sub", own(x), tf.reduce("Mean", own(x)));
      const variance = tf.reduce("Mean", tf.unary("Square", centred));
      const inverse = tf.unary("Rsqrt", tf.binary("AddV2", variance, tf.scalar(epsilon)));
      let y = tf.binary("Mul", centred, inverse);
      if (weight) y = tf.binary("Mul", y, this.#vector(weight));
      if (bias) y = tf.binary("AddV2", y, this.#vector(bias));
      return y;
    });
  }

  linear(x: Activation, weight: Weight, bias: Weight | null): Activation {
    const [outputs = 0] = weight.shape;
    return this.#make(x.rows, outputs, (tf) => {
      const product = this.#multiply(x, weight, 0, outputs);
      return bias ? tf.binary("AddV2", product, this.#vector(bias)) : product;
    });
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    const rows = shape.lengths.reduce((sum, length) => sum + length, 0);
    invariant(rows === q.rows && rows === k.rows && rows === v.rows, "the sequences' lengths add up to the rows");
    return this.#make(q.rows, q.columns, (tf) => attend(tf, own(q), own(k), own(v), shape));
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    return this.#make(x.rows, x.columns, (tf) => activations[kind](tf, own(x)));
  }

  gather(x: Activation, index: Int32Array): Activation {
    invariant(
      index.every((row) => row >= 0 && row < x.rows),
      "gathered rows exist",
    );
    return this.#make(index.length, x.columns, (tf) => tf.gather(own(x), index, 1));
  }

  losses(x: Activation, head: Weight, targets: Int32Array): Promise<Float64Array> {
    const [vocab = 0] = head.shape;
    invariant(targets.length === x.rows, "every row has a target");
    invariant(
      targets.every((target) => target >= 0 && target < vocab),
      "targets lie in the vocabulary",
    );
    const sides = this.#perturbation ? 2 : 1;
    const totals = new Float64Array(sides * x.rows).fill(-Infinity);
    const scores = new Float64Array(sides * x.rows).fill(NaN);
    this.#forHeadChunks(x, head, (logits, first, count) => {
      const sums = this.#read((tf) => logSumExp(tf, logits));
      const places = targets.map((target) => Math.min(Math.max(target - first, 0), count - 1));
      const picked = this.#read((tf) => pick(tf, logits, places));
      totals.forEach((total, i) => {
        // One side may stand for both.
        const at = i % sums.length;
        const target = (targets[i % x.rows] ?? 0) - first;
        totals[i] = addLogs(total, sums[at] ?? NaN);
        if (target >= 0 && target < count) scores[i] = picked[at] ?? NaN;
      });
    });
    return Promise.resolve(totals.map((total, i) => total - (scores[i] ?? NaN)));
  }

  logits(x: Activation, head: Weight): Promise<Float32Array> {
    invariant(!this.#perturbation, "logits are read from an unperturbed pass");
    const [vocab = 0] = head.shape;
    const all = new Float32Array(x.rows * vocab);
    this.#forHeadChunks(x, head, (logits, first, count) => {
      const values = this.#tf.floats(logits);
      for (let row = 0; row < x.rows; row++) {
        all.set(values.subarray(row * count, (row + 1) * count), row * vocab + first);
      }
    });
    return Promise.resolve(all);
  }

  end(): void {
    for (const handle of this.#made.splice(0)) this.#tf.free(handle);
  }

  /** Calls `use` with the logits [sides, rows, count] of the head's rows from `first` on, until it had all. */
  #forHeadChunks(x: Activation, head: Weight, use: (logits: Handle, first: number, count: number) => void): void {
    const [vocab = 0, inputs = 0] = head.shape;
    const chunk = noiseAlignment * Math.max(1, Math.floor(headChunkElements / inputs / noiseAlignment));
    for (let first = 0; first < vocab; first += chunk) {
      const count = Math.min(chunk, vocab - first);
      const logits = this.#tf.scope(() => this.#multiply(x, head, first, count));
      use(logits, first, count);
      this.#tf.free(logits);
    }
  }

  /** x times the transpose of the weight's rows first, ..., first + count - 1: [sides, rows, count]. */
  #multiply(x: Activation, handle: Weight, first: number, count: number): Handle {
    const weight = this.#find(handle);
    const [, inputs = 0] = weight.shape;
    invariant(inputs === x.columns, `${weight.name} takes ${inputs} columns, not ${x.columns}`);
    return this.#tf.multiply(own(x), this.#sides(weight, first * inputs, [1, count, inputs]), true);
  }

  #vector(handle: Weight): Handle {
    const weight = this.#find(handle);
    return this.#sides(weight, 0, [1, 1, weight.elements]);
  }

  /** Elements from `first` on, in a shape that begins with the sides: one, or w + e*n and w - e*n. */
  #sides(weight: TensorflowWeight, first: number, shape: readonly number[]): Handle {
    const tf = this.#tf;
    const count = shape.reduce((product, size) => product * size, 1);
    const w = tf.reshape(valuesOf(tf, weight, first, count), shape);
    return this.#perturb(weight, w, (seed, noise) =>
      tf.reshape(noiseOf(tf, noise, seed, weight.id, first, count), shape),
    );
  }

  /** w [1, ., .] as it is, or w + e*n and w - e*n [2, ., .] with the noise that `draw` makes in w's shape. */
  #perturb(weight: TensorflowWeight, w: Handle, draw: (seed: bigint, noise: Perturbation["noise"]) => Handle): Handle {
    if (!this.#perturbation || !weight.trainable) return w;
    const { seed, size, noise } = this.#perturbation;
    const sizes = this.#tf.constant(Float32Array.of(size, -size), [2, 1, 1]);
    return this.#tf.binary("AddV2", w, this.#tf.binary("Mul", sizes, draw(seed, noise)));
  }

  #make(rows: number, columns: number, make: (tf: TensorFlow) => Handle): TensorflowActivation {
    const values = this.#tf.scope(() => make(this.#tf));
    this.#made.push(values);
    return { rows, columns, values };
  }

  #read(make: (tf: TensorFlow) => Handle): Float32Array {
    const handle = this.#tf.scope(() => make(this.#tf));
    const values = this.#tf.floats(handle);
    this.#tf.free(handle);
    return values;
  }
}

function own(x: Activation): Handle {
  invariant("values" in x, "the activation was made by this device");
  return (x as TensorflowActivation).values;
}

/** softmax(scale * q k^T) v of sequences padded to the longest: [sides, sequences, key heads, group, tokens, size]. */
function attend(tf: TensorFlow, q: Handle, k: Handle, v: Handle, shape: AttentionShape): Handle {
  const { lengths, heads, keyValueHeads } = shape;
  const tokens = Math.max(0, ...lengths);
  const size = (q.shape[2] ?? 0) / heads;
  const { padded, packed } = padding(lengths, tokens);
  const split = (x: Handle, group: number) => {
    const axes = [x.shape[0] ?? 1, lengths.length, tokens, keyValueHeads, group, size];
    return tf.transpose(tf.reshape(tf.gather(x, padded, 1), axes), [0, 1, 3, 4, 2, 5]);
  };
  const scores = tf.multiply(split(q, heads / keyValueHeads), split(k, 1), true);
  const scaled = tf.binary("Mul", scores, tf.scalar(shape.scale));
  const weights = tf.unary("Softmax", tf.binary("AddV2", scaled, mask(tf, shape, tokens)));
  const mixed = tf.transpose(tf.multiply(weights, split(v, 1), false), [0, 1, 4, 2, 3, 5]);
  return tf.gather(tf.reshape(mixed, [mixed.shape[0] ?? 1, lengths.length * tokens, heads * size]), packed, 1);
}

/** Rows as padded sequences name them (padding repeats a row), and where the packed rows lie among those. */
function padding(lengths: readonly number[], tokens: number): { padded: Int32Array; packed: Int32Array } {
  const padded: number[] = [];
  const packed: number[] = [];
  let start = 0;
  for (const length of lengths) {
    for (let token = 0; token < length; token++) packed.push(padded.length + token);
    for (let token = 0; token < tokens; token++) padded.push(start + Math.min(token, length - 1));
    start += length;
  }
  return { padded: Int32Array.from(padded), packed: Int32Array.from(packed) };
}

/** [1, sequences, 1, 1, tokens, tokens]. */
function mask(tf: TensorFlow, { lengths, causal }: AttentionShape, tokens: number): Handle {
  const values = new Float32Array(lengths.length * tokens * tokens);
  lengths.forEach((length, sequence) => {
    for (let query = 0; query < tokens; query++) {
      const seen = Math.min(length, causal ? query + 1 : tokens);
      const row = (sequence * tokens + query) * tokens;
      values.fill(masked, row + seen, row + tokens);
    }
  });
  return tf.constant(values, [1, lengths.length, 1, 1, tokens, tokens]);
}

const activations: Readonly<Record<ActivationFunction, (tf: TensorFlow, x: Handle) => Handle>> = {
  relu: (tf, x) => tf.unary("Relu", x),
  gelu: (tf, x) => gated(tf, x, tf.unary("Erf", tf.binary("Mul", x, tf.scalar(Math.SQRT1_2)))),
  gelu_tanh(tf, x) {
    const cubes = tf.binary("Mul", tf.binary("Mul", tf.unary("Square", x), x), tf.scalar(0.044715));
    const scaled = tf.binary("Mul", tf.binary("AddV2", x, cubes), tf.scalar(Math.sqrt(2 / Math.PI)));
    return gated(tf, x, tf.unary("Tanh", scaled));
  },
  silu: (tf, x) => tf.binary("Mul", x, tf.unary("Sigmoid", x)),
};

/** 0.5 * x * (1 + gate). */
function gated(tf: TensorFlow, x: Handle, gate: Handle): Handle {
  return tf.binary("Mul", tf.binary("Mul", x, tf.scalar(0.5)), tf.binary("AddV2", gate, tf.scalar(1)));
}

/** Over the last axis: [sides, rows, 1]. */
function logSumExp(tf: TensorFlow, logits: Handle): Handle {
  const peaks = tf.reduce("Max", logits);
  const sums = tf.reduce("Sum", tf.unary("Exp", tf.binary("Sub", logits, peaks)));
  return tf.binary("AddV2", tf.unary("Log", sums), peaks);
}

/** Of each row the logit at its place: [sides * rows]. */
function pick(tf: TensorFlow, logits: Handle, places: Int32Array): Handle {
  const [sides = 0, rows = 0, count = 0] = logits.shape;
  const flat = tf.reshape(logits, [sides * rows * count]);
  const index = Int32Array.from({ length: sides * rows }, (_, i) => i * count + (places[i % rows] ?? 0));
  return tf.gather(flat, index, 0, types.float32);
}

/** log(exp(a) + exp(b)). */
function addLogs(a: number, b: number): number {
  const peak = Math.max(a, b);
  return peak + Math.log(Math.exp(a - peak) + Math.exp(b - peak));
}
