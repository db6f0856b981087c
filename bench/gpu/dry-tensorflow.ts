/**
 * A TensorFlow that computes nothing: it knows shapes and types, and counts the memory of the tensors alive. So the device's own
 * code says what it needs for any model, on a GPU too, without one. A tensor that shares another's memory counts once.
 * Not counted is what a kernel needs inside, such as cuBLAS's workspace, and what an allocator loses.
 */
import type { Binding, BoundAttribute } from "../../engine/devices/tensorflow/binding.ts";
import { types } from "../../engine/devices/tensorflow/binding.ts";
import { invariant } from "../../schema/errors.ts";

interface Buffer {
  readonly bytes: number;
  uses: number;
}

interface Tensor {
  readonly shape: readonly number[];
  readonly type: number;
  readonly buffer: Buffer;
  /** Of a small constant. */
  readonly values: readonly number[];
}

/** What an operation makes; `shares` if it is its first input's memory. */
type Made = Pick<Tensor, "shape" | "type"> & { readonly shares?: boolean };
type Attributes = ReadonlyMap<string, number | boolean>;
type Infer = (inputs: readonly Tensor[], attributes: Attributes) => Made;

const bytesOf: Readonly<Record<number, number>> = {
  [types.float32]: 4,
  [types.int32]: 4,
  [types.uint8]: 1,
  [types.bool]: 1,
  [types.quint8]: 1,
  [types.bfloat16]: 2,
  [types.uint16]: 2,
  [types.uint32]: 4,
  [types.uint64]: 8,
};

/** Constants up to this length are shapes, axes and the like. */
const smallest = 16;

export class DryTensorFlow implements Binding {
  readonly TF_ATTR_TYPE = 1;
  readonly TF_ATTR_INT = 2;
  readonly TF_ATTR_BOOL = 3;
  readonly TF_Version = "that computes nothing";
  readonly #usesGpu: boolean;
  readonly #tensors = new Map<number, Tensor>();
  #next = 0;
  #live = 0;
  #peak = 0;
  #operations = 0;

  constructor(usesGpu: boolean) {
    this.#usesGpu = usesGpu;
  }

