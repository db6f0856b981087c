/** A model on a device: its weights loaded, its passes run, its log applied. */
import { createHash } from "node:crypto";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { LogEntry, TrainableTensor } from "../../schema/step-log.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Activation, Device, KeyValueCache, Pass, Perturbation, Precision, Weight } from "../devices/device.ts";
import { sidesOf } from "../devices/device.ts";
import type { Noise } from "../numbers/noise.ts";
import type { Adapter } from "./adapters/adapter.ts";
import type { Architecture, PackedTokens, WeightLookup } from "./families/family.ts";
import type { ModelFolder } from "./files/folder.ts";
import { hashLine, locationOf } from "./files/folder.ts";
import { asTrained, trainedDtype } from "./files/half.ts";
import { fitsPattern } from "./files/names.ts";
import { readTensor } from "./files/safetensors.ts";

/** Loss of each scored token, in nats, in the order of the rows and their positions. */
export interface TokenLosses {
  readonly plus: Float64Array;
  readonly minus: Float64Array;
}

export interface Model {
  readonly folder: ModelFolder;
  readonly device: Device;
  /** What the noise and the log reach, in order of stored name. */
  readonly trainable: readonly TrainableTensor[];
  /** Longest sequence, tokens: the architecture's, less what an adapter takes of it. */
  readonly contextLength: number;
  /** The same without its adapter, on the same weights; not to be freed. */
  readonly bare: Model;
  /** Losses under w + e*n and w - e*n. */
  perturbedLosses(rows: readonly EncodedRow[], perturbation: Perturbation): Promise<TokenLosses>;
  losses(rows: readonly EncodedRow[]): Promise<Float64Array>;
  /** The same on each side of a pass: one without a perturbation or of a one-sided one, else plus and minus. */
  sideLosses(rows: readonly EncodedRow[], perturbation: Perturbation | null): Promise<Float64Array[]>;
  /** Scores of the vocabulary behind each of some sequences, on each side: [sequences, vocab]. */
  sideLogits(sequences: readonly Int32Array[], perturbation: Perturbation | null): Promise<Float32Array[]>;
  /** What the head sees at one place of each of some sequences: [sequences, hidden]. */
  hiddenStates(places: readonly { readonly ids: Int32Array; readonly at: number }[]): Promise<Float32Array>;
  /** Scores of the vocabulary at some positions of a sequence: [positions, vocab]. */
  logits(ids: Int32Array, positions: Int32Array): Promise<Float32Array>;
  /** A text to be continued token by token; for causal models. */
  continuation(): Continuation;
  /** Applies log entries, in order: the only way in which the weights change. */
  update(entries: readonly LogEntry[]): void;
  /** The stored bytes of a trainable tensor, by its stored name. */
  read(name: string): Promise<Uint8Array>;
  /** Gives its memory back; it must not be used again. */
  free(): void;
  /** Weights digest: the base hash's rule over the trainable tensors as they are now. Hex. */
  digest(): Promise<string>;
}

/** A sequence that grows: its keys and values are kept, so that each token is computed once. */
export interface Continuation {
  /** Appends tokens; the scores of what follows the last of them: [vocab]. */
  next(ids: Int32Array): Promise<Float32Array>;
  /** Gives its memory back. */
  end(): void;
}

export interface LoadOptions {
  /** What products are multiplied in; float32 when left out. */
  readonly precision?: Precision;
  /** What is trained instead of the model's own tensors. */
  readonly adapter?: Adapter | null;
  /** Which of the model's own tensors are trained, in order of name; all when left out. */
  readonly trainable?: readonly TrainableTensor[];
}

