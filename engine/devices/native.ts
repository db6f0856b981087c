/**
 * The native device: a pass is recorded here and run by the addon as a whole, off the event loop. Since the addon knows the
 * whole pass before it runs, it can fuse operations and share memory between activations.
 */
import { invariant } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import type { LogEntries } from "../../schema/step-log.ts";
import { partsOf } from "../../schema/log-entries.ts";
import type { NativeDevice, NativeEntries, NativeTimings, NativeWeight } from "../native/addon.ts";
import { nativeAddon } from "../native/addon.ts";
import type { Noise } from "../numbers/noise.ts";
import { tensorId } from "../numbers/noise.ts";
import {
  checkAttention,
  checkCopy,
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
} from "./checks.ts";
import type {
  Activation,
  ActivationFunction,
  AttentionShape,
  Device,
  HeadOptions,
  LogitOptions,
  KeyValueCache,
  LowRankPart,
  Pass,
  Perturbation,
  Precision,
  Products,
  RotaryShape,
  StoredTensor,
  TensorPiece,
  Weight,
  WeightDtype,
  WeightLayout,
  WeightSpec,
} from "./device.ts";
import { bytesPerElement, sidesOf } from "./device.ts";
import { Owned } from "./host-memory.ts";

const dtypes: Readonly<Record<WeightDtype, number>> = { F32: 0, BF16: 1 };
const noises: Readonly<Record<Noise, number>> = { normal: 0, rademacher: 1 };
/** A call has 16 bytes an entry. */
const entriesAtOnce = 1 << 18;
const kernels: Readonly<Record<Products, number>> = { panels: 1, rows: 2 };
const activations: Readonly<Record<ActivationFunction, number>> = { relu: 1, gelu: 2, gelu_tanh: 3, silu: 4 };

/** Operation codes: enum Op in engine/native/src/program.h. */
const operations = {
  embed: 0,
  add: 1,
  multiply: 2,
  scale: 3,
  slice: 4,
  layerNorm: 5,
  rmsNorm: 6,
  rotate: 7,
  linear: 8,
  attention: 9,
  activate: 10,
  gather: 11,
  losses: 12,
  logits: 13,
  addLowRank: 14,
} as const;

interface OwnWeight extends Weight {
  readonly id: number;
}

interface OwnCache extends KeyValueCache {
  readonly id: number;
  /** Those that it will have after all passes so far. */
  rows: number;
}

/** Numbered in the order of creation, as in the addon. */
interface Recorded extends Activation {
  readonly id: number;
}

interface NativeTimedDevice extends Device {
  /** Seconds spent since the last call, by part of a pass. */
  timings(): Promise<NativeTimings>;
  /** The processor's peak in 10^9 floating-point operations per second, measured on registers alone. */
  peak(precision: Precision): Promise<number>;
  /** 10^9 bytes a second that a copy of memory reads and writes, on all threads. */
  copyRate(): Promise<number>;
}

/**
 * @param instructionSet "" for the best one of the processor
 * @param threads 0 for one per core
 * @throws if the addon was not built or the processor lacks the instruction set
 */
