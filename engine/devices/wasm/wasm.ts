/**
 * TensorFlow.js on its wasm backend: XNNPACK does matrix products on the wasm heap, and loops in TypeScript do the rest on views
 * of that heap, without copies.
 *
 * Weights are typed arrays outside the heap. XNNPACK needs [in, out], and is ten times slower if tfjs transposes for it, so a
 * weight [out, in] is transposed while it is perturbed; the copy is freed after the product.
 */
import type { TensorInfo } from "@tensorflow/tfjs-core";
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
  Pass,
  Perturbation,
  Precision,
  RotaryShape,
  Weight,
  WeightLayout,
} from "../device.ts";
import { sidesOf } from "../device.ts";
import { joined } from "../plain-kernels.ts";
import type { StoredWeight } from "../host-memory.ts";
import { createStoredCache, replayPiece, storeWeight, storedBytes, valuesOf } from "../host-memory.ts";
import type { WasmHeap } from "./heap.ts";
import { openWasmBackend } from "./heap.ts";
import {
  CrossEntropy,
  activateInto,
  addInto,
  attendInto,
  capInPlace,
  multiplyInto,
  normInto,
  perturbInto,
  perturbTransposed,
  rmsNormInto,
  rotateInto,
  scaleInto,
  sliceInto,
} from "./kernels.ts";
import type { Outputs } from "./weights.ts";
import { WasmWeights } from "./weights.ts";

/** Elements of the head used at a time, so that the scores of the whole vocabulary are never in memory at once. */
const headChunkElements = 2 ** 20;

const name = "tfjs";
const precisions: readonly Precision[] = ["float32"];

/** One tensor [1, rows, columns] per side: plus, minus. */
interface WasmActivation extends Activation {
  readonly sides: readonly TensorInfo[];
}

export interface WasmDevice extends Device {
  /** Number of tensors on the wasm heap. */
  tensors(): number;
}

/** @throws if the backend cannot be loaded or started */
export async function createWasmDevice(): Promise<WasmDevice> {
  const { heap, version } = await openWasmBackend();
  const shared = new WasmWeights(heap);
  return {
    name,
    description: `TensorFlow.js ${version}, wasm backend`,
    precisions,
    createWeight: (spec, bytes) => shared.weights.add(storeWeight(name, spec, bytes)),
    freeWeight: (weight) => shared.freeWeight(weight),
    readWeight: (weight) => Promise.resolve(storedBytes(shared.weights.find(weight))),
    update: (weights, entries, noise) => shared.update(weights, entries, noise),
    replay: replayPiece,
    begin(perturbation, precision = "float32") {
      checkPrecision({ name, precisions }, precision);
      return new WasmPass(shared, perturbation);
    },
    createCache: () => shared.caches.add(createStoredCache(name)),
    freeCache: (cache) => shared.caches.free(cache),
    dispose: () => shared.dispose(),
    tensors: () => heap.tensors(),
  };
}

class WasmPass implements Pass {
  readonly #shared: WasmWeights;
  readonly #heap: WasmHeap;
  readonly #perturbation: Perturbation | null;
  readonly #made: TensorInfo[] = [];

  constructor(shared: WasmWeights, perturbation: Perturbation | null) {
    this.#shared = shared;
    this.#heap = shared.heap;
    this.#perturbation = perturbation;
  }

