/** A model on a device: its weights are loaded, its passes run, its log's entries applied. */
import { createHash } from "node:crypto";
import { invariant } from "../../schema/errors.ts";
import type { LogEntries, TrainableTensor } from "../../schema/step-log.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Device, Perturbation, Precision, Weight, WeightSpec } from "../devices/device.ts";
import { sidesOf } from "../devices/device.ts";
import type { Noise } from "../numbers/noise.ts";
import { replayOnto } from "../replay/onto-weights.ts";
import type { Adapter } from "./adapters/adapter.ts";
import { Continuation } from "./continuation.ts";
import type { WeightLookup } from "./families/family.ts";
import { tensorsDigest } from "./files/digest.ts";
import type { ModelFolder } from "./files/folder.ts";
import { locationOf } from "./files/folder.ts";
import { asTrained, trainedDtype } from "./files/half.ts";
import type { TensorInfo, TensorLocation } from "./files/safetensors.ts";
import { readTensor } from "./files/safetensors.ts";
import type { AttachedAdapter } from "./forward.ts";
import { ForwardPasses, lookupIn } from "./forward.ts";
import { packSequences, visibleTokens } from "./packing.ts";
import { trainableTensors } from "./trainable.ts";

/** Loss of each scored token, in nats, in the order of the rows and their positions. */
export interface TokenLosses {
  readonly plus: Float64Array;
  readonly minus: Float64Array;
}

/** What measuring needs of a model. */
export interface ForwardModel {
  readonly folder: ModelFolder;
  /** Longest sequence in tokens: the architecture's, less the positions that an adapter takes. */
  readonly contextLength: number;
  losses(rows: readonly EncodedRow[]): Promise<Float64Array>;
  /** Losses of each side: plus and minus, or one side without a perturbation or with a one-sided one. */
  sideLosses(rows: readonly EncodedRow[], perturbation: Perturbation | null): Promise<Float64Array[]>;
  /** Logits of the token after each sequence, for each side: [sequences, vocab]. */
  sideLogits(sequences: readonly Int32Array[], perturbation: Perturbation | null): Promise<Float32Array[]>;
  /** The input of the head at position `at` of each sequence: [sequences, hidden]. */
  hiddenStates(sequences: readonly { readonly ids: Int32Array; readonly at: number }[]): Promise<Float32Array>;
  /** Starts a text that is continued token by token. Causal models only. */
  continuation(): Pick<Continuation, "next" | "end">;
}

export interface Model extends ForwardModel {
  readonly device: Device;
  /** The tensors that training changes, in order of stored name. */
  readonly trainable: readonly TrainableTensor[];
  /** The same model without its adapter. It shares the weights; do not free it. */
  readonly bare: Model;
  /** Losses under w + e*n and w - e*n. */
  perturbedLosses(rows: readonly EncodedRow[], perturbation: Perturbation): Promise<TokenLosses>;
  /** Logits at some positions of a sequence: [positions, vocab]. */
  logits(ids: Int32Array, positions: Int32Array): Promise<Float32Array>;
  /** Applies log entries in order. Nothing else changes the weights. */
  update(entries: LogEntries): void;
  /** The same for a log of any length: part by part, so that memory does not grow with it. */
  replay(entries: LogEntries): Promise<void>;
  /** The stored bytes of a trainable tensor, by its stored name. */
  read(name: string): Promise<Uint8Array>;
  /** Frees its memory. Do not use it afterwards. */
  free(): void;
  /** The weights digest (docs/STEP_LOG.md, "Hashes") of the trainable tensors as they are now, in hex. */
  digest(): Promise<string>;
}

export interface LoadOptions {
  /** Precision of matrix products; float32 by default. */
  readonly precision?: Precision;
  /** Trained instead of the model's own tensors. */
  readonly adapter?: Adapter | null;
  /** Which of the model's own tensors are trained, in order of name; all by default. */
  readonly trainable?: readonly TrainableTensor[];
  /** Where the trained tensors are, by name, instead of how training starts; all of them. */
  readonly start?: ReadonlyMap<string, TensorLocation> | null;
  /** Waited for before each pass, each chunk of weights that is loaded and each part of a log that is replayed; it may throw. */
  readonly beforePass?: () => Promise<void>;
}

/** Loads every tensor. */
export async function loadModel(
  folder: ModelFolder,
  device: Device,
  noise: Noise,
  options: LoadOptions = {},
): Promise<Model> {
  const { precision = "float32", adapter = null, trainable: own = trainableTensors(folder), beforePass } = options;
  const { start = null } = options;
  const trainable = adapter ? adapter.tensors : own;
  const weights = await loadWeights(folder, device, new Set(trainable.map(({ name }) => name)), beforePass, start);
  const attached = adapter && (await attachAdapter(device, lookupIn(weights), adapter, beforePass, start));
  return modelOf(folder, device, { noise, precision, trainable, attached, beforePass }, weights);
}

/** The weights by the names of their definitions. */
export async function loadWeights(
  folder: ModelFolder,
  device: Device,
  trained: ReadonlySet<string>,
  beforeChunk?: () => Promise<void>,
  start: LoadOptions["start"] = null,
): Promise<ReadonlyMap<string, Weight>> {
  const weights = new Map<string, Weight>();
  for (const definition of folder.architecture.tensors) {
    const tensor = locationOf(folder, definition.name);
    await beforeChunk?.();
    const kept = start?.get(tensor.name) ?? null;
    weights.set(definition.name, await loadWeight(tensor, device, trained.has(tensor.name), kept, beforeChunk));
  }
  return weights;
}