export function createNativeDevice(instructionSet = "", threads = 0): NativeTimedDevice {
  const name = instructionSet === "" ? "native" : `native-${instructionSet}`;
  const native = new (nativeAddon().NativeDevice)(instructionSet, threads);
  const weights = new Owned<Weight, OwnWeight>();
  const caches = new Owned<KeyValueCache, OwnCache>();
  const precisions: readonly Precision[] = native.multipliesBf16 ? ["float32", "bfloat16"] : ["float32"];
  const find = {
    weight: (weight: Weight) => weights.find(weight).id,
    cache: (cache: KeyValueCache) => caches.find(cache),
  };
  /** Rejects if an update has failed; later reads and passes await it. */
  let failure: Promise<void> = Promise.resolve();
  return {
    name,
    description: `native, ${native.instructionSet}, ${counted(native.threads, "thread")}`,
    precisions,
    rowsApart: true,
    createWeight: (spec, bytes) =>
      weights.add({ ...spec, device: "native", id: native.createWeight(nativeSpec(spec), bytes) }),
    mapWeight(spec: WeightSpec, stored: StoredTensor) {
      const half = stored.dtype === "F16";
      invariant(half || stored.dtype === spec.dtype, `${spec.name} is stored in its dtype of training`);
      const id = native.mapWeight(nativeSpec(spec), stored.path, stored.offset, half);
      return weights.add({ ...spec, device: "native", id });
    },
    freeWeight(weight) {
      native.freeWeight(find.weight(weight));
      weights.free(weight);
    },
    async readWeight(weight) {
      // The read is queued before awaiting, so that it keeps its position among other calls.
      const [bytes] = await Promise.all([native.readWeight(find.weight(weight)), failure]);
      return bytes;
    },
    update(updated, entries, noise) {
      if (updated.length === 0 || entries.length === 0) return;
      const ids = Int32Array.from(updated, (weight) => find.weight(weight));
      failure = Promise.all([failure, native.update(ids, ...packed(entries), noises[noise])]).then(() => undefined);
      failure.catch(() => undefined);
    },
    settled: () => failure,
    async replay(piece: TensorPiece, entries, noise) {
      const { bytes } = piece;
      // Only aligned elements can be updated in place.
      const aligned = bytes.byteOffset % bytesPerElement[piece.dtype] === 0 ? bytes : bytes.slice();
      const location = [dtypes[piece.dtype], tensorId(piece.name), piece.first] as const;
      for (const part of partsOf(entries, entriesAtOnce)) {
        await native.replay(aligned, ...location, ...packed(part), noises[noise]);
      }
      if (aligned !== bytes) bytes.set(aligned);
    },
    async replayWeight(weight, first, bytes, entries, noise) {
      for (const part of partsOf(entries, entriesAtOnce)) {
        await native.replayWeight(find.weight(weight), first, bytes, ...packed(part), noises[noise]);
      }
    },
    begin(perturbation, precision = "float32", options = {}) {
      checkPrecision({ name, precisions }, precision);
      checkOptions(options, perturbation);
      const kind = { perturbation, bf16: precision === "bfloat16", products: options.products };
      return new NativePass(native, find, () => failure, kind);
    },
    createCache: () => caches.add({ device: "native", id: native.createCache(), rows: 0 }),
    copyCache(cache, rows) {
      const from = find.cache(cache);
      checkCopy(rows, from.rows);
      return caches.add({ device: "native", id: native.copyCache(from.id, rows), rows });
    },
    freeCache(cache) {
      native.freeCache(find.cache(cache).id);
      caches.free(cache);
    },
    timings: () => native.timings(),
    peak: (precision) => native.peak(precision === "bfloat16"),
    copyRate: () => native.copyRate(),
    dispose() {
      for (const weight of weights.all()) native.freeWeight(weight.id);
      for (const cache of caches.all()) native.freeCache(cache.id);
      weights.clear();
      caches.clear();
    },
  };
}

function nativeSpec({ name, shape, dtype, trainable }: WeightSpec): NativeWeight {
  return { shape, dtype: dtypes[dtype], trainable, tensor: tensorId(name) };
}

function packed(entries: LogEntries): NativeEntries {
  const seeds = new BigUint64Array(entries.length);
  const [scalars, decays] = [new Float32Array(entries.length), new Float32Array(entries.length)];
  let k = 0;
  for (const { seed, scalar, decay = 1 } of entries) {
    [seeds[k], scalars[k], decays[k]] = [seed, scalar, decay];
    k += 1;
  }
  return [seeds, scalars, decays];
}

interface Find {
  weight(weight: Weight): number;
  cache(cache: KeyValueCache): OwnCache;
}

