/**
 * TensorFlow.js on its wasm backend: matrix products by XNNPACK on the wasm heap, everything else by loops in TypeScript
 * over views of that heap, so that nothing is copied in between.
 *
 * Weights are typed arrays outside the heap. XNNPACK wants [in, out], and is ten times slower where tfjs transposes for
 * it, so a weight [out, in] is transposed while it is perturbed, multiplied with, and thrown away.
 */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { invariant } from "../../schema/errors.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import type { Noise } from "../noise.ts";
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
import { storeWeight, storedBytes, updateStored, valuesOf } from "./stored.ts";
import type { WasmHeap } from "./tfjs-heap.ts";
import { openWasmBackend } from "./tfjs-heap.ts";
import {
  CrossEntropy,
  activateInto,
  addInto,
  attendInto,
  normInto,
  perturbInto,
  perturbTransposed,
  transpose,
} from "./tfjs-kernels.ts";
import { KeptNoise } from "./tfjs-noise.ts";

/** Elements of the head that are multiplied with at once: scores of the whole vocabulary are never held. */
const headChunkElements = 2 ** 20;

/** Transposes of weights that training does not change are kept up to this size in all; the heap ends at 4 GiB. */
const frozenBudgetElements = 2 ** 27;

/** One tensor [1, rows, columns] a side: plus, minus. */
interface WasmActivation extends Activation {
  readonly sides: readonly TensorInfo[];
}

export interface WasmDevice extends Device {
  /** Tensors on the wasm heap now. */
  tensors(): number;
}

/** @throws when the backend cannot be loaded or started */
export async function createWasmDevice(): Promise<WasmDevice> {
  const { heap, version } = await openWasmBackend();
  const shared = new Shared(heap);
  return {
    name: "tfjs",
    description: `TensorFlow.js ${version}, wasm backend`,
    createWeight: (spec, bytes) => shared.createWeight(spec, bytes),
    freeWeight: (weight) => shared.freeWeight(weight),
    readWeight: (weight) => Promise.resolve(storedBytes(shared.find(weight))),
    update: (weights, entries, noise) => shared.update(weights, entries, noise),
    begin: (perturbation) => new WasmPass(shared, perturbation),
    dispose: () => shared.dispose(),
    tensors: () => heap.tensors(),
  };
}

/** What the passes of a device share: its weights, and what was kept of them. */
class Shared {
  readonly heap: WasmHeap;
  readonly noise = new KeptNoise();
  readonly #weights = new Map<Weight, StoredWeight>();
  /** Transposes of frozen weights, by the first row that they hold. */
  readonly #frozen = new Map<StoredWeight, Map<number, TensorInfo>>();
  #frozenElements = 0;

  constructor(heap: WasmHeap) {
    this.heap = heap;
  }

  createWeight(spec: WeightSpec, bytes: Uint8Array): Weight {
    const weight = storeWeight("tfjs", spec, bytes);
    this.#weights.set(weight, weight);
    return weight;
  }

  find(weight: Weight): StoredWeight {
    const found = this.#weights.get(weight);
    invariant(found, `${weight.name} belongs to this device`);
    return found;
  }

  update(weights: readonly Weight[], entries: readonly LogEntry[], noise: Noise): void {
    for (const weight of weights.map((handle) => this.find(handle))) {
      updateStored(weight, entries, noise, this.noise.fillFor(weight));
    }
  }

