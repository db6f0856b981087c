/**
 * The plain device: readable TypeScript, one loop per operation (plain-kernels.ts), sums in float64. Slow; the other devices
 * are tested against it.
 */
import { invariant } from "../../schema/errors.ts";
import {
  checkAttention,
  checkGather,
  checkGroups,
  checkIds,
  checkLinear,
  checkLowRank,
  checkOptions,
  checkPrecision,
  checkRotary,
  checkSameShape,
  checkSlice,
  checkTargets,
} from "./checks.ts";
import type {
  Activation,
  ActivationFunction,
  AttentionShape,
  Device,
  HeadOptions,
  KeyValueCache,
  LowRankPart,
  Pass,
  Perturbation,
  Precision,
  RotaryShape,
  Weight,
  WeightLayout,
  WeightSpec,
} from "./device.ts";
import { sidesOf } from "./device.ts";
import {
  activationFunctions,
  attend,
  cap,
  crossEntropies,
  gatherRows,
  joined,
  layerNormRows,
  multiplyMatrix,
  rmsNormGroups,
  rotateHeads,
  sliceColumns,
} from "./plain-kernels.ts";
import type { StoredCache, StoredWeight } from "./host-memory.ts";
import {
  Owned,
  copyStoredCache,
  createStoredCache,
  perturb,
  replayPiece,
  storeWeight,
  storedBytes,
  updateStored,
  valuesOf,
} from "./host-memory.ts";

const name = "plain";
const precisions: readonly Precision[] = ["float32"];

/** One side's values, or both sides': plus, minus. Each [rows, columns], row-major. */
interface PlainActivation extends Activation {
  readonly sides: readonly Float32Array[];
}

export function createPlainDevice(): Device {
  const weights = new Owned<Weight, StoredWeight>();
  const caches = new Owned<KeyValueCache, StoredCache>();
  return {
    name,
    description: "plain TypeScript",
    precisions,
    rowsApart: true,
    createWeight: (spec: WeightSpec, bytes: Uint8Array) => weights.add(storeWeight(name, spec, bytes)),
    freeWeight: (weight) => weights.free(weight),
    readWeight: (weight) => Promise.resolve(storedBytes(weights.find(weight))),
    update(handles, entries, noise) {
      for (const weight of handles) updateStored(weights.find(weight), entries, noise);
    },
    replay: replayPiece,
    begin(perturbation, precision = "float32", options = {}) {
      checkPrecision({ name, precisions }, precision);
      checkOptions(options, perturbation);
      return new PlainPass(weights, caches, perturbation);
    },
    createCache: () => caches.add(createStoredCache(name)),
    copyCache: (cache, rows) => caches.add(copyStoredCache(caches.find(cache), rows)),
    freeCache: (cache) => caches.free(cache),
    dispose() {
      weights.clear();
      caches.clear();
    },
  };
}

class PlainPass implements Pass {
  readonly #weights: Owned<Weight, StoredWeight>;
  readonly #caches: Owned<KeyValueCache, StoredCache>;
  readonly #perturbation: Perturbation | null;

  constructor(
    weights: Owned<Weight, StoredWeight>,
    caches: Owned<KeyValueCache, StoredCache>,
    perturbation: Perturbation | null,
  ) {
    this.#weights = weights;
    this.#caches = caches;
    this.#perturbation = perturbation;
  }

  embed(table: Weight, ids: Int32Array): Activation {
    checkIds(table, ids);
    const [, columns = 0] = table.shape;
    const values = this.#sidesOf(table);
    return this.#make(ids.length, columns, (side) => gatherRows(at(values, side), columns, ids));
  }

  add(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#each(a, (x, side) => x.map((value, i) => value + (at(own(b).sides, side)[i] ?? 0)));
  }

  multiply(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#each(a, (x, side) => x.map((value, i) => value * (at(own(b).sides, side)[i] ?? 0)));
  }

  scale(x: Activation, factor: number): Activation {
    return this.#each(x, (values) => values.map((value) => value * factor));
  }

