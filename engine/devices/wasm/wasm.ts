/**
 * TensorFlow.js on its wasm backend: XNNPACK does matrix products on the wasm heap, and loops in TypeScript do the rest on views
 * of that heap, without copies.
 *
 * Weights are typed arrays outside the heap. XNNPACK needs [in, out], and is ten times slower if tfjs transposes for it, so a
 * weight [out, in] is transposed while it is perturbed; the copy is freed after the last block of rows that needs it. The heap
 * never shrinks, so a pass is recorded, and runs some rows at a time (../recording.ts).
 */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { invariant } from "../../../schema/errors.ts";
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
} from "../checks.ts";
import type {
  Activation,
  ActivationFunction,
  AttentionShape,
  Device,
  HeadOptions,
  LowRankPart,
  Pass,
  Perturbation,
  Precision,
  RotaryShape,
  Weight,
  WeightLayout,
} from "../device.ts";
import { sidesOf } from "../device.ts";
import { composeLowRank } from "../low-rank.ts";
import { joined } from "../plain-kernels.ts";
import type { StoredWeight } from "../host-memory.ts";
import { copyStoredCache, createStoredCache, replayPiece, storeWeight, storedBytes, valuesOf } from "../host-memory.ts";
import type { Block, BlockOperation, Cells, Recorded, WholeOperation } from "../recorded.ts";
import { Recording } from "../recording.ts";
import type { WasmHeap } from "./heap.ts";
import { openWasmBackend } from "./heap.ts";
import {
  CrossEntropy,
  activateInto,
  addInto,
  attendInto,
  multiplyInto,
  normInto,
  perturbInto,
  rmsNormInto,
  rotateInto,
  scaleInto,
  sliceInto,
} from "./kernels.ts";
import { WasmProducts } from "./products.ts";
import { WasmWeights } from "./weights.ts";

const name = "tfjs";
const precisions: readonly Precision[] = ["float32"];

/** How much a pass has on the heap at a time: elements of an activation where a layer is wide, bytes of perturbed weights. */
export interface WasmSizes {
  readonly cellElements: number;
  readonly heldBytes: number;
}

const defaultSizes: WasmSizes = { cellElements: 2 ** 20, heldBytes: 40 * 2 ** 20 };

export interface WasmDevice extends Device {
  /** Number of tensors on the wasm heap. */
  tensors(): number;
  /** Bytes of the tensors that this device had there at the same time, at most. */
  peakBytes(): number;
}

/** @throws if the backend cannot be loaded or started */
export async function createWasmDevice(sizes = defaultSizes): Promise<WasmDevice> {
  const { heap, version } = await openWasmBackend();
  const shared = new WasmWeights(heap);
  return {
    name,
    description: `TensorFlow.js ${version}, wasm backend`,
    precisions,
    rowsApart: false,
    createWeight: (spec, bytes) => shared.weights.add(storeWeight(name, spec, bytes)),
    freeWeight: (weight) => shared.freeWeight(weight),
    readWeight: (weight) => Promise.resolve(storedBytes(shared.weights.find(weight))),
    update: (weights, entries, noise) => shared.update(weights, entries, noise),
    replay: replayPiece,
    begin(perturbation, precision = "float32", options = {}) {
      checkPrecision({ name, precisions }, precision);
      checkOptions(options, perturbation);
      return new WasmPass(shared, perturbation, sizes);
    },
    createCache: () => shared.caches.add(createStoredCache(name)),
    copyCache: (cache, rows) => shared.caches.add(copyStoredCache(shared.caches.find(cache), rows)),
    freeCache: (cache) => shared.caches.free(cache),
    dispose: () => shared.dispose(),
    tensors: () => heap.tensors(),
    peakBytes: () => heap.peak(),
  };
}

type Value = Recorded<TensorInfo>;

class WasmPass implements Pass {
  readonly #shared: WasmWeights;
  readonly #heap: WasmHeap;
  readonly #perturbation: Perturbation | null;
  readonly #products: WasmProducts;
  readonly #recording: Recording<TensorInfo>;

  constructor(shared: WasmWeights, perturbation: Perturbation | null, sizes: WasmSizes) {
    this.#shared = shared;
    this.#heap = shared.heap;
    this.#perturbation = perturbation;
    this.#products = new WasmProducts(shared, perturbation);
    this.#recording = new Recording<TensorInfo>({ free: (tensor) => shared.heap.free(tensor), ...sizes });
  }

