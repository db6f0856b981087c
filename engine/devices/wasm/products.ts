/** Weights of a pass as its products use them: matrices on the wasm heap, and vectors, on each side. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { invariant } from "../../../schema/errors.ts";
import type { HeadOptions, Perturbation, Weight } from "../device.ts";
import { sidesOf } from "../device.ts";
import type { StoredWeight } from "../host-memory.ts";
import { valuesOf } from "../host-memory.ts";
import type { Cells } from "../recorded.ts";
import type { WasmHeap } from "./heap.ts";
import { capInPlace, perturbInto, perturbTransposed } from "./kernels.ts";
import type { Outputs, WasmWeights } from "./weights.ts";

/** Elements of the head used at a time, so that the scores of the whole vocabulary are never in memory at once. */
const headChunkElements = 2 ** 20;

export class WasmProducts {
  readonly #shared: WasmWeights;
  readonly #heap: WasmHeap;
  readonly #perturbation: Perturbation | null;

  constructor(shared: WasmWeights, perturbation: Perturbation | null) {
    this.#shared = shared;
    this.#heap = shared.heap;
    this.#perturbation = perturbation;
  }

  /** Calls `use` for each block with the scores [rows, count] of rows first, ..., first + count - 1 of the head. */
  forHeadChunks(
    cells: Cells<TensorInfo>,
    head: Weight,
    { bias, softcap }: HeadOptions,
    use: (scores: Float32Array, side: number, block: number, first: number, count: number) => void,
  ): void {
    const [vocab = 0, inputs = 0] = head.shape;
    const shifts = bias && this.vectors(bias);
    const chunk = Math.max(1, Math.floor(headChunkElements / inputs));
    for (let first = 0; first < vocab; first += chunk) {
      const count = Math.min(chunk, vocab - first);
      const some = shifts?.map((shift) => shift.subarray(first, first + count)) ?? null;
      const product = this.product(head, { layout: "out-in", first, count }, some);
      try {
        cells.forEach((side, index) =>
          side.forEach((block, at) => {
            const made = product.of(block, index);
            const scores = this.#heap.view(made);
            if (softcap !== undefined) capInPlace(scores, softcap);
            use(scores, index, at, first, count);
            this.#heap.free(made);
          }),
        );
      } finally {
        product.end();
      }
    }
  }

  /** Multiplies rows by some outputs of a weight, plus a shift, on each side. */
  product(handle: Weight, outputs: Outputs, shifts: readonly Float32Array[] | null) {
    const [rows = 0, columns = 0] = handle.shape;
    const inputs = outputs.layout === "out-in" ? columns : rows;
    const copies = shifts?.map((shift) => this.#heap.copy(shift)) ?? [];
    const matrices = this.#matrices(this.#shared.weights.find(handle), inputs, outputs);
    return {
      of: (x: TensorInfo | undefined, side: number): TensorInfo => {
        const matrix = matrices.tensors[side] ?? matrices.tensors[0];
        invariant(x && matrix, "every side has a matrix");
        return this.#heap.multiply(x, matrix, copies[side] ?? null);
      },
      end: () => {
        for (const tensor of copies) this.#heap.free(tensor);
        if (matrices.owned) for (const tensor of matrices.tensors) this.#heap.free(tensor);
      },
    };
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
  vectors(handle: Weight): Float32Array[] {
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
}