  slice(x: Activation, first: number, count: number): Activation {
    checkSlice(x, first, count);
    return this.#make(x.rows, count, (side) => sliceColumns(at(own(x).sides, side), x.columns, first, count));
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    const scales = weight && this.#sidesOf(weight);
    const shifts = bias && this.#sidesOf(bias);
    return this.#each(x, (values, side) =>
      layerNormRows(values, x.columns, epsilon, scales && at(scales, side), shifts && at(shifts, side)),
    );
  }

  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation {
    checkGroups(x, weight);
    const scales = this.#sidesOf(weight);
    return this.#each(x, (values, side) => rmsNormGroups(values, at(scales, side), epsilon, offset));
  }

  rotate(x: Activation, shape: RotaryShape): Activation {
    checkRotary(x, shape);
    return this.#each(x, (values) => rotateHeads(values, x.columns, shape));
  }

  linear(x: Activation, weight: Weight, bias: Weight | null, layout: WeightLayout = "out-in"): Activation {
    const { inputs, outputs } = checkLinear(x, weight, layout);
    const weights = this.#sidesOf(weight);
    const shifts = bias && this.#sidesOf(bias);
    return this.#make(x.rows, outputs, (side) => {
      const shift = shifts && at(shifts, side);
      return multiplyMatrix(at(own(x).sides, side), at(weights, side), inputs, outputs, layout, shift);
    });
  }

  addLowRank(y: Activation, x: Activation, parts: readonly LowRankPart[]): Activation {
    checkLowRank(y, x, parts, this.#perturbation);
    const out = at(own(y).sides, 0).slice();
    for (const { a, b, scale, first, rows } of parts) {
      const [[inner = new Float32Array()], [outer = new Float32Array()]] = [this.#sidesOf(a), this.#sidesOf(b)];
      const [rank = 0, inputs = 0] = a.shape;
      const some = at(own(x).sides, 0).subarray(first * inputs, (first + rows) * inputs);
      const low = multiplyMatrix(some, inner, inputs, rank, "out-in", null);
      const high = multiplyMatrix(low, outer, rank, y.columns, "out-in", null);
      high.forEach((value, i) => (out[first * y.columns + i] = (out[first * y.columns + i] ?? 0) + scale * value));
    }
    return this.#make(y.rows, y.columns, () => out);
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    checkAttention([q, k, v], shape, this.#perturbation);
    return this.#each(q, (queries, side) => {
      const [keys, values] = [at(own(k).sides, side), at(own(v).sides, side)];
      const out = new Float32Array(queries.length);
      let start = 0;
      for (const [index, length] of shape.lengths.entries()) {
        const rows = (x: Float32Array, columns: number) => x.subarray(start * columns, (start + length) * columns);
        const cache = shape.caches?.[index];
        const stored = cache && this.#caches.find(cache);
        const seen = {
          k: stored ? stored.keys.append(rows(keys, k.columns), k.columns) : rows(keys, k.columns),
          v: stored ? stored.values.append(rows(values, v.columns), v.columns) : rows(values, v.columns),
        };
        const sequence = {
          q: rows(queries, q.columns),
          k: shape.prefix ? joined(at(own(shape.prefix.keys).sides, side), seen.k) : seen.k,
          v: shape.prefix ? joined(at(own(shape.prefix.values).sides, side), seen.v) : seen.v,
          columns: q.columns,
          keyColumns: k.columns,
        };
        out.set(attend(sequence, shape), start * q.columns);
        start += length;
      }
      return out;
    });
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    return this.#each(x, (values) => values.map(activationFunctions[kind]));
  }

  gather(x: Activation, index: Int32Array): Activation {
    checkGather(x, index);
    return this.#make(index.length, x.columns, (side) => gatherRows(at(own(x).sides, side), x.columns, index));
  }

  losses(x: Activation, head: Weight, targets: Int32Array, options: HeadOptions = {}): Promise<Float64Array> {
    checkTargets(x, head, targets, options);
    const [vocab = 0] = head.shape;
    const losses = this.#scores(x, head, options).flatMap((logits) => crossEntropies(logits, vocab, targets));
    return Promise.resolve(Float64Array.from(losses));
  }

  logits(x: Activation, head: Weight, options: HeadOptions = {}): Promise<Float32Array> {
    const sides = this.#scores(x, head, options);
    const logits = new Float32Array(sides.reduce((length, side) => length + side.length, 0));
    sides.forEach((side, index) => logits.set(side, index * side.length));
    return Promise.resolve(logits);
  }

  end(): void {
    // The garbage collector frees the memory.
  }

  #scores(x: Activation, head: Weight, { bias, softcap }: HeadOptions): Float32Array[] {
    const { sides } = own(this.linear(x, head, bias ?? null));
    return sides.map((logits) => logits.map((logit) => cap(logit, softcap)));
  }

  /** The weight on each side: w itself, or w + e*n and w - e*n. */
  #sidesOf(weight: Weight): Float32Array[] {
    const stored = this.#weights.find(weight);
    const sides = sidesOf(this.#perturbation);
    if (this.#perturbation && weight.trainable) return perturb(stored, this.#perturbation).slice(0, sides);
    return Array.from({ length: sides }, () => valuesOf(stored.elements));
  }

  /** An activation of the same shape as x, computed from x on each side. */
  #each(x: Activation, make: (values: Float32Array, side: number) => Float32Array): PlainActivation {
    return this.#make(x.rows, x.columns, (side) => make(at(own(x).sides, side), side));
  }

  #make(rows: number, columns: number, make: (side: number) => Float32Array): PlainActivation {
    return { rows, columns, sides: Array.from({ length: sidesOf(this.#perturbation) }, (_, side) => make(side)) };
  }
}

/** The values [rows, columns] of an activation of an unperturbed pass. */
export function plainValues(activation: Activation): Float32Array {
  return at(own(activation).sides, 0);
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