/** Loads every tensor. All of them are trainable unless the options say otherwise. */
export async function loadModel(
  folder: ModelFolder,
  device: Device,
  noise: Noise,
  { precision = "float32", adapter = null, trainable: own = trainableTensors(folder) }: LoadOptions = {},
): Promise<Model> {
  const weights = new Map<string, Weight>();
  const trainable = adapter ? adapter.tensors : own;
  const trained = new Set(trainable.map(({ name }) => name));
  for (const definition of folder.architecture.tensors) {
    const tensor = locationOf(folder, definition.name);
    const spec = {
      name: tensor.name,
      shape: tensor.shape,
      dtype: trainedDtype(tensor),
      trainable: trained.has(tensor.name),
    };
    const weight =
      device.mapWeight?.(spec, tensor) ?? device.createWeight(spec, asTrained(tensor, await readTensor(tensor)));
    weights.set(definition.name, weight);
  }
  const placed = adapter && (await placeAdapter(device, lookupIn(weights), adapter));
  return modelOf(folder, device, { noise, precision, trainable, placed }, weights);
}

/** An adapter whose tensors are on a device. */
interface Placed {
  readonly weights: readonly Weight[];
  readonly places: number;
  readonly change: (pass: Pass) => Pass;
}

async function placeAdapter(device: Device, base: WeightLookup, adapter: Adapter): Promise<Placed> {
  const weights = new Map<string, Weight>();
  for (const tensor of adapter.tensors) {
    weights.set(tensor.name, device.createWeight({ ...tensor, trainable: true }, await adapter.read(tensor)));
  }
  return {
    weights: [...weights.values()],
    places: adapter.places,
    change: adapter.place(lookupIn(weights), base),
  };
}

function lookupIn(weights: ReadonlyMap<string, Weight>): WeightLookup {
  return (name) => {
    const weight = weights.get(name);
    invariant(weight, `${name} is a tensor of the model or of its adapter`);
    return weight;
  };
}

/**
 * Those of the tensors whose stored names fit one of the patterns (names.ts).
 * @throws INVALID_ARGUMENT naming the pattern that fits none
 */
export function chosenTensors(folder: ModelFolder, patterns: readonly string[]): TrainableTensor[] {
  const all = trainableTensors(folder);
  const unknown = patterns.findIndex((pattern) => !all.some(({ name }) => fitsPattern(pattern, name)));
  if (unknown >= 0) {
    const seen = `${JSON.stringify(patterns[unknown])} is the name of no tensor of this ${folder.architecture.family} model`;
    const parts = new Set(all.map(({ name }) => name.split(".").slice(-2).join(".")));
    const field = `hyperparameters.tensors[${unknown}]`;
    const message = `${seen}. Its tensors' names end with ${[...parts].join(", ")}.`;
    throw new SteplogError("INVALID_ARGUMENT", message, [{ field, message: seen }]);
  }
  return all.filter(({ name }) => patterns.some((pattern) => fitsPattern(pattern, name)));
}

/** The output head: where it is tied to the table of embeddings, that table. */
export function headTensors(folder: ModelFolder): TrainableTensor[] {
  const { weight, bias } = folder.architecture.head;
  const names = new Set([weight, ...(bias === undefined ? [] : [bias])].map((name) => locationOf(folder, name).name));
  return trainableTensors(folder).filter(({ name }) => names.has(name));
}

/** The tensors that full-parameter training reaches, as a log's header lists them: in order of stored name. */
export function trainableTensors(folder: ModelFolder): TrainableTensor[] {
  const read = new Set(folder.locations.values());
  return folder.tensors
    .filter((tensor) => read.has(tensor))
    .map((tensor) => ({ name: tensor.name, shape: [...tensor.shape], dtype: trainedDtype(tensor) }));
}

