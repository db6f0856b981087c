/** What the passes of a wasm device share: its weights and caches, their noise, and the transposes of frozen weights. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { LogEntries } from "../../../schema/step-log.ts";
import type { Noise } from "../../numbers/noise.ts";
import type { KeyValueCache, Weight, WeightLayout } from "../device.ts";
import type { StoredCache, StoredWeight } from "../host-memory.ts";
import { Owned, updateStored, valuesOf } from "../host-memory.ts";
import type { WasmHeap } from "./heap.ts";
import { transpose } from "./kernels.ts";
import { KeptNoise } from "./noise.ts";

/** Elements of the kept transposes of frozen weights, at most; the heap is limited to 4 GiB. */
const frozenBudgetElements = 2 ** 27;

/** Outputs first, ..., first + count - 1 of a weight [out, in], or all outputs of a weight [in, out]. */
export interface Outputs {
  readonly layout: WeightLayout;
  readonly first: number;
  readonly count: number;
}

export class WasmWeights {
  readonly heap: WasmHeap;
  readonly noise = new KeptNoise();
  readonly weights = new Owned<Weight, StoredWeight>();
  readonly caches = new Owned<KeyValueCache, StoredCache>();
  /** Matrices of frozen weights, by layout and first output. */
  readonly #frozen = new Map<StoredWeight, Map<string, TensorInfo>>();
  #frozenElements = 0;

  constructor(heap: WasmHeap) {
    this.heap = heap;
  }

  update(handles: readonly Weight[], entries: LogEntries, noise: Noise): void {
    for (const weight of handles.map((handle) => this.weights.find(handle))) {
      updateStored(weight, entries, noise, this.noise.fillFor(weight));
    }
  }

  /** The matrix [inputs, count] of some outputs. `owned`: the caller must free it. */
  matrix(weight: StoredWeight, inputs: number, outputs: Outputs): { tensor: TensorInfo; owned: boolean } {
    const { layout, first, count } = outputs;
    const key = `${layout} ${first}`;
    const kept = this.#frozen.get(weight)?.get(key);
    if (kept) return { tensor: kept, owned: false };
    const tensor = this.heap.allocate(inputs, count);
    const values = valuesOf(weight.elements.subarray(first * inputs, (first + count) * inputs));
    if (layout === "in-out") this.heap.view(tensor).set(values);
    else transpose(values, this.heap.view(tensor), count, inputs);
    if (weight.trainable || this.#frozenElements + values.length > frozenBudgetElements) return { tensor, owned: true };
    const tensors = this.#frozen.get(weight) ?? new Map<string, TensorInfo>();
    this.#frozen.set(weight, tensors.set(key, tensor));
    this.#frozenElements += values.length;
    return { tensor, owned: false };
  }

  freeWeight(handle: Weight): void {
    const weight = this.weights.find(handle);
    for (const tensor of this.#frozen.get(weight)?.values() ?? []) {
      this.#frozenElements -= tensor.shape.reduce((product, size) => product * size, 1);
      this.heap.free(tensor);
    }
    this.#frozen.delete(weight);
    this.noise.forget(weight);
    this.weights.free(handle);
  }

  dispose(): void {
    for (const handle of this.weights.all()) this.freeWeight(handle);
    this.caches.clear();
  }
}