/** A stored tensor as a device has it. */
export function specOf(tensor: TensorInfo, trainable: boolean): WeightSpec {
  return { name: tensor.name, shape: tensor.shape, dtype: trainedDtype(tensor), trainable };
}

/** A stored tensor on a device. @param kept where its bytes are instead, in the dtype of training */
export async function loadWeight(
  tensor: TensorLocation,
  device: Device,
  trainable: boolean,
  kept: TensorLocation | null = null,
  beforeChunk?: () => Promise<void>,
): Promise<Weight> {
  const spec = specOf(tensor, trainable);
  if (kept) return device.createWeight(spec, await readTensor(kept, beforeChunk));
  const mapped = device.mapWeight?.(spec, tensor);
  return mapped ?? device.createWeight(spec, asTrained(tensor, await readTensor(tensor, beforeChunk)));
}

/** The adapter as it starts, its weights on the device. */
export async function attachAdapter(
  device: Device,
  base: WeightLookup,
  adapter: Adapter,
  beforeTensor?: () => Promise<void>,
  start: LoadOptions["start"] = null,
): Promise<AttachedAdapter> {
  const weights = new Map<string, Weight>();
  for (const tensor of adapter.tensors) {
    await beforeTensor?.();
    const kept = start?.get(tensor.name);
    const bytes = kept ? await readTensor(kept, beforeTensor) : await adapter.read(tensor);
    weights.set(tensor.name, device.createWeight({ ...tensor, trainable: true }, bytes));
  }
  return {
    weights: [...weights.values()],
    prefixLength: adapter.prefixLength,
    terms: adapter.terms(lookupIn(weights), base),
    change: adapter.attach(lookupIn(weights), base),
  };
}

function modelOf(
  folder: ModelFolder,
  device: Device,
  settings: {
    readonly noise: Noise;
    readonly precision: Precision;
    readonly trainable: readonly TrainableTensor[];
    readonly attached: AttachedAdapter | null;
    readonly beforePass: (() => Promise<void>) | undefined;
  },
  weights: ReadonlyMap<string, Weight>,
): Model {
  const { architecture } = folder;
  const { noise, precision, trainable, attached } = settings;
  const run = { precision, beforePass: settings.beforePass };
  const passes = new ForwardPasses(architecture, device, run, lookupIn(weights), attached);
  const prefixLength = attached?.prefixLength ?? 0;
  const all = [...weights.values(), ...(attached?.weights ?? [])];
  const trained = all.filter((weight) => weight.trainable);
  const stored = new Map(trained.map((weight) => [weight.name, weight]));
  const read = (name: string): Promise<Uint8Array> => {
    const weight = stored.get(name);
    invariant(weight, `${name} is a trained tensor`);
    return device.readWeight(weight);
  };
  return {
    folder,
    device,
    trainable,
    contextLength: architecture.contextLength - prefixLength,
    get bare() {
      return attached ? modelOf(folder, device, { ...settings, trainable: [], attached: null }, weights) : this;
    },
    async perturbedLosses(rows, perturbation) {
      const losses = await passes.losses(rows, perturbation);
      const half = losses.length / 2;
      return { plus: losses.subarray(0, half), minus: losses.subarray(half) };
    },
    losses: (rows) => passes.losses(rows, null),
    sideLosses: async (rows, perturbation) => bySide(await passes.losses(rows, perturbation), perturbation),
    async sideLogits(sequences, perturbation) {
      const tokens = packSequences(sequences);
      const last = Int32Array.from(tokens.lengths, (length, i) => (tokens.starts[i] ?? 0) + length - 1);
      return bySide(await passes.logits(tokens, last, perturbation), perturbation);
    },
    hiddenStates(sequences) {
      const tokens = packSequences(sequences.map(({ ids, at }) => visibleTokens(architecture, ids, Int32Array.of(at))));
      const positions = Int32Array.from(sequences, ({ at }, i) => (tokens.starts[i] ?? 0) + at);
      return passes.hiddenStates(tokens, positions);
    },
    logits: (ids, positions) => passes.logits(packSequences([visibleTokens(architecture, ids, positions)]), positions),
    continuation: () =>
      new Continuation(architecture, prefixLength, device, (tokens, positions) => passes.logits(tokens, positions)),
    update: (entries) => device.update(trained, entries, noise),
    replay: (entries) => replayOnto(device, trained, entries, noise, settings.beforePass),
    read,
    free() {
      for (const weight of all) device.freeWeight(weight);
    },
    digest: () => weightsDigest(trainable, read),
  };
}

function bySide<Values extends Float32Array | Float64Array>(
  values: Values,
  perturbation: Perturbation | null,
): Values[] {
  const sides = sidesOf(perturbation);
  const length = values.length / sides;
  return Array.from({ length: sides }, (_, side) => values.subarray(side * length, (side + 1) * length) as Values);
}

export async function weightsDigest(
  trainable: readonly TrainableTensor[],
  read: (name: string) => Promise<Uint8Array>,
): Promise<string> {
  const sha256 = new Map<string, string>();
  for (const { name } of trainable) {
    sha256.set(
      name,
      createHash("sha256")
        .update(await read(name))
        .digest("hex"),
    );
  }
  return tensorsDigest(trainable, sha256);
}
