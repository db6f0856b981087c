/**
 * The raw binding of tfjs-node: any TensorFlow operation by name, on handles that are freed explicitly. The noise needs uint16,
 * bfloat16 and counter-based random numbers, and tfjs's own kernels have none of them.
 */
import { invariant } from "../../../schema/errors.ts";
import { firstLineOf } from "../first-line.ts";
import type { InstallableName } from "./packages.ts";
import { candidates } from "./packages.ts";

/** DataType of tensorflow/core/framework/types.proto. */
export const types = {
  float32: 1,
  int32: 3,
  uint8: 4,
  bool: 10,
  quint8: 12,
  bfloat16: 14,
  uint16: 17,
  uint32: 22,
  uint64: 23,
} as const;

type Type = (typeof types)[keyof typeof types];

type Values = Float32Array | Int32Array | Uint8Array;

/** The part of tfjs-node's TFJSBinding that is used. Its ids are handles of TensorFlow's eager tensors. */
export interface Binding {
  createTensor(shape: readonly number[], type: number, values: Values): number;
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

export interface BoundAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

interface Output {
  readonly id: number;
  readonly shape: readonly number[];
}

/** A TensorFlow to compute with. */
export interface Library {
  readonly binding: Binding;
  readonly description: string;
  readonly onGpu: boolean;
}

/**
 * The first package that loads.
 * @param devicesDir folder of installed devices (packages.ts), if there is one
 * @param only this installed device
 * @throws if there is none, with the reason for each
 */
export function loadBinding(devicesDir: string | null = null, only: InstallableName | null = null): Library {
  const failures: string[] = [];
  for (const candidate of candidates(devicesDir, only)) {
    try {
      const binding = known(bindingOf(candidate.load()));
      const onGpu = binding.isUsingGpuDevice();
      const { TF_Version: version } = binding;
      const description = `TensorFlow.js, ${candidate.package}, TensorFlow ${version} on ${onGpu ? "GPU" : "CPU"}`;
      return { binding, description, onGpu };
    } catch (error) {
      failures.push(`${candidate.label}: ${firstLineOf(error)}`);
    }
  }
  if (failures.length === 0) failures.push(`${only ?? "it"} is not installed`);
  throw new Error(failures.join("; "));
}

function bindingOf(addon: unknown): Binding {
  invariant(
    typeof addon === "object" && addon !== null && "executeOp" in addon,
    "the addon of tfjs-node runs operations",
  );
  return addon as Binding;
}

/**
 * Tells the addon the names of all attributes. Each thread has a TensorFlow of its own, but they share that set, which nothing
 * guards: a name must not be added while another thread looks for one. So a process in which several threads compute opens the
 * device once before it starts them. The addon refuses an attribute of no type, after it has kept its name.
 */
function known(binding: Binding): Binding {
  for (const name of attributeNames) {
    try {
      binding.executeOp("NoOp", [{ name, type: -1, value: 0 }], [], 0);
    } catch {
      // As is meant.
    }
  }
  return binding;
}

function typeOf(values: Values): Type {
  if (values instanceof Float32Array) return types.float32;
  return values instanceof Int32Array ? types.int32 : types.uint8;
}

/** A TensorFlow tensor. */
export interface Handle {
  readonly id: number;
  readonly shape: readonly number[];
}

/** All that are used. The addon puts the name of an attribute into a set of the whole process when it first comes (`known`). */
const attributeNames = [
  "DstT",
  "Index",
  "N",
  "SrcT",
  "T",
  "Taxis",
  "Tidx",
  "Tindices",
  "Tparams",
  "Tperm",
  "Tshape",
  "Tshift",
  "Truncate",
  "adj_x",
  "adj_y",
  "batch_dims",
  "dtype",
  "init",
  "keep_dims",
  "transpose_a",
  "transpose_b",
  "type",
] as const;

type Attribute = Type | { readonly int: number } | boolean;
type Attributes = Readonly<Partial<Record<(typeof attributeNames)[number], Attribute>>>;

/** Bytes that have crossed between JavaScript and TensorFlow. */
export interface Traffic {
  readonly up: number;
  readonly down: number;
}

/** Handles that outlive their scope, with those that `end` frees. */
export interface Held {
  readonly handles: readonly Handle[];
  end(): void;
}

/** Small constants that are kept, at most: shapes, axes and scalars, which the same pass needs again in every step. */
const keptConstants = 4096;

/**
 * Operations on handles. `scope` frees all handles made inside it except those it returns; outside a scope, handles live
 * until `free`.
 */
export class TensorFlow {
  readonly #binding: Binding;
  /** The innermost last. */
  #scopes: Set<Handle>[] = [];
  readonly #kept = new Map<string, Handle>();
  #operations = 0;
  #up = 0;
  #down = 0;

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  get usesGpu(): boolean {
    return this.#binding.isUsingGpuDevice();
  }

