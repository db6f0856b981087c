/**
 * TensorFlow.js on libtensorflow (tfjs-node-gpu or tfjs-node): weights, noise, update and forward pass are TensorFlow
 * operations, on a GPU if there is one.
 *
 * An activation is one tensor [sides, rows, columns], so that each operation computes both sides of a perturbed pass. Until a
 * perturbed weight has been used, one side counts for both: the operations broadcast.
 */
import { invariant } from "../../../schema/errors.ts";
import {
  checkAttention,
  checkGather,
  checkGroups,
  checkIds,
  checkLinear,
  checkPrecision,
  checkRotary,
  checkSameShape,
  checkSlice,
  checkTargets,
} from "../checks.ts";
import type {
  Activation,
  ActivationFunction,
  AttentionShape,
  Device,
  HeadOptions,
  KeyValueCache,
  Pass,
  Perturbation,
  Precision,
  RotaryShape,
  Weight,
  WeightLayout,
} from "../device.ts";
import { sidesOf } from "../device.ts";
import { Owned, replayPiece } from "../host-memory.ts";
import { attend, capped, prefixed, rotated } from "./attention.ts";
import type { Handle } from "./binding.ts";
import { TensorFlow, loadBinding } from "./binding.ts";
import { activations, addLogs, logSumExp, pickLogits } from "./operations.ts";
import type { TensorflowWeight } from "./weights.ts";
import {
  noiseAlignment,
  noiseOf,
  readTensorflowWeight,
  storeTensorflowWeight,
  updateTensorflowWeight,
  valuesOf,
} from "./weights.ts";

/** Elements of the head used at a time, so that the scores of the whole vocabulary are never in memory at once. */
const headChunkElements = 2 ** 23;

const name = "tfjs";
const precisions: readonly Precision[] = ["float32"];

interface TensorflowActivation extends Activation {
  readonly values: Handle;
}

/** Keys and values [1, tokens, columns], or null while empty. */
interface TensorflowCache extends KeyValueCache {
  keys: Handle | null;
  values: Handle | null;
}

export interface TensorflowDevice extends Device {
  readonly onGpu: boolean;
  /** Number of tensors that TensorFlow has allocated. */
  tensors(): number;
}

/** @param found as loadBinding takes it @throws if no tfjs-node package can be loaded */
export function createTensorflowDevice(...found: Parameters<typeof loadBinding>): TensorflowDevice {
  const { binding, description, onGpu } = loadBinding(...found);
  const tf = new TensorFlow(binding);
  const weights = new Owned<Weight, TensorflowWeight>();
  const caches = new Owned<KeyValueCache, TensorflowCache>();
  const freeWeight = (handle: Weight) => {
    tf.free(weights.find(handle).values);
    weights.free(handle);
  };
  const freeCache = (handle: KeyValueCache) => {
    const { keys, values } = caches.find(handle);
    if (keys) tf.free(keys);
    if (values) tf.free(values);
    caches.free(handle);
  };
  return {
    name,
    description,
    onGpu,
    precisions,
    createWeight: (spec, bytes) => weights.add(storeTensorflowWeight(tf, spec, bytes)),
    freeWeight,
    readWeight: (weight) => Promise.resolve(readTensorflowWeight(tf, weights.find(weight))),
    update(handles, entries, noise) {
      for (const weight of handles) updateTensorflowWeight(tf, weights.find(weight), entries, noise);
    },
    // On the CPU: a piece is used once, and copying it to a GPU and back would cost more.
    replay: replayPiece,
    begin(perturbation, precision = "float32") {
      checkPrecision({ name, precisions }, precision);
      return new TensorflowPass(tf, weights, caches, perturbation);
    },
    createCache: () => caches.add({ device: name, keys: null, values: null }),
    freeCache,
    dispose() {
      weights.all().forEach(freeWeight);
      caches.all().forEach(freeCache);
    },
    tensors: () => tf.tensors(),
  };
}

class TensorflowPass implements Pass {
  readonly #tf: TensorFlow;
  readonly #weights: Owned<Weight, TensorflowWeight>;
  readonly #caches: Owned<KeyValueCache, TensorflowCache>;
  readonly #perturbation: Perturbation | null;
  readonly #made: Handle[] = [];

  constructor(
    tf: TensorFlow,
    weights: Owned<Weight, TensorflowWeight>,
    caches: Owned<KeyValueCache, TensorflowCache>,
    perturbation: Perturbation | null,
  ) {
    this.#tf = tf;
    this.#weights = weights;
    this.#caches = caches;
    this.#perturbation = perturbation;
  }