function modelOf(
  folder: ModelFolder,
  device: Device,
  settings: {
    readonly noise: Noise;
    readonly precision: Precision;
    readonly trainable: readonly TrainableTensor[];
    readonly placed: Placed | null;
  },
  weights: ReadonlyMap<string, Weight>,
): Model {
  const { architecture } = folder;
  const { noise, precision, trainable, placed } = settings;
  const lookup = lookupIn(weights);
  const places = placed?.places ?? 0;
  const all = [...weights.values(), ...(placed?.weights ?? [])];
  const trained = all.filter((weight) => weight.trainable);
  const stored = new Map(trained.map((weight) => [weight.name, weight]));
  const read = (name: string): Promise<Uint8Array> => {
    const weight = stored.get(name);
    invariant(weight, `${name} is a trained tensor`);
    return device.readWeight(weight);
  };
  const { weight: head, bias, softcap } = architecture.head;
  const headOptions = {
    ...(bias !== undefined && { bias: lookup(bias) }),
    ...(softcap !== undefined && { softcap }),
  };
  const run = async <T>(perturbation: Perturbation | null, use: (pass: Pass) => Promise<T>): Promise<T> => {
    const pass = device.begin(perturbation, precision);
    try {
      return await use(pass);
    } finally {
      pass.end();
    }
  };
  const forward = (pass: Pass, tokens: PackedTokens, positions: Int32Array) =>
    architecture.forward(placed?.change(pass) ?? pass, lookup, behind(tokens, places), positions);
  const measure = (rows: readonly EncodedRow[], perturbation: Perturbation | null): Promise<Float64Array> =>
    run(perturbation, (pass) => {
      const packed = pack(architecture, rows);
      const hidden = forward(pass, packed, packed.positions);
      return pass.losses(hidden, lookup(head), packed.targets, headOptions);
    });
  const logits = (
    tokens: PackedTokens,
    positions: Int32Array,
    perturbation: Perturbation | null = null,
  ): Promise<Float32Array> =>
    run(perturbation, (pass) => {
      const hidden = forward(pass, tokens, positions);
      return pass.logits(hidden, lookup(head), headOptions);
    });
  return {
    folder,
    device,
    trainable,
    contextLength: architecture.contextLength - places,
    get bare() {
      return placed ? modelOf(folder, device, { ...settings, trainable: [], placed: null }, weights) : this;
    },
    async perturbedLosses(rows, perturbation) {
      const losses = await measure(rows, perturbation);
      const half = losses.length / 2;
      return { plus: losses.subarray(0, half), minus: losses.subarray(half) };
    },
    losses: (rows) => measure(rows, null),
    sideLosses: async (rows, perturbation) => bySide(await measure(rows, perturbation), perturbation),
    async sideLogits(sequences, perturbation) {
      const lengths = sequences.map((ids) => ids.length);
      const ids = Int32Array.from(sequences.flatMap((sequence) => [...sequence]));
      let end = 0;
      const last = Int32Array.from(lengths, (length) => (end += length) - 1);
      return bySide(await logits({ ids, lengths }, last, perturbation), perturbation);
    },
    hiddenStates: (places) =>
      run(null, async (pass) => {
        const seen = places.map(({ ids, at }) => seenOf(architecture, ids, Int32Array.of(at)));
        let start = 0;
        const positions = Int32Array.from(places, ({ at }, i) => {
          const place = start + at;
          start += seen[i]?.length ?? 0;
          return place;
        });
        const tokens = {
          ids: Int32Array.from(seen.flatMap((ids) => [...ids])),
          lengths: seen.map((ids) => ids.length),
        };
        const hidden = forward(pass, tokens, positions);
        return readActivation(device, pass, hidden);
      }),
    logits(ids, positions) {
      const seen = seenOf(architecture, ids, positions);
      return logits({ ids: seen, lengths: [seen.length] }, positions);
    },
    continuation: () => new CachedContinuation(architecture, places, device, logits),
    update: (entries) => device.update(trained, entries, noise),
    read,
    free() {
      for (const weight of all) device.freeWeight(weight);
    },
    digest: () => weightsDigest(trainable, read),
  };
}

/** The one thing that is read of a pass is a head's logits, so they are taken of a head that leaves what it sees as it is. */
async function readActivation(device: Device, pass: Pass, x: Activation): Promise<Float32Array> {
  const { columns } = x;
  const identity = new Float32Array(columns * columns);
  for (let i = 0; i < columns; i++) identity[i * (columns + 1)] = 1;
  const spec = { name: "identity", shape: [columns, columns], dtype: "F32", trainable: false } as const;
  const weight = device.createWeight(spec, new Uint8Array(identity.buffer));
  try {
    return await pass.logits(x, weight);
  } finally {
    device.freeWeight(weight);
  }
}

