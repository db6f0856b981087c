/**
 * The raw binding of tfjs-node: any TensorFlow operation by name, on handles that are freed explicitly. The noise needs uint16,
 * bfloat16 and counter-based random numbers, and tfjs's own kernels have none of them.
 */
import { invariant } from "../../../schema/errors.ts";
import type { InstallableName } from "./packages.ts";
import { candidates } from "./packages.ts";

/** DataType of tensorflow/core/framework/types.proto. */
export const types = {
  float32: 1,
  int32: 3,
  uint8: 4,
  bool: 10,
  bfloat16: 14,
  uint16: 17,
  uint32: 22,
  uint64: 23,
} as const;

type Type = (typeof types)[keyof typeof types];

/** The part of tfjs-node's TFJSBinding that is used. Its ids are handles of TensorFlow's eager tensors. */
interface Binding {
  createTensor(shape: readonly number[], type: number, values: Float32Array | Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array;
  executeOp(name: string, attributes: readonly BoundAttribute[], inputs: readonly number[], outputs: number): Output[];
  isUsingGpuDevice(): boolean;
  getNumOfTensors(): number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_Version: string;
}

interface BoundAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

interface Output {
  readonly id: number;
  readonly shape: readonly number[];
}

/**
 * The first package that loads.
 * @param devicesDir folder of installed devices (packages.ts), if there is one
 * @param only this installed device
 * @throws if there is none, with the reason for each
 */
export function loadBinding(
  devicesDir: string | null = null,
  only: InstallableName | null = null,
): { binding: Binding; description: string; onGpu: boolean } {
  const failures: string[] = [];
  for (const candidate of candidates(devicesDir, only)) {
    try {
      const binding = bindingOf(candidate.load());
      const onGpu = binding.isUsingGpuDevice();
      const { TF_Version: version } = binding;
      const description = `TensorFlow.js, ${candidate.package}, TensorFlow ${version} on ${onGpu ? "GPU" : "CPU"}`;
      return { binding, description, onGpu };
    } catch (error) {
      const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n", 1);
      failures.push(`${candidate.label}: ${reason}`);
    }
  }
  if (failures.length === 0) failures.push(`${only ?? "it"} is not installed`);
  throw new Error(failures.join("; "));
}

function bindingOf(tf: unknown): Binding {
  invariant(typeof tf === "object" && tf !== null && "findBackend" in tf, "tfjs-node exports TensorFlow.js");
  const backend = (tf as { findBackend(name: string): unknown }).findBackend("tensorflow");
  invariant(typeof backend === "object" && backend !== null && "binding" in backend, "tfjs-node has its backend");
  return backend.binding as Binding;
}

/** A TensorFlow tensor. */
export interface Handle {
  readonly id: number;
  readonly shape: readonly number[];
}

type Attributes = Readonly<Record<string, Type | { readonly int: number } | boolean>>;

/**
 * Operations on handles. `scope` frees all handles made inside it except the one it returns; outside a scope, handles live
 * until `free`.
 */
export class TensorFlow {
  readonly #binding: Binding;
  #scope: Handle[] | null = null;

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  run(name: string, inputs: readonly Handle[], attributes: Attributes): Handle {
    const bound = Object.entries(attributes).map(([key, value]) => this.#bind(key, value));
    const ids = inputs.map((input) => input.id);
    const [output] = this.#binding.executeOp(name, bound, ids, 1);
    invariant(output, `${name} has an output`);
    return this.#made({ id: output.id, shape: output.shape });
  }

  #bind(name: string, value: Attributes[string]): BoundAttribute {
    if (typeof value === "number") return { name, type: this.#binding.TF_ATTR_TYPE, value };
    if (typeof value === "boolean") return { name, type: this.#binding.TF_ATTR_BOOL, value };
    return { name, type: this.#binding.TF_ATTR_INT, value: value?.int ?? 0 };
  }

  /** A tensor that shares the memory of `values`, which must not change afterwards. */
  constant(values: Float32Array | Int32Array, shape: readonly number[] = [values.length]): Handle {
    const type = values instanceof Float32Array ? types.float32 : types.int32;
    return this.#made({ id: this.#binding.createTensor(shape, type, values), shape });
  }

  scalar(value: number): Handle {
    return this.constant(Float32Array.of(value), []);
  }

  floats(handle: Handle): Float32Array {
    const values = this.#binding.tensorDataSync(handle.id);
    invariant(values instanceof Float32Array, "the tensor holds float32");
    return values;
  }

  integers(handle: Handle): Int32Array {
    const values = this.#binding.tensorDataSync(handle.id);
    invariant(values instanceof Int32Array, "the tensor holds int32");
    return values;
  }

  free(handle: Handle): void {
    this.#binding.deleteTensor(handle.id);
  }

  scope(make: () => Handle): Handle {
    const outer = this.#scope;
    const inner: Handle[] = [];
    this.#scope = inner;
    let kept: Handle | null = null;
    try {
      kept = make();
      return kept;
    } finally {
      this.#scope = outer;
      for (const handle of inner) if (handle !== kept) this.free(handle);
      if (kept && outer && inner.includes(kept)) outer.push(kept);
    }
  }

  tensors(): number {
    return this.#binding.getNumOfTensors();
  }

  #made(handle: Handle): Handle {
    this.#scope?.push(handle);
    return handle;
  }

  // TensorFlow's operations; T is float32 by default.

  unary(name: string, x: Handle, type: Type = types.float32): Handle {
    return this.run(name, [x], { T: type });
  }

  binary(name: string, a: Handle, b: Handle, type: Type = types.float32): Handle {
    return this.run(name, [a, b], { T: type });
  }

  cast(x: Handle, from: Type, to: Type): Handle {
    return this.run("Cast", [x], { SrcT: from, DstT: to, Truncate: false });
  }

  bitcast(x: Handle, from: Type, to: Type): Handle {
    return this.run("Bitcast", [x], { T: from, type: to });
  }

  reshape(x: Handle, shape: readonly number[], type: Type = types.float32): Handle {
    return this.run("Reshape", [x, this.constant(Int32Array.from(shape))], { T: type, Tshape: types.int32 });
  }

  transpose(x: Handle, order: readonly number[]): Handle {
    return this.run("Transpose", [x, this.constant(Int32Array.from(order))], { T: types.float32, Tperm: types.int32 });
  }

  /** Elements or rows first, ..., first + count - 1 of the outermost axis. */
  slice(x: Handle, first: number, count: number, type: Type = types.float32): Handle {
    if (first === 0 && count === x.shape[0]) return x;
    const rest = x.shape.slice(1);
    const begin = this.constant(Int32Array.of(first, ...rest.map(() => 0)));
    const size = this.constant(Int32Array.of(count, ...rest));
    return this.run("Slice", [x, begin, size], { T: type, Index: types.int32 });
  }

  gather(x: Handle, index: Int32Array, axis: number, type: Type = types.float32): Handle {
    const inputs = [x, this.constant(index), this.constant(Int32Array.of(axis), [])];
    const attributes = { Tparams: type, Tindices: types.int32, Taxis: types.int32, batch_dims: { int: 0 } };
    return this.run("GatherV2", inputs, attributes);
  }

  /** Concatenates along an axis. */
  concat(parts: readonly Handle[], axis: number): Handle {
    const [only] = parts;
    if (only && parts.length === 1) return only;
    const inputs = [...parts, this.constant(Int32Array.of(axis), [])];
    return this.run("ConcatV2", inputs, { N: { int: parts.length }, T: types.float32, Tidx: types.int32 });
  }

  /** Reduces the last axis, which keeps length 1. */
  reduce(name: "Mean" | "Sum" | "Max" | "Min", x: Handle): Handle {
    const axis = this.constant(Int32Array.of(x.shape.length - 1));
    return this.run(name, [x, axis], { T: types.float32, Tidx: types.int32, keep_dims: true });
  }

  /** a times b, or b transposed, over the last two axes; the others broadcast. */
  multiply(a: Handle, b: Handle, transposed: boolean): Handle {
    return this.run("BatchMatMulV2", [a, b], { T: types.float32, adj_x: false, adj_y: transposed });
  }
}