  embed(table: Weight, ids: Int32Array): Activation {
    checkIds(table, ids);
    const weight = this.#shared.weights.find(table);
    const [, columns = 0] = table.shape;
    const out = this.#make(ids.length, columns, () => undefined);
    const views = out.sides.map((side) => this.#heap.view(side));
    ids.forEach((id, row) => this.#embedRow(views, row * columns, weight, id * columns, columns));
    return out;
  }

  #embedRow(views: readonly Float32Array[], at: number, weight: StoredWeight, first: number, columns: number): void {
    const values = valuesOf(weight.elements.subarray(first, first + columns));
    if (!this.#perturbation || !weight.trainable) {
      for (const view of views) view.set(values, at);
      return;
    }
    const n = this.#shared.noise.of(weight, this.#perturbation, first, columns);
    const { size } = this.#perturbation;
    views.forEach((view, side) => perturbInto(view, at, values, n, side === 0 ? size : -size));
  }

  add(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#make(a.rows, a.columns, (out, side) => addInto(out, this.#view(a, side), this.#view(b, side)));
  }

  multiply(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#make(a.rows, a.columns, (out, side) => multiplyInto(out, this.#view(a, side), this.#view(b, side)));
  }

  scale(x: Activation, factor: number): Activation {
    return this.#make(x.rows, x.columns, (out, side) => scaleInto(out, this.#view(x, side), factor));
  }

  slice(x: Activation, first: number, count: number): Activation {
    checkSlice(x, first, count);
    return this.#make(x.rows, count, (out, side) => sliceInto(out, this.#view(x, side), x.columns, first, count));
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    const scales = weight && this.#vectors(weight);
    const shifts = bias && this.#vectors(bias);
    const [ones, zeros] = [new Float32Array(x.columns).fill(1), new Float32Array(x.columns)];
    return this.#make(x.rows, x.columns, (out, side) =>
      normInto(out, this.#view(x, side), x.columns, epsilon, scales?.[side] ?? ones, shifts?.[side] ?? zeros),
    );
  }

  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation {
    checkGroups(x, weight);
    const scales = this.#vectors(weight);
    return this.#make(x.rows, x.columns, (out, side) =>
      rmsNormInto(out, this.#view(x, side), scales[side] ?? new Float32Array(), epsilon, offset),
    );
  }

  rotate(x: Activation, shape: RotaryShape): Activation {
    checkRotary(x, shape);
    return this.#make(x.rows, x.columns, (out, side) => rotateInto(out, this.#view(x, side), x.columns, shape));
  }

  linear(x: Activation, weight: Weight, bias: Weight | null, layout: WeightLayout = "out-in"): Activation {
    const { outputs } = checkLinear(x, weight, layout);
    const sides = this.#multiply(x, weight, { layout, first: 0, count: outputs }, bias && this.#vectors(bias));
    this.#made.push(...sides);
    return activation(x.rows, outputs, sides);
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    checkAttention([q, k, v], shape, this.#perturbation);
    const ends = shape.lengths.map((_, index) => shape.lengths.slice(0, index + 1).reduce((sum, n) => sum + n, 0));
    return this.#make(q.rows, q.columns, (out, side) => {
      const [keys, values] = [this.#view(k, side), this.#view(v, side)];
      attendInto(out, this.#view(q, side), q.columns, shape, (sequence) => {
        const [from, to] = [(ends[sequence - 1] ?? 0) * k.columns, (ends[sequence] ?? 0) * k.columns];
        const fresh = { k: keys.subarray(from, to), v: values.subarray(from, to) };
        const handle = shape.caches?.[sequence];
        const cache = handle && this.#shared.caches.find(handle);
        const seen = cache ? { k: cache.keys.append(fresh.k), v: cache.values.append(fresh.v) } : fresh;
        if (!shape.prefix) return seen;
        const { keys: firstKeys, values: firstValues } = shape.prefix;
        return { k: joined(this.#view(firstKeys, side), seen.k), v: joined(this.#view(firstValues, side), seen.v) };
      });
    });
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    return this.#make(x.rows, x.columns, (out, side) => activateInto(out, this.#view(x, side), kind));
  }

  gather(x: Activation, index: Int32Array): Activation {
    checkGather(x, index);
    const { columns } = x;
    return this.#make(index.length, columns, (out, side) => {
      const from = this.#view(x, side);
      index.forEach((row, i) => out.set(from.subarray(row * columns, (row + 1) * columns), i * columns));
    });
  }

  losses(x: Activation, head: Weight, targets: Int32Array, options: HeadOptions = {}): Promise<Float64Array> {
    checkTargets(x, head, targets, options);
    const entropies = own(x).sides.map(() => new CrossEntropy(targets));
    this.#forHeadChunks(x, head, options, (scores, side, first, count) => entropies[side]?.add(scores, first, count));
    return Promise.resolve(Float64Array.from(entropies.flatMap((entropy) => [...entropy.losses()])));
  }