  run(name: string, inputs: readonly Handle[], attributes: Attributes): Handle {
    const bound = Object.entries(attributes).map(([key, value]) => this.#bind(key, value));
    const ids = inputs.map((input) => input.id);
    this.#operations += 1;
    const [output] = this.#binding.executeOp(name, bound, ids, 1);
    invariant(output, `${name} has an output`);
    return this.#made({ id: output.id, shape: output.shape });
  }

  #bind(name: string, value: Attribute): BoundAttribute {
    if (typeof value === "number") return { name, type: this.#binding.TF_ATTR_TYPE, value };
    if (typeof value === "boolean") return { name, type: this.#binding.TF_ATTR_BOOL, value };
    return { name, type: this.#binding.TF_ATTR_INT, value: value.int };
  }

  /** A tensor that shares the memory of `values`, which must not change afterwards. */
  constant(values: Values, shape: readonly number[] = [values.length]): Handle {
    return this.#made(this.#create(values, shape));
  }

  #create(values: Values, shape: readonly number[]): Handle {
    this.#up += values.byteLength;
    return { id: this.#binding.createTensor(shape, typeOf(values), values), shape };
  }

  scalar(value: number): Handle {
    return this.#keep(`f${Object.is(value, -0) ? "-0" : value}`, () => this.#create(Float32Array.of(value), []));
  }

  /** A shape, a permutation or the like. Kept, and not to be freed. */
  list(values: readonly number[]): Handle {
    return this.#keep(`l${values.join()}`, () => this.#create(Int32Array.from(values), [values.length]));
  }

  /** An int32 scalar. Kept, and not to be freed. */
  integer(value: number): Handle {
    return this.#keep(`i${value}`, () => this.#create(Int32Array.of(value), []));
  }

  #keep(key: string, make: () => Handle): Handle {
    const known = this.#kept.get(key);
    if (known) return known;
    const made = make();
    this.#kept.set(key, made);
    return made;
  }

  /** Frees the kept constants if there are many; not while an operation is being put together. */
  trim(most = keptConstants): void {
    if (this.#kept.size <= most) return;
    for (const handle of this.#kept.values()) this.#binding.deleteTensor(handle.id);
    this.#kept.clear();
  }

  floats(handle: Handle): Float32Array {
    const values = this.#read(handle);
    invariant(values instanceof Float32Array, "the tensor holds float32");
    return values;
  }

  integers(handle: Handle): Int32Array {
    const values = this.#read(handle);
    invariant(values instanceof Int32Array, "the tensor holds int32");
    return values;
  }

  #read(handle: Handle): Float32Array | Int32Array {
    const values = this.#binding.tensorDataSync(handle.id);
    this.#down += values.byteLength;
    return values;
  }

  free(handle: Handle): void {
    for (const scope of this.#scopes) scope.delete(handle);
    this.#binding.deleteTensor(handle.id);
  }

  /** What `make` makes of x, which is freed: for a chain of operations. */
  next(x: Handle, make: (x: Handle) => Handle): Handle {
    const made = make(x);
    if (made !== x) this.free(x);
    return made;
  }

  scope<Kept extends Handle | readonly Handle[]>(make: () => Kept): Kept {
    const inner = new Set<Handle>();
    const outer = this.#scopes.at(-1);
    this.#scopes.push(inner);
    let kept: readonly Handle[] = [];
    try {
      const made = make();
      kept = "id" in made ? [made] : made;
      return made;
    } finally {
      this.#scopes.pop();
      for (const handle of inner) {
        if (!kept.includes(handle)) this.#binding.deleteTensor(handle.id);
        else outer?.add(handle);
      }
    }
  }

  /** The handles that `make` returns, for longer than any scope. Those of them that were there before are not freed. */
  hold(make: () => readonly Handle[]): Held {
    const own = new Set<Handle>();
    const outer = this.#scopes;
    this.#scopes = [own];
    try {
      const handles = this.scope(make);
      return {
        handles,
        end: () => {
          for (const handle of own) this.free(handle);
          own.clear();
        },
      };
    } finally {
      this.#scopes = outer;
    }
  }

  /** Tensors that TensorFlow has, without the kept constants. */
  tensors(): number {
    return this.#binding.getNumOfTensors() - this.#kept.size;
  }

  operations(): number {
    return this.#operations;
  }

  traffic(): Traffic {
    return { up: this.#up, down: this.#down };
  }

  #made(handle: Handle): Handle {
    this.#scopes.at(-1)?.add(handle);
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
    return this.run("Reshape", [x, this.list(shape)], { T: type, Tshape: types.int32 });
  }

  transpose(x: Handle, order: readonly number[], type: Type = types.float32): Handle {
    return this.run("Transpose", [x, this.list(order)], { T: type, Tperm: types.int32 });
  }

  /** Elements or rows first, ..., first + count - 1 of the outermost axis. */
  slice(x: Handle, first: number, count: number, type: Type = types.float32): Handle {
    if (first === 0 && count === x.shape[0]) return x;
    const rest = x.shape.slice(1);
    return this.part(x, [first, ...rest.map(() => 0)], [count, ...rest], type);
  }

  part(x: Handle, begin: readonly number[], size: readonly number[], type: Type = types.float32): Handle {
    return this.run("Slice", [x, this.list(begin), this.list(size)], { T: type, Index: types.int32 });
  }

  /** x [., columns]: columns first, ..., first + count - 1. */
  columns(x: Handle, first: number, count: number): Handle {
    const [rows = 0, columns = 0] = x.shape;
    return count === columns ? x : this.part(x, [0, first], [rows, count]);
  }

  gather(x: Handle, index: Int32Array, axis: number, type: Type = types.float32): Handle {
    return this.scope(() => this.gatherBy(x, this.constant(index), axis, type));
  }

  gatherBy(x: Handle, index: Handle, axis: number, type: Type = types.float32): Handle {
    const attributes = { Tparams: type, Tindices: types.int32, Taxis: types.int32, batch_dims: { int: 0 } };
    return this.run("GatherV2", [x, index, this.integer(axis)], attributes);
  }

  /** Moves elements along an axis by `shift`; what leaves at the end comes in at the start. */
  roll(x: Handle, shift: number, axis: number): Handle {
    const inputs = [x, this.list([shift]), this.list([axis])];
    return this.run("Roll", inputs, { T: types.float32, Tshift: types.int32, Taxis: types.int32 });
  }

  /** 0, ..., count - 1 as float32. */
  range(count: number): Handle {
    return this.run("Range", [this.scalar(0), this.scalar(count), this.scalar(1)], { Tidx: types.float32 });
  }

  /** Not initialised. */
  empty(shape: readonly number[], type: Type = types.float32): Handle {
    return this.run("Empty", [this.list(shape)], { dtype: type, init: false });
  }

  /** Rows `index` of x become `rows`, in place: the result is x's memory. */
  replaceRows(x: Handle, index: Handle, rows: Handle, type: Type = types.float32): Handle {
    return this.run("InplaceUpdate", [x, index, rows], { T: type });
  }

  /** All of x becomes y, x + y or x - y, in place. */
  change(name: "InplaceUpdate" | "InplaceAdd" | "InplaceSub", x: Handle, y: Handle, type: Type = types.float32): void {
    this.scope(() => {
      // One row, which all threads of TensorFlow share.
      const all = [1, x.shape.reduce((product, size) => product * size, 1)];
      this.run(name, [this.reshape(x, all, type), this.list([0]), this.reshape(y, all, type)], { T: type });
      return [];
    });
  }

  /** Concatenates along an axis. */
  concat(parts: readonly Handle[], axis: number, type: Type = types.float32): Handle {
    const [only] = parts;
    if (only && parts.length === 1) return only;
    const inputs = [...parts, this.integer(axis)];
    return this.run("ConcatV2", inputs, { N: { int: parts.length }, T: type, Tidx: types.int32 });
  }

  /** Reduces an axis, the last one by default, which keeps length 1. */
  reduce(name: "Mean" | "Sum" | "Max" | "Min", x: Handle, axis = x.shape.length - 1): Handle {
    return this.run(name, [x, this.list([axis])], {
      T: types.float32,
      Tidx: types.int32,
      keep_dims: true,
    });
  }

  /** a [m, k] times b [k, n], or b [n, k] transposed. */
  product(a: Handle, b: Handle, transposed: boolean, type: Type = types.float32): Handle {
    return this.run("MatMul", [a, b], { T: type, transpose_a: false, transpose_b: transposed });
  }

  /** a times b, or b transposed, over the last two axes; the others broadcast. */
  multiply(a: Handle, b: Handle, transposed: boolean): Handle {
    return this.run("BatchMatMulV2", [a, b], { T: types.float32, adj_x: false, adj_y: transposed });
  }
}
