/**
 * A pass as TensorFlow operations. It is recorded, and runs when its result is asked for: some rows at a time, each activation
 * freed after its last use (../recording.ts). A value is the tensor [rows, columns] of some rows on one side.
 */
import { invariant } from "../../../schema/errors.ts";
import {
  checkAttention,
  checkGather,
  checkGroups,
  checkIds,
  checkLinear,
  checkLowRank,
  checkRotary,
  checkSameShape,
  checkSlice,
  checkTargets,
} from "../checks.ts";
import type {
  Activation,
  ActivationFunction,
  AttentionShape,
  HeadOptions,
  KeyValueCache,
  LowRankPart,
  Pass,
  Perturbation,
  Precision,
  RotaryShape,
  Weight,
  WeightLayout,
} from "../device.ts";
import { sidesOf as sidesOfPass } from "../device.ts";
import type { Owned } from "../host-memory.ts";
import { composeLowRank } from "../low-rank.ts";
import type { Block, BlockOperation, Cells, Recorded, WholeOperation } from "../recorded.ts";
import { Recording } from "../recording.ts";
import type { Constants } from "./attention.ts";
import { attend } from "./attention.ts";
import type { Handle, Held, TensorFlow } from "./binding.ts";
import { attendCached } from "./cached-attention.ts";
import type { TensorflowCache } from "./caches.ts";
import { lossesOf, logitsOf } from "./head.ts";
import { activations, layerNorm, rmsNorm } from "./operations.ts";
import type { Reading } from "./products.ts";
import { heldBytes, heldVector, ofSide, product, productByPieces, sidesUnder, wayOf } from "./products.ts";
import type { Angles } from "./rotary.ts";
import { rotated, tableOf } from "./rotary.ts";
import { attended, cachesOfQueries, cut, rowsFrom, withRowsAdded } from "./sequences.ts";
import type { TensorflowWeight } from "./weights.ts";
import { rowsOf } from "./weights.ts";

/** How much a pass has in memory at a time. */
export interface PassSizes {
  /** Elements of an activation where a layer is wide, unless a sequence has more. */
  readonly cellElements: number;
  /** Scores of attention, and of the head. */
  readonly scoreElements: number;
  /** Bytes of perturbed weights of one side, unless a single operation has more. */
  readonly heldBytes: number;
  /** Rows from which a product transposes its weight (products.ts). */
  readonly transposedRows: number;
  /** Fewer rows, but more than one, are the second factor of a product instead of the first (products.ts). */
  readonly swapsFactors: boolean;
}

/** A GPU should need more at once to be busy, and multiply as fast by a weight [out, in]: expected, not watched on one. */
export function defaultSizes(usesGpu: boolean): PassSizes {
  const heldBytes = 20 * 2 ** 20;
  if (usesGpu)
    return { cellElements: 2 ** 25, scoreElements: 2 ** 25, heldBytes, transposedRows: Infinity, swapsFactors: false };
  return { cellElements: 2 ** 20, scoreElements: 2 ** 21, heldBytes, transposedRows: 512, swapsFactors: true };
}

export interface TensorflowState {
  readonly tf: TensorFlow;
  readonly weights: Owned<Weight, TensorflowWeight>;
  readonly caches: Owned<KeyValueCache, TensorflowCache>;
  readonly sizes: PassSizes;
}

type Value = Recorded<Handle>;

export class TensorflowPass implements Pass {
  readonly #state: TensorflowState;
  readonly #reading: Reading;
  readonly #recording: Recording<Handle>;
  /** Constants of this pass: masks, rows, angles. */
  readonly #constants = new Map<string, Held>();
  /** Numbers of the lists of positions that rotations have named. */
  readonly #positions = new Map<Int32Array, number>();