interface PassKind {
  readonly perturbation: Perturbation | null;
  readonly bf16: boolean;
  readonly products: Products | undefined;
}

class NativePass implements Pass {
  readonly #native: NativeDevice;
  readonly #find: Find;
  readonly #ready: () => Promise<void>;
  readonly #kind: PassKind;
  readonly #code: number[] = [];
  readonly #numbers: number[] = [];
  readonly #lists: Int32Array[] = [];
  readonly #tables: Float64Array[] = [];
  /** Caches that the pass appends to, and how many rows. */
  readonly #appended: [OwnCache, number][] = [];
  #count = 0;
  #ran = false;

  constructor(native: NativeDevice, find: Find, ready: () => Promise<void>, kind: PassKind) {
    this.#native = native;
    this.#find = find;
    this.#ready = ready;
    this.#kind = kind;
  }

  embed(table: Weight, ids: Int32Array): Activation {
    checkIds(table, ids);
    this.#code.push(operations.embed, this.#find.weight(table), this.#list(ids));
    return this.#made(ids.length, table.shape[1] ?? 0);
  }

  add(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    this.#code.push(operations.add, idOf(a), idOf(b));
    return this.#made(a.rows, a.columns);
  }

  multiply(a: Activation, b: Activation): Activation {
    checkSameShape(a, b);
    this.#code.push(operations.multiply, idOf(a), idOf(b));
    return this.#made(a.rows, a.columns);
  }

  scale(x: Activation, factor: number): Activation {
    this.#code.push(operations.scale, idOf(x), this.#number(factor));
    return this.#made(x.rows, x.columns);
  }

  slice(x: Activation, first: number, count: number): Activation {
    checkSlice(x, first, count);
    this.#code.push(operations.slice, idOf(x), first, count);
    return this.#made(x.rows, count);
  }

  layerNorm(x: Activation, weight: Weight | null, bias: Weight | null, epsilon: number): Activation {
    this.#code.push(operations.layerNorm, idOf(x), this.#optional(weight), this.#optional(bias), this.#number(epsilon));
    return this.#made(x.rows, x.columns);
  }