  embed(table: Weight, ids: Int32Array): Activation {
    checkIds(table, ids);
    const weight = this.#shared.weights.find(table);
    const [, columns = 0] = table.shape;
    return this.#record({
      rows: ids.length,
      columns,
      inputs: [],
      kind: "whole",
      compute: (_, blocks) => {
        const cells = this.#sides().map(() => blocks.map(({ rows }) => this.#heap.allocate(rows, columns)));
        blocks.forEach(({ first, rows }, block) => {
          const views = cells.map((side) => this.#view(side[block]));
          for (let row = 0; row < rows; row++) {
            this.#embedRow(views, row * columns, weight, (ids[first + row] ?? 0) * columns, columns);
          }
        });
        return cells;
      },
    });
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
    return this.#make(
      [a, b],
      a.columns,
      () =>
        (out, [x, y]) =>
          addInto(out, x, y),
    );
  }

  multiply(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    return this.#make(
      [a, b],
      a.columns,
      () =>
        (out, [x, y]) =>
          multiplyInto(out, x, y),
    );
  }

  scale(x: Activation, factor: number): Activation {
    return this.#make(
      [x],
      x.columns,
      () =>
        (out, [from]) =>
          scaleInto(out, from, factor),
    );
  }

  slice(x: Activation, first: number, count: number): Activation {
    checkSlice(x, first, count);
    return this.#make(
      [x],
      count,
      () =>
        (out, [from]) =>
          sliceInto(out, from, x.columns, first, count),
    );
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    return this.#make([x], x.columns, () => {
      const scales = weight && this.#products.vectors(weight);
      const shifts = bias && this.#products.vectors(bias);
      const [ones, zeros] = [new Float32Array(x.columns).fill(1), new Float32Array(x.columns)];
      return (out, [from], { side }) =>
        normInto(out, from, x.columns, epsilon, scales?.[side] ?? ones, shifts?.[side] ?? zeros);
    });
  }

  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation {
    checkGroups(x, weight);
    return this.#make([x], x.columns, () => {
      const scales = this.#products.vectors(weight);
      return (out, [from], { side }) => rmsNormInto(out, from, scales[side] ?? new Float32Array(), epsilon, offset);
    });
  }

  rotate(x: Activation, shape: RotaryShape): Activation {
    checkRotary(x, shape);
    return this.#make([x], x.columns, () => (out, [from], { first, rows }) => {
      rotateInto(out, from, x.columns, { ...shape, positions: shape.positions.subarray(first, first + rows) });
    });
  }

  linear(x: Activation, weight: Weight, bias: Weight | null, layout: WeightLayout = "out-in"): Activation {
    const { outputs } = checkLinear(x, weight, layout);
    const stored = this.#shared.weights.find(weight);
    return this.#record({
      rows: x.rows,
      columns: outputs,
      inputs: [own(x)],
      kind: "blocks",
      held: 4 * stored.elements.length * this.#sides().length,
      start: () => {
        const product = this.#products.product(
          weight,
          { layout, first: 0, count: outputs },
          bias && this.#products.vectors(bias),
        );
        return { block: ({ side }, [from]) => product.of(from, side), end: () => product.end() };
      },
    });
  }

  addLowRank(y: Activation, x: Activation, parts: readonly LowRankPart[]): Activation {
    checkLowRank(y, x, parts, this.#perturbation);
    return composeLowRank(this, (sum, rows, first) => this.#addRows(sum, rows, first), y, x, parts);
  }

  #addRows(y: Activation, added: Activation, first: number): Activation {
    const { rows, columns } = y;
    return this.#record({
      rows,
      columns,
      inputs: [own(y), own(added)],
      kind: "whole",
      compute: ([of = [], more = []], blocks) =>
        of.map((side, number) =>
          blocks.map((block, index) => {
            const out = this.#heap.allocate(block.rows, columns);
            const [to, from] = [this.#view(out), this.#rows(more[number] ?? [], columns)];
            to.set(this.#view(side[index]));
            for (let row = 0; row < block.rows; row++) {
              const at = block.first + row - first;
              if (at < 0 || at >= added.rows) continue;
              const here = to.subarray(row * columns, (row + 1) * columns);
              addInto(here, here, from(at));
            }
            return out;
          }),
        ),
    });
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    checkAttention([q, k, v], shape, this.#perturbation);
    const caches = shape.caches?.map((handle) => this.#shared.caches.find(handle));
    const { lengths, prefix } = shape;
    const starts = lengths.map((_, index) => lengths.slice(0, index).reduce((sum, n) => sum + n, 0));
    const options = {
      lengths,
      once: caches !== undefined,
      shared: prefix ? [own(prefix.keys), own(prefix.values)] : [],
    };
    return this.#make(
      [q, k, v],
      q.columns,
      (before) =>
        (out, [queries, keys, values], { side, first, rows }) => {
          const members = [...lengths.keys()].filter((i) => {
            return (starts[i] ?? 0) >= first && (starts[i] ?? 0) + (lengths[i] ?? 0) <= first + rows;
          });
          const block = { ...shape, lengths: members.map((i) => lengths[i] ?? 0) };
          attendInto(out, queries, q.columns, block, (member) => {
            const sequence = members[member] ?? 0;
            const from = ((starts[sequence] ?? 0) - first) * k.columns;
            const to = from + (lengths[sequence] ?? 0) * k.columns;
            const fresh = { k: keys.subarray(from, to), v: values.subarray(from, to) };
            const cache = caches?.[sequence];
            const seen = cache
              ? { k: cache.keys.append(fresh.k, k.columns), v: cache.values.append(fresh.v, k.columns) }
              : fresh;
            if (!prefix) return seen;
            const [prefixKeys, prefixValues] = before.map((cells) => this.#joined(cells[side] ?? []));
            invariant(prefixKeys && prefixValues, "a prefix has keys and values");
            return { k: joined(prefixKeys, seen.k), v: joined(prefixValues, seen.v) };
          });
        },
      options,
    );
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    return this.#make(
      [x],
      x.columns,
      () =>
        (out, [from]) =>
          activateInto(out, from, kind),
    );
  }

  gather(x: Activation, index: Int32Array): Activation {
    checkGather(x, index);
    const { columns } = x;
    return this.#record({
      rows: index.length,
      columns,
      inputs: [own(x)],
      kind: "whole",
      compute: ([cells = []], blocks) =>
        cells.map((side) =>
          blocks.map(({ first, rows }) => {
            const out = this.#heap.allocate(rows, columns);
            const [to, from] = [this.#view(out), this.#rows(side, columns)];
            for (let row = 0; row < rows; row++) to.set(from(index[first + row] ?? 0), row * columns);
            return out;
          }),
        ),
    });
  }

  losses(x: Activation, head: Weight, targets: Int32Array, options: HeadOptions = {}): Promise<Float64Array> {
    checkTargets(x, head, targets, options);
    const losses = this.#recording.run(own(x), (cells) => {
      const blocks = cells.map((side) => side.map((block, at) => ({ block, first: firstRow(side, at) })));
      const entropies = blocks.map((side) =>
        side.map(({ block, first }) => new CrossEntropy(targets.subarray(first, first + rowsOf(block)))),
      );
      this.#products.forHeadChunks(cells, head, options, (scores, side, block, first, count) =>
        entropies[side]?.[block]?.add(scores, first, count),
      );
      return entropies.flatMap((side) => side.flatMap((entropy) => [...entropy.losses()]));
    });
    return Promise.resolve(Float64Array.from(losses));
  }

  logits(x: Activation, head: Weight, options: HeadOptions = {}): Promise<Float32Array> {
    const [vocab = 0] = head.shape;
    const logits = this.#recording.run(own(x), (cells) => {
      const all = new Float32Array(cells.length * x.rows * vocab);
      this.#products.forHeadChunks(cells, head, options, (scores, side, block, first, count) => {
        const start = side * x.rows + firstRow(cells[side] ?? [], block);
        for (let row = 0; row < scores.length / count; row++) {
          all.set(scores.subarray(row * count, (row + 1) * count), (start + row) * vocab + first);
        }
      });
      return all;
    });
    return Promise.resolve(logits);
  }

  end(): void {
    this.#recording.end();
  }

  #sides(): readonly number[] {
    return sidesOf(this.#perturbation) === 2 ? [0, 1] : [0];
  }

  /** An operation on rows. Views are taken after all allocations, since growing the heap detaches them. */
  #make(
    of: readonly Activation[],
    columns: number,
    start: (
      shared: readonly Cells<TensorInfo>[],
    ) => (out: Float32Array, inputs: readonly [Float32Array, Float32Array, Float32Array], at: Block) => void,
    options: Pick<BlockOperation<TensorInfo>, "shared" | "lengths" | "once"> = {},
  ): Activation {
    return this.#record({
      ...options,
      rows: of[0]?.rows ?? 0,
      columns,
      inputs: of.map(own),
      kind: "blocks",
      start: (shared) => {
        const fill = start(shared);
        return {
          block: (at, inputs) => {
            const out = this.#heap.allocate(at.rows, columns);
            const [a, b, c] = inputs.map((input) => this.#view(input));
            const none = new Float32Array();
            fill(this.#view(out), [a ?? none, b ?? none, c ?? none], at);
            return out;
          },
        };
      },
    });
  }

  #record(operation: Unsided<BlockOperation<TensorInfo>> | Unsided<WholeOperation<TensorInfo>>): Value {
    return this.#recording.record({ ...operation, sides: sidesOf(this.#perturbation) });
  }

  #view(tensor: TensorInfo | undefined): Float32Array {
    invariant(tensor, "every operand has both sides");
    return this.#heap.view(tensor);
  }

  #joined(blocks: readonly TensorInfo[]): Float32Array {
    return blocks.map((block) => this.#view(block)).reduce((all, block) => joined(all, block), new Float32Array());
  }

  /** Finds a row of an activation in its blocks. */
  #rows(blocks: readonly TensorInfo[], columns: number): (row: number) => Float32Array {
    const views = blocks.map((block) => this.#view(block));
    const firsts = blocks.map((_, at) => firstRow(blocks, at));
    return (row) => {
      const at = firsts.findLastIndex((first) => first <= row);
      const start = (row - (firsts[at] ?? 0)) * columns;
      return (views[at] ?? new Float32Array()).subarray(start, start + columns);
    };
  }
}

type Unsided<T> = Omit<T, "sides">;

function rowsOf({ shape }: TensorInfo): number {
  return shape[1] ?? 0;
}

/** The first row of a block. */
function firstRow(blocks: readonly TensorInfo[], at: number): number {
  return blocks.slice(0, at).reduce((sum, block) => sum + rowsOf(block), 0);
}

function own(x: Activation): Value {
  invariant("operation" in x, "the activation was made by this device");
  return x as Value;
}
