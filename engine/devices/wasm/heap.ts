/**
 * The wasm backend of TensorFlow.js as a heap with one kernel: tensors are allocated, viewed in place, multiplied and freed
 * explicitly. The kernel is called without tfjs's engine, which would only add bookkeeping.
 */
import type { KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import { findBackend, getKernel, setBackend, version_core as version } from "@tensorflow/tfjs-core";
import { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { invariant } from "../../../schema/errors.ts";

/** Starts the backend once per process: all wasm devices share its heap. */
export async function openWasmBackend(): Promise<{ heap: WasmHeap; version: string }> {
  if (!(await setBackend("wasm"))) throw new Error("The wasm backend of TensorFlow.js did not start.");
  const backend: unknown = findBackend("wasm");
  const kernel = getKernel("_FusedMatMul", "wasm");
  invariant(backend instanceof BackendWasm && kernel, "the backend has started and has its kernels");
  return { heap: new WasmHeap(backend, kernel.kernelFunc), version };
}

export class WasmHeap {
  readonly #backend: BackendWasm;
  readonly #fusedMatMul: KernelFunc;
  #bytes = 0;
  #peak = 0;

  constructor(backend: BackendWasm, fusedMatMul: KernelFunc) {
    this.#backend = backend;
    this.#fusedMatMul = fusedMatMul;
  }

  /** A tensor [1, rows, columns], not initialised. */
  allocate(rows: number, columns: number): TensorInfo {
    return this.#counted(this.#backend.makeOutput([1, rows, columns], "float32"));
  }

  /** A copy of a vector. */
  copy(values: Float32Array): TensorInfo {
    return this.#counted(this.#backend.makeOutput([values.length], "float32", undefined, values));
  }

  /** The tensor's values in place; valid until the next allocation, which may move the heap. */
  view(tensor: TensorInfo): Float32Array {
    const values = this.#backend.typedArrayFromHeap(tensor);
    invariant(values instanceof Float32Array, "tensors hold float32");
    return values;
  }

  /** a [1, rows, in] times b [1, in, out], plus bias [out]. */
  multiply(a: TensorInfo, b: TensorInfo, bias: TensorInfo | null): TensorInfo {
    const attrs = { transposeA: false, transposeB: false, activation: "linear" };
    const inputs = { a, b, ...(bias && { bias }) };
    const product = this.#fusedMatMul({ inputs, attrs, backend: this.#backend });
    invariant(!Array.isArray(product), "a product is one tensor");
    return this.#counted(product);
  }

  free(tensor: TensorInfo): void {
    this.#backend.disposeData(tensor.dataId);
    this.#bytes -= bytesOf(tensor);
  }

  tensors(): number {
    return this.#backend.numDataIds();
  }

  /** Bytes of the tensors that were on it at the same time, at most. */
  peak(): number {
    return this.#peak;
  }

  #counted(tensor: TensorInfo): TensorInfo {
    this.#bytes += bytesOf(tensor);
    this.#peak = Math.max(this.#peak, this.#bytes);
    return tensor;
  }
}

function bytesOf({ shape }: TensorInfo): number {
  return shape.reduce((product, size) => product * size, Float32Array.BYTES_PER_ELEMENT);
}