  constructor(state: TensorflowState, perturbation: Perturbation | null, precision: Precision) {
    const { tf, sizes } = state;
    this.#state = state;
    this.#reading = { tf, perturbation, precision, ...sizes };
    this.#recording = new Recording<Handle>({ free: (handle) => tf.free(handle), ...sizes });
  }

  embed(table: Weight, ids: Int32Array): Activation {
    checkIds(table, ids);
    const weight = this.#weight(table);
    const { tf, perturbation } = this.#reading;
    // Rows of different ids are made once, for all blocks.
    const { different, places } = differentOf(ids);
    return this.#blocks({
      rows: ids.length,
      columns: weight.columns,
      sides: sidesUnder(this.#reading, weight),
      inputs: [],
      start: () => {
        const made = tf.hold(() => rowsOf(tf, weight, different, perturbation));
        return {
          block: ({ side, first, rows }) =>
            tf.gather(ofSide(made.handles, side), places.subarray(first, first + rows), 0),
          end: () => made.end(),
        };
      },
    });
  }

  add(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#rowwise([a, b], a.columns, ([x, y]) => this.#tf.binary("AddV2", x, y));
  }

  multiply(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#rowwise([a, b], a.columns, ([x, y]) => this.#tf.binary("Mul", x, y));
  }

  scale(x: Activation, factor: number): Activation {
    return this.#rowwise([x], x.columns, ([y]) => this.#tf.binary("Mul", y, this.#tf.scalar(factor)));
  }

  slice(x: Activation, first: number, count: number): Activation {
    checkSlice(x, first, count);
    return this.#rowwise([x], count, ([y]) => this.#tf.part(y, [0, first], [y.shape[0] ?? 0, count]));
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    const [scales, shifts] = [weight && this.#weight(weight), bias && this.#weight(bias)];
    return this.#under([scales, shifts], [x], x.columns, (vectors) => (at, [y]) => {
      const [scale, shift] = vectors(at.side);
      return layerNorm(this.#tf, y, scale ?? null, shift ?? null, epsilon);
    });
  }

  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation {
    const size = checkGroups(x, weight);
    const tf = this.#tf;
    return this.#under([this.#weight(weight)], [x], x.columns, (vectors) => (at, [y]) => {
      const [scale] = vectors(at.side);
      invariant(scale, "the norm has a weight");
      const scales = offset === 0 ? scale : tf.binary("AddV2", scale, tf.scalar(offset));
      const groups = tf.reshape(y, [(at.rows * x.columns) / size, size]);
      const normed = tf.next(groups, (z) => rmsNorm(tf, z, scales, epsilon));
      return tf.next(normed, (z) => tf.reshape(z, [at.rows, x.columns]));
    });
  }

  rotate(x: Activation, shape: RotaryShape): Activation {
    checkRotary(x, shape);
    return this.#rowwise([x], x.columns, ([y], at) => rotated(this.#tf, y, shape, this.#angles(shape, at)));
  }

  linear(x: Activation, weight: Weight, bias: Weight | null, layout: WeightLayout = "out-in"): Activation {
    const { outputs } = checkLinear(x, weight, layout);
    const [matrix, shift] = [this.#weight(weight), bias && this.#weight(bias)];
    const input = own(x);
    const way = wayOf(this.#reading, x.rows, layout);
    const common = {
      rows: x.rows,
      columns: outputs,
      sides: Math.max(input.operation.sides, sidesUnder(this.#reading, matrix, shift)),
      inputs: [input],
    };
    if (matrix.pieces.length > 1) {
      return this.#whole({ ...common, compute: productByPieces(this.#reading, matrix, shift, way) });
    }
    return this.#blocks({
      ...common,
      held: heldBytes(this.#reading, matrix, way),
      start: () => product(this.#reading, matrix, shift, way),
    });
  }

  addLowRank(y: Activation, x: Activation, parts: readonly LowRankPart[]): Activation {
    checkLowRank(y, x, parts, this.#reading.perturbation);
    return composeLowRank(this, (sum, rows, first) => this.#addRows(sum, rows, first), y, x, parts);
  }

  #addRows(y: Activation, added: Activation, first: number): Activation {
    const { tf } = this.#reading;
    const { rows, columns } = y;
    return this.#whole({
      rows,
      columns,
      sides: 1,
      inputs: [own(y), own(added)],
      compute: ([[of = []] = [], [more = []] = []], blocks) => [cut(tf, withRowsAdded(tf, of, more, first), blocks)],
    });
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    checkAttention([q, k, v], shape, this.#reading.perturbation);
    const caches = shape.caches?.map((handle) => this.#state.caches.find(handle));
    const inputs = [q, k, v].map(own);
    const shared = shape.prefix ? [own(shape.prefix.keys), own(shape.prefix.values)] : [];
    return this.#blocks({
      rows: q.rows,
      columns: q.columns,
      sides: Math.max(...[...inputs, ...shared].map(({ operation }) => operation.sides)),
      inputs,
      shared,
      lengths: shape.lengths,
      once: caches !== undefined,
      start: (before) => ({
        block: (at: Block, [queries, keys, values]: readonly Handle[]) => {
          invariant(queries && keys && values, "attention has three operands");
          const { tf } = this.#state;
          const constants: Constants = (key, make) => {
            const [made] = this.#constant(key, () => [make()]);
            invariant(made, "a constant is one tensor");
            return made;
          };
          const queried = cachesOfQueries(tf, at, [keys, values], shape.lengths, { caches, before });
          if (queried) return attendCached(tf, queries, queried, shape, constants);
          const seen = attended(tf, at, [keys, values], shape.lengths, { caches, before });
          const { scoreElements } = this.#reading;
          return attend(tf, [queries, seen.keys, seen.values], shape, seen.sequences, { constants, scoreElements });
        },
      }),
    });
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    return this.#rowwise([x], x.columns, ([y]) => activations[kind](this.#tf, y));
  }

  gather(x: Activation, index: Int32Array): Activation {
    checkGather(x, index);
    const { tf } = this.#reading;
    const input = own(x);
    return this.#whole({
      rows: index.length,
      columns: x.columns,
      sides: input.operation.sides,
      inputs: [input],
      compute: ([cells = []], blocks) => cells.map((side) => cut(tf, rowsFrom(tf, side, index), blocks)),
    });
  }

  losses(x: Activation, head: Weight, targets: Int32Array, options: HeadOptions = {}): Promise<Float64Array> {
    checkTargets(x, head, targets, options);
    return Promise.resolve(
      Float64Array.from(this.#result(x, head, options, (cells, of) => lossesOf(this.#reading, cells, of, targets))),
    );
  }

  logits(x: Activation, head: Weight, options: HeadOptions = {}): Promise<Float32Array> {
    return Promise.resolve(this.#result(x, head, options, (cells, of) => logitsOf(this.#reading, cells, of)));
  }

  end(): void {
    this.#recording.end();
    this.#forget();
    this.#tf.trim();
  }

  get #tf(): TensorFlow {
    return this.#state.tf;
  }

  #weight(handle: Weight): TensorflowWeight {
    return this.#state.weights.find(handle);
  }

  /** Computes x, then what `use` makes of it and the head; where one side counts for both, it is repeated. */
  #result(
    x: Activation,
    weight: Weight,
    { bias, softcap }: HeadOptions,
    use: (cells: Cells<Handle>, head: Parameters<typeof lossesOf>[2]) => Float32Array,
  ): Float32Array {
    checkLinear(x, weight, "out-in");
    const head = { weight: this.#weight(weight), bias: bias ? this.#weight(bias) : null, softcap };
    try {
      const values = this.#recording.run(own(x), (cells) => use(cells, head));
      const sides = Math.max(own(x).operation.sides, sidesUnder(this.#reading, head.weight, head.bias));
      if (sides === sidesOfPass(this.#reading.perturbation)) return values;
      const both = new Float32Array(2 * values.length);
      both.set(values);
      both.set(values, values.length);
      return both;
    } finally {
      this.#forget();
    }
  }

  #forget(): void {
    for (const held of this.#constants.values()) held.end();
    this.#constants.clear();
  }

  #constant(key: string, make: () => readonly Handle[]): readonly Handle[] {
    const known = this.#constants.get(key);
    if (known) return known.handles;
    const made = this.#tf.hold(make);
    this.#constants.set(key, made);
    return made.handles;
  }

  /** The angles of a block's rows. The device has those of every different position once. */
  #angles(shape: RotaryShape, { index, first, rows }: Block): Angles {
    const tf = this.#tf;
    const { headSize, positions, frequencies, pairing, scale } = shape;
    let number = this.#positions.get(positions);
    if (number === undefined) this.#positions.set(positions, (number = this.#positions.size));
    const name = `angles ${number} ${headSize} ${pairing} ${scale} ${frequencies.join()}`;
    const [cosines, sines] = this.#constant(`${name} block ${index}`, () => {
      const { places, ...table } = tableOf(shape);
      const tables = this.#constant(name, () => [
        tf.constant(table.cosines, table.shape),
        tf.constant(table.sines, table.shape),
      ]);
      return tables.map((of) => tf.gather(of, places.subarray(first, first + rows), 0));
    });
    invariant(cosines && sines, "angles are two tables");
    return { cosines, sines };
  }

  #rowwise(
    of: readonly Activation[],
    columns: number,
    compute: (inputs: readonly [Handle, Handle], at: Block) => Handle,
  ): Value {
    return this.#under([], of, columns, () => (at, inputs) => compute(inputs, at));
  }

  /** An operation on rows that reads vectors, null for those it has not. */
  #under(
    weights: readonly (TensorflowWeight | null)[],
    of: readonly Activation[],
    columns: number,
    start: (vectors: (side: number) => (Handle | null)[]) => (at: Block, inputs: readonly [Handle, Handle]) => Handle,
  ): Value {
    const inputs = of.map(own);
    return this.#blocks({
      rows: inputs[0]?.rows ?? 0,
      columns,
      sides: Math.max(...inputs.map(({ operation }) => operation.sides), sidesUnder(this.#reading, ...weights)),
      inputs,
      start: () => {
        const vectors = weights.map((weight) => weight && heldVector(this.#reading, weight));
        const compute = start((side) => vectors.map((held) => held && ofSide(held.handles, side)));
        return {
          block: (at, operands) => compute(at, operands as unknown as [Handle, Handle]),
          end: () => vectors.forEach((held) => held?.end()),
        };
      },
    });
  }

  #blocks(operation: Omit<BlockOperation<Handle>, "kind">): Value {
    const { start } = operation;
    return this.#recording.record({
      ...operation,
      kind: "blocks",
      start: (shared) => {
        const work = start(shared);
        return { ...work, block: (at, inputs) => this.#tf.scope(() => work.block(at, inputs)) };
      },
    });
  }

  #whole(operation: Omit<WholeOperation<Handle>, "kind">): Value {
    return this.#recording.record({
      ...operation,
      kind: "whole",
      compute: (inputs, blocks) => {
        let cells: Handle[][] = [];
        this.#tf.scope(() => (cells = operation.compute(inputs, blocks)).flat());
        return cells;
      },
    });
  }
}

/** Each id once, and the place of every id among them. */
function differentOf(ids: Int32Array): { readonly different: Int32Array; readonly places: Int32Array } {
  const places = new Map<number, number>();
  for (const id of ids) if (!places.has(id)) places.set(id, places.size);
  return { different: Int32Array.from(places.keys()), places: ids.map((id) => places.get(id) ?? 0) };
}

function own(x: Activation): Value {
  invariant("operation" in x, "the activation was made by this device");
  return x as Value;
}