  /** Bytes of all tensors now, and at the peak since `resetPeak`; operations run since then. */
  used(): { readonly live: number; readonly peak: number; readonly operations: number } {
    return { live: this.#live, peak: this.#peak, operations: this.#operations };
  }

  resetPeak(): void {
    this.#peak = this.#live;
    this.#operations = 0;
  }

  isUsingGpuDevice(): boolean {
    return this.#usesGpu;
  }

  getNumOfTensors(): number {
    return this.#tensors.size;
  }

  createTensor(shape: readonly number[], type: number, values: ArrayLike<number>): number {
    return this.#add({ shape, type }, null, values.length <= smallest ? Array.from(values) : []);
  }

  deleteTensor(id: number): void {
    const { buffer } = this.#find(id);
    this.#tensors.delete(id);
    buffer.uses -= 1;
    if (buffer.uses === 0) this.#live -= buffer.bytes;
  }

  tensorDataSync(id: number): Float32Array | Int32Array {
    const { shape, type } = this.#find(id);
    return type === types.int32 ? new Int32Array(count(shape)) : new Float32Array(count(shape));
  }

  executeOp(name: string, bound: readonly BoundAttribute[], ids: readonly number[]) {
    const infer = operations[name];
    invariant(infer, `the shape of ${name} is known`);
    const inputs = ids.map((id) => this.#find(id));
    const made = infer(inputs, new Map(bound.map((attribute) => [attribute.name, attribute.value])));
    this.#operations += 1;
    return [{ id: this.#add(made, made.shares === true ? (inputs[0] ?? null) : null, []), shape: made.shape }];
  }

  #find(id: number): Tensor {
    const tensor = this.#tensors.get(id);
    invariant(tensor, `tensor ${id} has not been freed`);
    return tensor;
  }

  #add({ shape, type }: Made, of: Tensor | null, values: readonly number[]): number {
    const buffer = of?.buffer ?? { bytes: count(shape) * sizeOf(type), uses: 0 };
    if (buffer.uses === 0) this.#live += buffer.bytes;
    buffer.uses += 1;
    this.#peak = Math.max(this.#peak, this.#live);
    this.#tensors.set(this.#next, { shape, type, buffer, values });
    return this.#next++;
  }
}

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function sizeOf(type: number): number {
  const bytes = bytesOf[type];
  invariant(bytes !== undefined, `the size of type ${type} is known`);
  return bytes;
}

const float = types.float32;
const unary: Infer = ([x]) => shapeOf(x);
const compared: Infer = (inputs) => ({ ...broadcast(inputs), type: types.bool });
const reduced: Infer = ([x, axes]) => {
  const axis = axes?.values[0] ?? 0;
  return { shape: shapeOf(x).shape.map((size, at) => (at === axis ? 1 : size)), type: float };
};

function shapeOf(x: Tensor | undefined): Pick<Tensor, "shape" | "type"> {
  invariant(x, "the operation has an input");
  return { shape: x.shape, type: x.type };
}

function broadcast([a, b]: readonly Tensor[]): Made {
  const [x, y] = [shapeOf(a), shapeOf(b)];
  const rank = Math.max(x.shape.length, y.shape.length);
  const of = (shape: readonly number[], at: number) => shape[at - rank + shape.length] ?? 1;
  return { shape: Array.from({ length: rank }, (_, at) => Math.max(of(x.shape, at), of(y.shape, at))), type: x.type };
}

/** The last axis splits into, or is merged from, the parts of another size. */
const bitcast: Infer = ([x], attributes) => {
  const { shape, type: from } = shapeOf(x);
  const type = Number(attributes.get("type"));
  const ratio = sizeOf(from) / sizeOf(type);
  return { shape: ratio > 1 ? [...shape, ratio] : ratio < 1 ? shape.slice(0, -1) : shape, type, shares: true };
};

/** Rows from the start of a block of memory share it; other parts are copied. */
const slice: Infer = ([x, begin, size]) => {
  const { shape, type } = shapeOf(x);
  const [first = 0, ...rest] = begin?.values ?? [];
  const rowBytes = count(shape.slice(1)) * sizeOf(type);
  const whole = rest.every((start, at) => start === 0 && size?.values[at + 1] === shape[at + 1]);
  return { shape: size?.values ?? [], type, shares: whole && (first * rowBytes) % 64 === 0 };
};

const product =
  (left: string, right: string): Infer =>
  ([a, b], attributes) => {
    const { shape, type } = shapeOf(a);
    const [rows = 0, inner = 0] = shape.slice(-2);
    const [first = 0, second = 0] = shapeOf(b).shape.slice(-2);
    const made = [attributes.get(left) === true ? inner : rows, attributes.get(right) === true ? first : second];
    return { shape: [...shape.slice(0, -2), ...made], type };
  };

const operations: Readonly<Record<string, Infer>> = {
  ...Object.fromEntries(
    ["Mul", "AddV2", "Sub", "Div", "Minimum", "BitwiseAnd", "RightShift"].map((name) => [name, broadcast]),
  ),
  ...Object.fromEntries(["Less", "GreaterEqual", "Equal", "LogicalOr"].map((name) => [name, compared])),
  ...Object.fromEntries(
    ["Relu", "Exp", "Log", "Tanh", "Sigmoid", "Erf", "Rsqrt", "Square", "Abs", "Softmax", "Roll", "DeepCopy"].map(
      (name) => [name, unary],
    ),
  ),
  ...Object.fromEntries(["Mean", "Sum", "Max", "Min"].map((name) => [name, reduced])),
  PopulationCount: ([x]) => ({ ...shapeOf(x), type: types.uint8 }),
  Dequantize: ([x]) => ({ ...shapeOf(x), type: float }),
  Cast: ([x], attributes) => ({ ...shapeOf(x), type: Number(attributes.get("DstT")) }),
  Bitcast: bitcast,
  Reshape: ([x, shape]) => ({ shape: shape?.values ?? [], type: shapeOf(x).type, shares: true }),
  ...Object.fromEntries(
    ["InplaceUpdate", "InplaceAdd", "InplaceSub"].map((name) => [name, ([x]) => ({ ...shapeOf(x), shares: true })]),
  ),
  Empty: ([shape], attributes) => ({ shape: shape?.values ?? [], type: Number(attributes.get("dtype")) }),
  Range: ([start, limit]) => ({ shape: [(limit?.values[0] ?? 0) - (start?.values[0] ?? 0)], type: float }),
  StatelessRandomUniformFullIntV2: ([shape]) => ({ shape: shape?.values ?? [], type: types.uint32 }),
  Slice: slice,
  Transpose: ([x, order]) => ({
    ...shapeOf(x),
    shape: (order?.values ?? []).map((axis) => shapeOf(x).shape[axis] ?? 0),
  }),
  GatherV2([x, index, axes]) {
    const { shape, type } = shapeOf(x);
    const axis = axes?.values[0] ?? 0;
    return { shape: [...shape.slice(0, axis), ...shapeOf(index).shape, ...shape.slice(axis + 1)], type };
  },
  ConcatV2(inputs) {
    const [{ shape, type }, axis] = [shapeOf(inputs[0]), inputs.at(-1)?.values[0] ?? 0];
    const total = inputs.slice(0, -1).reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0);
    return { shape: shape.map((size, at) => (at === axis ? total : size)), type };
  },
  MatMul: product("transpose_a", "transpose_b"),
  BatchMatMulV2: product("adj_x", "adj_y"),
};