  logits(x: Activation, head: Weight, options: HeadOptions = {}): Promise<Float32Array> {
    const [vocab = 0] = head.shape;
    const logits = new Float32Array(own(x).sides.length * x.rows * vocab);
    this.#forHeadChunks(x, head, options, (scores, side, first, count) => {
      for (let row = 0; row < x.rows; row++) {
        logits.set(scores.subarray(row * count, (row + 1) * count), (side * x.rows + row) * vocab + first);
      }
    });
    return Promise.resolve(logits);
  }

  end(): void {
    for (const tensor of this.#made.splice(0)) this.#heap.free(tensor);
  }

  /** Calls `use` for each side with the scores [rows, count] of rows first, ..., first + count - 1 of the head, chunk by chunk. */
  #forHeadChunks(
    x: Activation,
    head: Weight,
    { bias, softcap }: HeadOptions,
    use: (scores: Float32Array, side: number, first: number, count: number) => void,
  ): void {
    const [vocab = 0, inputs = 0] = head.shape;
    const shifts = bias && this.#vectors(bias);
    const chunk = Math.max(1, Math.floor(headChunkElements / inputs));
    for (let first = 0; first < vocab; first += chunk) {
      const count = Math.min(chunk, vocab - first);
      const some = shifts?.map((shift) => shift.subarray(first, first + count)) ?? null;
      this.#multiply(x, head, { layout: "out-in", first, count }, some).forEach((product, side) => {
        const scores = this.#heap.view(product);
        if (softcap !== undefined) capInPlace(scores, softcap);
        use(scores, side, first, count);
        this.#heap.free(product);
      });
    }
  }

  /** x times some outputs of a weight, plus a shift, on each side. */
  #multiply(x: Activation, handle: Weight, outputs: Outputs, shifts: readonly Float32Array[] | null): TensorInfo[] {
    const { inputs } = checkLinear(x, handle, outputs.layout);
    const copies = shifts?.map((shift) => this.#heap.copy(shift)) ?? [];
    const matrices = this.#matrices(this.#shared.weights.find(handle), inputs, outputs);
    const products = own(x).sides.map((side, index) => {
      const matrix = matrices.tensors[index] ?? matrices.tensors[0];
      invariant(matrix, "every side has a matrix");
      return this.#heap.multiply(side, matrix, copies[index] ?? null);
    });
    for (const tensor of copies) this.#heap.free(tensor);
    if (matrices.owned) for (const tensor of matrices.tensors) this.#heap.free(tensor);
    return products;
  }

  /** The matrices of the sides: one for both, or one each. */
  #matrices(weight: StoredWeight, inputs: number, outputs: Outputs): { tensors: TensorInfo[]; owned: boolean } {
    if (!this.#perturbation || !weight.trainable) {
      const { tensor, owned } = this.#shared.matrix(weight, inputs, outputs);
      return { tensors: [tensor], owned };
    }
    const { layout, first, count } = outputs;
    const { size } = this.#perturbation;
    const w = valuesOf(weight.elements.subarray(first * inputs, (first + count) * inputs));
    const n = this.#shared.noise.of(weight, this.#perturbation, first * inputs, w.length);
    const tensors = [this.#heap.allocate(inputs, count), this.#heap.allocate(inputs, count)] as const;
    const [plus, minus] = [this.#heap.view(tensors[0]), this.#heap.view(tensors[1])];
    if (layout === "out-in") {
      perturbTransposed(w, n, size, plus, minus, count, inputs);
    } else {
      perturbInto(plus, 0, w, n, size);
      perturbInto(minus, 0, w, n, -size);
    }
    if (sidesOf(this.#perturbation) === 2) return { tensors: [...tensors], owned: true };
    this.#heap.free(tensors[1]);
    return { tensors: [tensors[0]], owned: true };
  }

  /** A vector weight (of a bias or a norm) on each side. */
  #vectors(handle: Weight): Float32Array[] {
    const weight = this.#shared.weights.find(handle);
    const values = valuesOf(weight.elements);
    const sides = sidesOf(this.#perturbation);
    if (!this.#perturbation || !weight.trainable) return Array.from({ length: sides }, () => values);
    const n = this.#shared.noise.of(weight, this.#perturbation, 0, values.length);
    const { size } = this.#perturbation;
    return [size, -size].slice(0, sides).map((signed) => {
      const side = new Float32Array(values.length);
      perturbInto(side, 0, values, n, signed);
      return side;
    });
  }

  /** A new activation, filled for each side. Views are taken after all allocations, since growing the heap detaches them. */
  #make(rows: number, columns: number, fill: (out: Float32Array, side: number) => void): WasmActivation {
    const sides = Array.from({ length: sidesOf(this.#perturbation) }, () => this.#heap.allocate(rows, columns));
    this.#made.push(...sides);
    sides.forEach((tensor, side) => fill(this.#heap.view(tensor), side));
    return activation(rows, columns, sides);
  }

  #view(x: Activation, side: number): Float32Array {
    const tensor = own(x).sides[side];
    invariant(tensor, "every operand has both sides");
    return this.#heap.view(tensor);
  }
}

function activation(rows: number, columns: number, sides: readonly TensorInfo[]): WasmActivation {
  return { rows, columns, sides };
}

function own(x: Activation): WasmActivation {
  invariant("sides" in x, "the activation was made by this device");
  return x as WasmActivation;
}