  rmsNorm(x: Activation, weight: Weight, epsilon: number, offset: number): Activation {
    checkGroups(x, weight);
    const numbers = [this.#number(epsilon), this.#number(offset)];
    this.#code.push(operations.rmsNorm, idOf(x), this.#find.weight(weight), ...numbers);
    return this.#made(x.rows, x.columns);
  }

  rotate(x: Activation, shape: RotaryShape): Activation {
    checkRotary(x, shape);
    const { headSize, positions, frequencies, pairing, scale } = shape;
    const angles = [this.#list(positions), this.#tables.push(frequencies) - 1];
    const interleaved = pairing === "interleaved" ? 1 : 0;
    this.#code.push(operations.rotate, idOf(x), ...angles, headSize, interleaved, this.#number(scale));
    return this.#made(x.rows, x.columns);
  }

  linear(x: Activation, weight: Weight, bias: Weight | null, layout: WeightLayout = "out-in"): Activation {
    const { outputs } = checkLinear(x, weight, layout);
    const inOut = layout === "in-out";
    this.#code.push(operations.linear, idOf(x), this.#find.weight(weight), this.#optional(bias), inOut ? 1 : 0);
    return this.#made(x.rows, outputs);
  }

  addLowRank(y: Activation, x: Activation, parts: readonly LowRankPart[]): Activation {
    checkLowRank(y, x, parts, this.#kind.perturbation);
    this.#code.push(operations.addLowRank, idOf(y), idOf(x), parts.length);
    for (const { a, b, scale, first, rows } of parts) {
      this.#code.push(this.#find.weight(a), this.#find.weight(b), this.#number(scale), first, rows);
    }
    return this.#made(y.rows, y.columns);
  }

  attention(q: Activation, k: Activation, v: Activation, shape: AttentionShape): Activation {
    checkAttention([q, k, v], shape, this.#kind.perturbation);
    const { heads, keyValueHeads, lengths, causal, scale, window = 0, softcap = 0, prefix } = shape;
    const caches = shape.caches?.map((cache) => this.#find.cache(cache));
    caches?.forEach((cache, sequence) => this.#appended.push([cache, lengths[sequence] ?? 0]));
    const ids = caches ? this.#list(Int32Array.from(caches, ({ id }) => id)) : -1;
    const flags = [this.#list(Int32Array.from(lengths)), causal ? 1 : 0, window];
    const numbers = [this.#number(scale), this.#number(softcap)];
    const before = prefix ? [idOf(prefix.keys), idOf(prefix.values)] : [-1];
    const operands = [idOf(q), idOf(k), idOf(v), heads, keyValueHeads];
    this.#code.push(operations.attention, ...operands, ...flags, ...numbers, ids, ...before);
    return this.#made(q.rows, q.columns);
  }

  activate(x: Activation, kind: ActivationFunction): Activation {
    this.#code.push(operations.activate, idOf(x), activations[kind]);
    return this.#made(x.rows, x.columns);
  }

  gather(x: Activation, index: Int32Array): Activation {
    checkGather(x, index);
    this.#code.push(operations.gather, idOf(x), this.#list(index));
    return this.#made(index.length, x.columns);
  }

  async losses(x: Activation, head: Weight, targets: Int32Array, options: HeadOptions = {}): Promise<Float64Array> {
    checkTargets(x, head, targets, options);
    const losses = await this.#run([...this.#head(operations.losses, x, head, options), this.#list(targets)]);
    invariant(losses instanceof Float64Array, "losses are float64");
    return losses;
  }

  async logits(x: Activation, head: Weight, { into, ...options }: LogitOptions = {}): Promise<Float32Array> {
    const logits = (await this.#run(this.#head(operations.logits, x, head, options), into ?? null)) ?? into;
    invariant(logits instanceof Float32Array, "logits are float32");
    return logits;
  }

  end(): void {
    // All passes share the addon's memory, which is freed with the device.
  }

  #head(operation: number, x: Activation, head: Weight, { bias = null, softcap = 0 }: HeadOptions): number[] {
    return [operation, idOf(x), this.#find.weight(head), this.#optional(bias), this.#number(softcap)];
  }

  /** Runs the recorded operations, then `head`. Asking a pass for a second result runs it again. */
  async #run(
    head: readonly number[],
    into: Float32Array | null = null,
  ): Promise<Float64Array | Float32Array | undefined> {
    invariant(!this.#ran || this.#appended.length === 0, "a pass with caches has one result");
    this.#ran = true;
    const { perturbation, bf16, products } = this.#kind;
    const running = this.#native.run({
      code: Int32Array.from([...this.#code, ...head]),
      numbers: Float64Array.from(this.#numbers),
      lists: this.#lists,
      tables: this.#tables,
      perturbation: perturbation && {
        seed: perturbation.seed,
        size: perturbation.size,
        noise: noises[perturbation.noise],
        sides: sidesOf(perturbation),
      },
      bf16,
      products: products ? kernels[products] : 0,
      into,
    });
    for (const [cache, rows] of this.#appended) cache.rows += rows;
    const [result] = await Promise.all([running, this.#ready()]);
    return result;
  }

  #made(rows: number, columns: number): Recorded {
    return { rows, columns, id: this.#count++ };
  }

  #list(values: Int32Array): number {
    return this.#lists.push(values) - 1;
  }

  #number(value: number): number {
    return this.#numbers.push(value) - 1;
  }

  #optional(weight: Weight | null): number {
    return weight ? this.#find.weight(weight) : -1;
  }
}

function idOf(activation: Activation): number {
  invariant("id" in activation, "the activation was made by this device");
  return (activation as Recorded).id;
}