  /** The transpose [in, count] of the rows from `first` on. `owned`: whoever asked must free it. */
  transposed(weight: StoredWeight, first: number, count: number): { tensor: TensorInfo; owned: boolean } {
    const kept = this.#frozen.get(weight)?.get(first);
    if (kept) return { tensor: kept, owned: false };
    const [, inputs = 0] = weight.shape;
    const tensor = this.heap.allocate(inputs, count);
    const rows = weight.elements.subarray(first * inputs, (first + count) * inputs);
    transpose(valuesOf(rows), this.heap.view(tensor), count, inputs);
    if (weight.trainable || this.#frozenElements + rows.length > frozenBudgetElements) return { tensor, owned: true };
    const tensors = this.#frozen.get(weight) ?? new Map<number, TensorInfo>();
    this.#frozen.set(weight, tensors.set(first, tensor));
    this.#frozenElements += rows.length;
    return { tensor, owned: false };
  }

  freeWeight(handle: Weight): void {
    const weight = this.find(handle);
    for (const tensor of this.#frozen.get(weight)?.values() ?? []) {
      this.#frozenElements -= tensor.shape.reduce((product, size) => product * size, 1);
      this.heap.free(tensor);
    }
    this.#frozen.delete(weight);
    this.noise.forget(weight);
    this.#weights.delete(handle);
  }

  dispose(): void {
    for (const handle of this.#weights.keys()) this.freeWeight(handle);
  }
}

class WasmPass implements Pass {
  readonly #shared: Shared;
  readonly #heap: WasmHeap;
  readonly #perturbation: Perturbation | null;
  readonly #made: TensorInfo[] = [];

  constructor(shared: Shared, perturbation: Perturbation | null) {
    this.#shared = shared;
    this.#heap = shared.heap;
    this.#perturbation = perturbation;
  }

  embed(table: Weight, ids: Int32Array): Activation {
    const weight = this.#shared.find(table);
    const [entries = 0, columns = 0] = table.shape;
    invariant(
      ids.every((id) => id >= 0 && id < entries),
      `ids lie in ${table.name}`,
    );
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
    invariant(a.rows === b.rows && a.columns === b.columns, "summands have one shape");
    return this.#make(a.rows, a.columns, (out, side) => addInto(out, this.#view(a, side), this.#view(b, side)));
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    const scales = weight && this.#vectors(weight);
    const shifts = bias && this.#vectors(bias);
    const [ones, zeros] = [new Float32Array(x.columns).fill(1), new Float32Array(x.columns)];
    return this.#make(x.rows, x.columns, (out, side) =>
      normInto(out, this.#view(x, side), x.columns, epsilon, scales?.[side] ?? ones, shifts?.[side] ?? zeros),
    );
  }

  linear(x: Activation, weight: Weight, bias: Weight | null): Activation {
    const [outputs = 0] = weight.shape;
    const shifts = bias && this.#vectors(bias).map((values) => this.#heap.copy(values));
    const sides = this.#multiply(x, weight, 0, outputs, shifts);
    for (const shift of shifts ?? []) this.#heap.free(shift);
    this.#made.push(...sides);
    return activation(x.rows, outputs, sides);
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    const rows = shape.lengths.reduce((sum, length) => sum + length, 0);
    invariant(rows === q.rows && rows === k.rows && rows === v.rows, "the sequences' lengths add up to the rows");
    return this.#make(q.rows, q.columns, (out, side) => {
      const [queries, keys, values] = [this.#view(q, side), this.#view(k, side), this.#view(v, side)];
      attendInto(out, queries, keys, values, q.columns, k.columns, shape);
    });
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    return this.#make(x.rows, x.columns, (out, side) => activateInto(out, this.#view(x, side), kind));
  }

  gather(x: Activation, index: Int32Array): Activation {
    invariant(
      index.every((row) => row >= 0 && row < x.rows),
      "gathered rows exist",
    );
    const { columns } = x;
    return this.#make(index.length, columns, (out, side) => {
      const from = this.#view(x, side);
      index.forEach((row, i) => out.set(from.subarray(row * columns, (row + 1) * columns), i * columns));
    });
  }

  losses(x: Activation, head: Weight, targets: Int32Array): Promise<Float64Array> {
    const [vocab = 0] = head.shape;
    invariant(targets.length === x.rows, "every row has a target");
    invariant(
      targets.every((target) => target >= 0 && target < vocab),
      "targets lie in the vocabulary",
    );
    const entropies = own(x).sides.map(() => new CrossEntropy(targets));
    this.#forHeadChunks(x, head, (scores, side, first, count) => entropies[side]?.add(scores, first, count));
    return Promise.resolve(Float64Array.from(entropies.flatMap((entropy) => [...entropy.losses()])));
  }

  logits(x: Activation, head: Weight): Promise<Float32Array> {
    invariant(!this.#perturbation, "logits are read from an unperturbed pass");
    const [vocab = 0] = head.shape;
    const logits = new Float32Array(x.rows * vocab);
    this.#forHeadChunks(x, head, (scores, _side, first, count) => {
      for (let row = 0; row < x.rows; row++) {
        logits.set(scores.subarray(row * count, (row + 1) * count), row * vocab + first);
      }
    });
    return Promise.resolve(logits);
  }

  end(): void {
    for (const tensor of this.#made.splice(0)) this.#heap.free(tensor);
  }

  /** Calls `use` with the scores [rows, count] of each side under the head's rows from `first` on, for all its rows. */
  #forHeadChunks(
    x: Activation,
    head: Weight,
    use: (scores: Float32Array, side: number, first: number, count: number) => void,
  ): void {
    const [vocab = 0, inputs = 0] = head.shape;
    const chunk = Math.max(1, Math.floor(headChunkElements / inputs));
    for (let first = 0; first < vocab; first += chunk) {
      const count = Math.min(chunk, vocab - first);
      this.#multiply(x, head, first, count, null).forEach((scores, side) => {
        use(this.#heap.view(scores), side, first, count);
        this.#heap.free(scores);
      });
    }
  }

  /** x times the transpose of the weight's rows first, ..., first + count - 1, plus a shift, on each side. */
  #multiply(
    x: Activation,
    handle: Weight,
    first: number,
    count: number,
    shifts: readonly TensorInfo[] | null,
  ): TensorInfo[] {
    const weight = this.#shared.find(handle);
    invariant(weight.shape[1] === x.columns, `${weight.name} takes ${weight.shape[1]} columns, not ${x.columns}`);
    const matrices = this.#matrices(weight, first, count);
    const products = own(x).sides.map((side, index) => {
      const matrix = matrices.tensors[index] ?? matrices.tensors[0];
      invariant(matrix, "every side has a matrix");
      return this.#heap.multiply(side, matrix, shifts?.[index] ?? null);
    });
    if (matrices.owned) for (const tensor of matrices.tensors) this.#heap.free(tensor);
    return products;
  }

  /** The transposes that the sides multiply with: one for all of them, or one each. */
  #matrices(weight: StoredWeight, first: number, count: number): { tensors: TensorInfo[]; owned: boolean } {
    if (!this.#perturbation || !weight.trainable) {
      const { tensor, owned } = this.#shared.transposed(weight, first, count);
      return { tensors: [tensor], owned };
    }
    const [, inputs = 0] = weight.shape;
    const w = valuesOf(weight.elements.subarray(first * inputs, (first + count) * inputs));
    const n = this.#shared.noise.of(weight, this.#perturbation, first * inputs, w.length);
    const [plus, minus] = [this.#heap.allocate(inputs, count), this.#heap.allocate(inputs, count)];
    const views = [this.#heap.view(plus), this.#heap.view(minus)] as const;
    perturbTransposed(w, n, this.#perturbation.size, ...views, count, inputs);
    return { tensors: [plus, minus], owned: true };
  }

  /** The values of a vector (bias, norm) on each side. */
  #vectors(handle: Weight): Float32Array[] {
    const weight = this.#shared.find(handle);
    const values = valuesOf(weight.elements);
    if (!this.#perturbation) return [values];
    if (!weight.trainable) return [values, values];
    const n = this.#shared.noise.of(weight, this.#perturbation, 0, values.length);
    const { size } = this.#perturbation;
    return [size, -size].map((signed) => {
      const side = new Float32Array(values.length);
      perturbInto(side, 0, values, n, signed);
      return side;
    });
  }

  /** A new activation, filled side by side. Every view is taken after the memory: growing the heap detaches them. */
  #make(rows: number, columns: number, fill: (out: Float32Array, side: number) => void): WasmActivation {
    const sides = (this.#perturbation ? [0, 1] : [0]).map(() => this.#heap.allocate(rows, columns));
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