/** The tokens, each sequence's places counted from behind some that come before it. */
function behind(tokens: PackedTokens, places: number): PackedTokens {
  if (places === 0) return tokens;
  return { ...tokens, past: tokens.lengths.map((_, sequence) => places + (tokens.past?.[sequence] ?? 0)) };
}

function bySide<Values extends Float32Array | Float64Array>(
  values: Values,
  perturbation: Perturbation | null,
): Values[] {
  const length = values.length / sidesOf(perturbation);
  return Array.from(
    { length: sidesOf(perturbation) },
    (_, side) => values.subarray(side * length, (side + 1) * length) as Values,
  );
}

class CachedContinuation implements Continuation {
  readonly #architecture: Architecture;
  /** Before it. */
  readonly #places: number;
  readonly #device: Device;
  readonly #logits: (tokens: PackedTokens, positions: Int32Array) => Promise<Float32Array>;
  #caches: KeyValueCache[][] = [];
  #ids = new Int32Array();

  constructor(
    architecture: Architecture,
    places: number,
    device: Device,
    logits: (tokens: PackedTokens, positions: Int32Array) => Promise<Float32Array>,
  ) {
    invariant(architecture.objective === "causal", "what is continued is a causal model's");
    this.#architecture = architecture;
    this.#places = places;
    this.#device = device;
    this.#logits = logits;
  }

  next(ids: Int32Array): Promise<Float32Array> {
    const { layers, cacheLimit } = this.#architecture;
    const past = this.#ids.length;
    const grown = new Int32Array(past + ids.length);
    grown.set(this.#ids);
    grown.set(ids, past);
    this.#ids = grown;
    const room = (cacheLimit ?? Infinity) - this.#places;
    const stale = past <= room && grown.length > room;
    if (past === 0 || stale) {
      this.#free();
      this.#caches = Array.from({ length: layers }, () => [this.#device.createCache()]);
    }
    const fresh = stale ? grown : ids;
    const tokens = { ids: fresh, lengths: [fresh.length], past: [grown.length - fresh.length], caches: this.#caches };
    return this.#logits(tokens, Int32Array.of(fresh.length - 1));
  }

  end(): void {
    this.#free();
    this.#ids = new Int32Array();
  }

  #free(): void {
    for (const cache of this.#caches.flat()) this.#device.freeCache(cache);
    this.#caches = [];
  }
}

async function weightsDigest(
  trainable: readonly TrainableTensor[],
  read: (name: string) => Promise<Uint8Array>,
): Promise<string> {
  const lines = createHash("sha256");
  for (const { name, dtype, shape } of trainable) {
    const bytes = createHash("sha256")
      .update(await read(name))
      .digest("hex");
    lines.update(hashLine(name, dtype, shape, bytes));
  }
  return lines.digest("hex");
}

/** Rows one after the other, their scored positions counted over all of them. */
function pack(architecture: Architecture, rows: readonly EncodedRow[]) {
  const seen = rows.map(({ ids, positions }) => seenOf(architecture, ids, positions));
  const lengths = seen.map((ids) => ids.length);
  const starts = lengths.map((_, index) => lengths.slice(0, index).reduce((sum, length) => sum + length, 0));
  return {
    lengths,
    ids: Int32Array.from(seen.flatMap((ids) => [...ids])),
    positions: Int32Array.from(rows.flatMap((row, i) => Array.from(row.positions, (at) => at + (starts[i] ?? 0)))),
    targets: Int32Array.from(rows.flatMap((row) => [...row.targets])),
  };
}

/** The tokens that what is wanted at `positions` depends on: no later ones in a causal model, and never padding. */
function seenOf({ objective, padding }: Architecture, ids: Int32Array, positions: Int32Array): Int32Array {
  const wanted = positions.reduce((last, at) => Math.max(last, at), 0) + 1;
  if (objective === "causal") return ids.subarray(0, wanted);
  return ids.subarray(0, Math.max(wanted, ids.findLastIndex((id) => id !== padding) + 1));
}