  embed(table: Weight, ids: Int32Array): Activation {
    checkIds(table, ids);
    const weight = this.#weights.find(table);
    const [entries = 0, columns = 0] = table.shape;
    return this.#make(ids.length, columns, (tf) => {
      const rows = (values: Handle) => tf.gather(tf.reshape(values, [1, entries, columns]), ids, 1);
      const w = rows(valuesOf(tf, weight, 0, weight.elements));
      return this.#perturb(weight, w, (seed, noise) => rows(noiseOf(tf, noise, seed, weight.id, 0, weight.elements)));
    });
  }

  add(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#make(a.rows, a.columns, (tf) => tf.binary("AddV2", own(a), own(b)));
  }

  multiply(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#make(a.rows, a.columns, (tf) => tf.binary("Mul", own(a), own(b)));
  }

  scale(x: Activation, factor: number): Activation {
    return this.#make(x.rows, x.columns, (tf) => tf.binary("Mul", own(x), tf.scalar(factor)));
  }

  slice(x: Activation, first: number, count: number): Activation {
    checkSlice(x, first, count);
    const columns = Int32Array.from({ length: count }, (_, i) => first + i);
    return this.#make(x.rows, count, (tf) => tf.gather(own(x), columns, 2));
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

  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation {
    const size = checkGroups(x, weight);
    return this.#make(x.rows, x.columns, (tf) => {
      const groups = tf.reshape(own(x), [own(x).shape[0] ?? 1, x.rows, x.columns / size, size]);
      const square = tf.reduce("Mean", tf.unary("Square", groups));
      const inverse = tf.unary("Rsqrt", tf.binary("AddV2", square, tf.scalar(epsilon)));
      const vector = this.#vector(weight);
      const scales = tf.binary("AddV2", vector, tf.scalar(offset));
      const scaled = tf.reshape(scales, [vector.shape[0] ?? 1, 1, 1, size]);
      const y = tf.binary("Mul", tf.binary("Mul", groups, inverse), scaled);
      return tf.reshape(y, [y.shape[0] ?? 1, x.rows, x.columns]);
    });
  }

  rotate(x: Activation, shape: RotaryShape): Activation {
    checkRotary(x, shape);
    return this.#make(x.rows, x.columns, (tf) => rotated(tf, own(x), shape));
  }

  linear(x: Activation, weight: Weight, bias: Weight | null, layout: WeightLayout = "out-in"): Activation {
    const { outputs } = checkLinear(x, weight, layout);
    return this.#make(x.rows, outputs, (tf) => {
      const product = this.#multiply(x, weight, 0, outputs, layout);
      return bias ? tf.binary("AddV2", product, this.#vector(bias)) : product;
    });
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    checkAttention([q, k, v], shape, this.#perturbation);
    const { prefix } = shape;
    const caches = shape.caches?.map((handle) => this.#caches.find(handle));
    if (caches) this.#append(caches, shape.lengths, k, v);
    const seen = caches?.map(({ keys }) => keys?.shape[1] ?? 0) ?? shape.lengths;
    return this.#make(q.rows, q.columns, (tf) => {
      const of = (part: "keys" | "values", x: Activation): Handle => {
        const kept = caches?.flatMap((cache) => cache[part] ?? []);
        const rows = kept ? tf.concat(kept, 1) : own(x);
        return prefix ? prefixed(tf, own(prefix[part]), rows, seen) : rows;
      };
      const all = seen.map((length) => (prefix?.keys.rows ?? 0) + length);
      return attend(tf, own(q), of("keys", k), of("values", v), shape, all);
    });
  }

  /** Appends each sequence's rows of k and v to its cache. */
  #append(caches: readonly TensorflowCache[], lengths: readonly number[], k: Activation, v: Activation): void {
    let start = 0;
    for (const [index, cache] of caches.entries()) {
      const rows = Int32Array.from({ length: lengths[index] ?? 0 }, (_, row) => start + row);
      cache.keys = this.#appended(cache.keys, own(k), rows);
      cache.values = this.#appended(cache.values, own(v), rows);
      start += rows.length;
    }
  }

  #appended(before: Handle | null, x: Handle, rows: Int32Array): Handle {
    const after = this.#tf.scope(() => {
      const added = this.#tf.gather(x, rows, 1);
      return before ? this.#tf.concat([before, added], 1) : added;
    });
    if (before) this.#tf.free(before);
    return after;
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    return this.#make(x.rows, x.columns, (tf) => activations[kind](tf, own(x)));
  }

  gather(x: Activation, index: Int32Array): Activation {
    checkGather(x, index);
    return this.#make(index.length, x.columns, (tf) => tf.gather(own(x), index, 1));
  }

  losses(x: Activation, head: Weight, targets: Int32Array, options: HeadOptions = {}): Promise<Float64Array> {
    checkTargets(x, head, targets, options);
    const sides = sidesOf(this.#perturbation);
    const totals = new Float64Array(sides * x.rows).fill(-Infinity);
    const scores = new Float64Array(sides * x.rows).fill(NaN);
    this.#forHeadChunks(x, head, options, (logits, first, count) => {
      const sums = this.#read((tf) => logSumExp(tf, logits));
      const columns = targets.map((target) => Math.min(Math.max(target - first, 0), count - 1));
      const picked = this.#read((tf) => pickLogits(tf, logits, columns));
      totals.forEach((total, i) => {
        // One side may count for both.
        const at = i % sums.length;
        const target = (targets[i % x.rows] ?? 0) - first;
        totals[i] = addLogs(total, sums[at] ?? NaN);
        if (target >= 0 && target < count) scores[i] = picked[at] ?? NaN;
      });
    });
    return Promise.resolve(totals.map((total, i) => total - (scores[i] ?? NaN)));
  }

  logits(x: Activation, head: Weight, options: HeadOptions = {}): Promise<Float32Array> {
    const [vocab = 0] = head.shape;
    const rows = sidesOf(this.#perturbation) * x.rows;
    const all = new Float32Array(rows * vocab);
    this.#forHeadChunks(x, head, options, (logits, first, count) => {
      const values = this.#tf.floats(logits);
      for (let row = 0; row < rows; row++) {
        // One side may count for both.
        const from = (row * count) % values.length;
        all.set(values.subarray(from, from + count), row * vocab + first);
      }
    });
    return Promise.resolve(all);
  }

  end(): void {
    for (const handle of this.#made.splice(0)) this.#tf.free(handle);
  }

  /** Calls `use` with the logits [sides, rows, count] for rows first, ..., first + count - 1 of the head, chunk by chunk. */
  #forHeadChunks(
    x: Activation,
    head: Weight,
    { bias, softcap }: HeadOptions,
    use: (logits: Handle, first: number, count: number) => void,
  ): void {
    const [vocab = 0, inputs = 0] = head.shape;
    checkLinear(x, head, "out-in");
    const shift = bias && this.#weights.find(bias);
    const chunk = noiseAlignment * Math.max(1, Math.floor(headChunkElements / inputs / noiseAlignment));
    for (let first = 0; first < vocab; first += chunk) {
      const count = Math.min(chunk, vocab - first);
      const logits = this.#tf.scope(() => {
        let scores = this.#multiply(x, head, first, count, "out-in");
        if (shift) scores = this.#tf.binary("AddV2", scores, this.#sides(shift, first, [1, 1, count]));
        return capped(this.#tf, scores, softcap);
      });
      use(logits, first, count);
      this.#tf.free(logits);
    }
  }

  /** x times outputs first, ..., first + count - 1 of a weight, or all outputs if it is [in, out]: [sides, rows, count]. */
  #multiply(x: Activation, handle: Weight, first: number, count: number, layout: WeightLayout): Handle {
    const weight = this.#weights.find(handle);
    const matrix = layout === "out-in" ? [1, count, x.columns] : [1, x.columns, count];
    const values = this.#sides(weight, first * x.columns, matrix);
    return this.#tf.multiply(own(x), values, layout === "out-in");
  }

  #vector(handle: Weight): Handle {
    const weight = this.#weights.find(handle);
    return this.#sides(weight, 0, [1, 1, weight.elements]);
  }

  /** Elements from `first` on, with the sides as the first axis: w itself, or w + e*n and w - e*n. */
  #sides(weight: TensorflowWeight, first: number, shape: readonly number[]): Handle {
    const tf = this.#tf;
    const count = shape.reduce((product, size) => product * size, 1);
    const w = tf.reshape(valuesOf(tf, weight, first, count), shape);
    return this.#perturb(weight, w, (seed, noise) =>
      tf.reshape(noiseOf(tf, noise, seed, weight.id, first, count), shape),
    );
  }

  /** w [1, ., .] itself, or w + e*n and (of two sides) w - e*n: [sides, ., .]. `draw` makes the noise in the shape of w. */
  #perturb(weight: TensorflowWeight, w: Handle, draw: (seed: bigint, noise: Perturbation["noise"]) => Handle): Handle {
    if (!this.#perturbation || !weight.trainable) return w;
    const { seed, size, noise } = this.#perturbation;
    const sides = sidesOf(this.#perturbation);
    const sizes = this.#tf.constant(Float32Array.of(size, -size).subarray(0, sides), [sides, 1, 1]);
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
