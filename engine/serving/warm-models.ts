/**
 * The models that are ready to answer: bases, and checkpoints on top of them. Those that nobody uses go when memory is short, the
 * least recently used first, and checkpoints before bases. A base whose files change answers what it has begun, and no more.
 */
import { access } from "node:fs/promises";
import { basename } from "node:path";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import type { Device, Precision } from "../devices/device.ts";
import { forgetHash, keptBaseHash, stampOf } from "../model/files/hashes.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { openModelFolder } from "../model/files/folder.ts";
import { trainedDtype } from "../model/files/half.ts";
import type { TensorInfo } from "../model/files/safetensors.ts";
import { bytesOf } from "../model/files/safetensors.ts";
import { wrongDigest } from "../replay/rebuild.ts";
import { matchBase, outputTensors } from "../replay/replay.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import type { ServedCheckpoint, ServedModel, WarmModel } from "../thread/serving-messages.ts";
import { keyOf } from "../thread/serving-messages.ts";
import { Batch } from "./batch.ts";
import type { Unkept } from "./kept-copy.ts";
import { KeptPrompts } from "./kept-prompts.ts";
import type { LoadedModel } from "./loaded-base.ts";
import { LoadedBase } from "./loaded-base.ts";
import { ModelTokenizer } from "./model-texts.ts";

export interface WarmOptions {
  readonly precision: Precision | "auto";
  /** Sequences in one pass, at most. */
  readonly sequences: number;
}

export interface Warm extends WarmModel {
  readonly key: string;
  readonly model: LoadedModel;
  readonly tokenizer: ModelTokenizer;
  readonly batch: Batch;
  /** Whatever needs it: requests that it answers, and an adapter that is being loaded. */
  readonly users: Set<object>;
  /** The base whose weights it shares; null for one with weights of its own. */
  readonly parent: (Warm & { readonly model: LoadedBase }) | null;
  /** Of the files that it is known by: those of its own weights, or of its base. */
  stamp: string;
  /** Set while all its weights are in memory alone. */
  unkept: Unkept | null;
}

export type WarmBase = Warm & { readonly model: LoadedBase };

/** A load. Models that it makes, or needs, are its own until it lets go of them (`Warm.users`). */
export interface Loading {
  readonly calls: ForeignCalls;
  readonly beforePart: () => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Memory for everything that is warm. */
  readonly budgetBytes: number;
}

/** The memory that is not in use is too short to rebuild a checkpoint in it. */
export class LacksMemory extends Error {}

export function isBase(warm: Warm): warm is WarmBase {
  return warm.model instanceof LoadedBase;
}

/** Models of equal base and chain are one model. */
export function keyOfModel({ base, checkpoint }: ServedModel): string {
  return keyOf({ base, chain: checkpoint?.chain ?? null });
}

/** Whether all weights of a model were trained, and are in no folder yet. @throws LOG_INVALID */
export function needsReplay({ checkpoint }: ServedModel): boolean {
  if (checkpoint?.folder !== null) return false;
  const { lora, prefix } = decodeStepLog(checkpoint.log).header;
  return !lora && !prefix;
}

/** Whether the folder of a checkpoint has gone: workers of one machine share the room for them, and make room for their own. */
export async function lacksFolder({ checkpoint }: ServedModel): Promise<boolean> {
  if (!checkpoint || checkpoint.folder === null) return false;
  return access(checkpoint.folder).then(
    () => false,
    () => true,
  );
}

export class WarmModels {
  readonly #device: Device;
  readonly #options: WarmOptions;
  readonly #kept = new KeptPrompts();
  /** In order of use. */
  readonly #models = new Map<string, Warm>();
  /** Of which nothing new is answered, until they are done. */
  readonly #retired = new Set<Warm>();
  /** How many share the weights of a base. There may be a thousand, and every pass asks. */
  readonly #sharers = new Map<Warm, number>();
  #changes = 0;

  constructor(device: Device, options: WarmOptions) {
    this.#device = device;
    this.#options = options;
  }

  /** Another number than before whenever others are warm. */
  get changes(): number {
    return this.#changes;
  }

  get all(): readonly Warm[] {
    return [...this.#models.values(), ...this.#retired];
  }

  get batches(): readonly Batch[] {
    return [...new Set(this.all.map(({ batch }) => batch))];
  }

  /** Bytes of weights, of caches in use and of kept prompts. */
  get bytes(): number {
    return this.all.reduce((total, { bytes }) => total + bytes, this.#cachedBytes + this.#kept.bytes);
  }

  get #cachedBytes(): number {
    return this.batches.reduce((total, { cachedBytes }) => total + cachedBytes, 0);
  }

  /** Bytes of the weights that are needed now. */
  get pinnedBytes(): number {
    return this.all.filter((warm) => !this.#isIdle(warm)).reduce((total, { bytes }) => total + bytes, 0);
  }

  /** Null for a model that is not warm, or whose files are others now. `user` becomes one of its users. */
  async find(model: ServedModel, user?: object): Promise<Warm | null> {
    const key = keyOfModel(model);
    const warm = this.#models.get(key);
    if (!warm) return null;
    const stamp = await stampOf(warm.model.folder).catch(() => null);
    if (this.#models.get(key) !== warm) return null;
    this.#models.delete(key);
    const isSame = stamp === warm.stamp;
    if (isSame) this.#models.set(key, warm);
    else this.#retired.add(warm);
    if (isSame && user) warm.users.add(user);
    return isSame ? warm : null;
  }

  /**
   * The caller takes `loading` out of its users.
   * @throws NOT_FOUND, MODEL_INVALID, MODEL_UNSUPPORTED, BASE_MISMATCH, LOG_INVALID; INTERNAL if the weights differ from those
   *   trained; LacksMemory for a checkpoint that had better be a folder first
   */
  async load(model: ServedModel, loading: Loading): Promise<Warm> {
    const { checkpoint } = model;
    if (!checkpoint) return this.#loadBase(model, loading);
    if (checkpoint.folder !== null) return this.#loadFolder(model, checkpoint.folder, loading);
    return needsReplay(model)
      ? this.#replay(model, checkpoint, loading)
      : this.#loadAdapter(model, checkpoint, loading);
  }

  /** A checkpoint that answers from memory alone is in a folder now: mapped from there it takes no memory that others lack. */
  async mapFrom(warm: WarmBase, path: string): Promise<void> {
    const folder = await openModelFolder(path);
    const stamp = await stampOf(folder);
    if (this.#isFreed(warm)) return;
    if (warm.model.mapFrom(folder)) warm.stamp = stamp;
    warm.unkept = null;
  }

  /** Frees what is not needed until everything fits, or the rest is in use. */
  trim(budgetBytes: number): void {
    for (const warm of this.#retired) if (this.#isIdle(warm)) this.#free(warm);
    while (this.bytes > budgetBytes && (this.#kept.dropOldest() || this.#dropOldest()));
  }

  /** Before the thread ends. */
  free(): void {
    for (const { users } of this.all) users.clear();
    for (const warm of this.all.filter(({ parent }) => parent)) this.#free(warm);
    for (const warm of this.all) this.#free(warm);
  }

  async #loadBase(model: ServedModel, loading: Loading): Promise<WarmBase> {
    const found = await this.find({ ...model, checkpoint: null }, loading);
    if (found && isBase(found)) return found;
    const { folder, stamp } = await openBase(model, loading);
    return this.#loadWhole(folder, stamp, { base: model.base, chain: null }, loading);
  }

  /** All weights of a checkpoint, rebuilt in memory. */
  async #replay(model: ServedModel, checkpoint: ServedCheckpoint, loading: Loading): Promise<Warm> {
    const { folder, stamp } = await openBase(model, loading);
    const log = decodeStepLog(checkpoint.log);
    matchBase(folder, log.header, model.base);
    const tensors = outputTensors(folder, log.header.trainable).map((tensor) => ({
      ...tensor,
      bytes: bytesOf(tensor),
    }));
    this.#makeRoom(memoryOf(tensors), loading.budgetBytes);
    const tokenizer = await ModelTokenizer.load(folder.path, basename(folder.path), loading.calls);
    const precision = this.#precisionOf(tensors);
    const { beforePart } = loading;
    const [replayed, digest] = await LoadedBase.replay(folder, log, this.#device, { precision, beforePart });
    if (digest !== checkpoint.digest) {
      replayed.free();
      throw await wrongWeights(model, checkpoint, digest);
    }
    const named = { base: model.base, chain: checkpoint.chain, bytes: replayed.bytes };
    const unkept = { base: folder, stamp, header: log.header };
    return this.#add({ ...named, model: replayed, tokenizer, parent: null, stamp, unkept }, loading);
  }

  /** Weights that are mapped may be more than there is memory, those that are not may not. @throws LacksMemory */
  #makeRoom(bytes: number, budgetBytes: number): void {
    if (this.pinnedBytes + this.#cachedBytes + bytes > budgetBytes) throw new LacksMemory();
    this.trim(budgetBytes - bytes);
  }

  async #loadFolder(model: ServedModel, path: string, loading: Loading): Promise<Warm> {
    const folder = await openModelFolder(path);
    const chain = model.checkpoint?.chain ?? null;
    return this.#loadWhole(folder, await stampOf(folder), { base: model.base, chain }, loading);
  }

  async #loadWhole(
    folder: ModelFolder,
    stamp: string,
    named: Omit<WarmModel, "bytes">,
    loading: Loading,
  ): Promise<WarmBase> {
    const tokenizer = await ModelTokenizer.load(folder.path, basename(folder.path), loading.calls);
    const precision = this.#precisionOf(folder.tensors);
    const model = await LoadedBase.load(folder, this.#device, { precision, beforePart: loading.beforePart });
    return this.#add({ ...named, bytes: model.bytes, model, tokenizer, parent: null, stamp, unkept: null }, loading);
  }

  async #loadAdapter(model: ServedModel, checkpoint: ServedCheckpoint, loading: Loading): Promise<Warm> {
    const parent = await this.#loadBase(model, loading);
    try {
      const adapted = await this.#attach(parent, model, checkpoint, loading);
      const { tokenizer, stamp, base } = parent;
      const named = { base, chain: checkpoint.chain, bytes: adapted.bytes };
      return this.#add({ ...named, model: adapted, tokenizer, parent, stamp, unkept: null }, loading);
    } finally {
      parent.users.delete(loading);
    }
  }

  async #attach(
    parent: WarmBase,
    model: ServedModel,
    checkpoint: ServedCheckpoint,
    loading: Loading,
  ): Promise<LoadedModel> {
    const log = decodeStepLog(checkpoint.log);
    matchBase(parent.model.folder, log.header, model.base);
    const [adapted, digest] = await parent.model.attach(log, loading);
    if (digest === checkpoint.digest) return adapted;
    adapted.free();
    this.#models.delete(parent.key);
    this.#retired.add(parent);
    throw await wrongWeights(model, checkpoint, digest);
  }

  #add<Model extends LoadedModel>(
    parts: Omit<Warm, "key" | "batch" | "users" | "model"> & { readonly model: Model },
    loading: Loading,
  ): Warm & { readonly model: Model } {
    const key = keyOf(parts);
    const joint = parts.model.terms ? parts.parent?.batch : null;
    const batch = joint ?? new Batch(parts.model, { sequences: this.#options.sequences, kept: this.#kept });
    const warm = { ...parts, key, batch, users: new Set<object>([loading]) };
    this.#models.set(key, warm);
    this.#changes += 1;
    if (parts.parent) this.#sharers.set(parts.parent, this.#sharersOf(parts.parent) + 1);
    return warm;
  }

  /** Products in bfloat16 suit a base that is stored so. @throws DEVICE_UNAVAILABLE */
  #precisionOf(tensors: readonly { readonly dtype: string; readonly bytes: number }[]): Precision {
    const { precision } = this.#options;
    const { name, precisions } = this.#device;
    if (precision === "auto") {
      const sum = (dtype: string | null) =>
        tensors.reduce((total, tensor) => total + (dtype === null || tensor.dtype === dtype ? tensor.bytes : 0), 0);
      return precisions.includes("bfloat16") && sum("BF16") > sum(null) / 2 ? "bfloat16" : "float32";
    }
    if (precisions.includes(precision)) return precision;
    throw new SteplogError("DEVICE_UNAVAILABLE", `The device ${name} does not multiply in ${precision}.`);
  }

  #isFreed(warm: Warm): boolean {
    return this.#models.get(warm.key) !== warm && !this.#retired.has(warm);
  }

  #isIdle(warm: Warm): boolean {
    return warm.users.size === 0 && this.#sharersOf(warm) === 0;
  }

  #sharersOf(warm: Warm): number {
    return this.#sharers.get(warm) ?? 0;
  }

  #dropOldest(): boolean {
    const idle = [...this.#models.values()].filter((warm) => this.#isIdle(warm));
    const oldest = idle.find(({ chain }) => chain !== null) ?? idle[0];
    if (oldest) this.#free(oldest);
    return oldest !== undefined;
  }

  #free(warm: Warm): void {
    invariant(warm.users.size === 0, "a model that answers is not freed");
    this.#changes += 1;
    this.#sharers.delete(warm);
    if (warm.parent) this.#sharers.set(warm.parent, this.#sharersOf(warm.parent) - 1);
    this.#kept.forget(warm.model);
    this.#retired.delete(warm);
    if (this.#models.get(warm.key) === warm) this.#models.delete(warm.key);
    warm.model.free();
  }
}

/** Of tensors as a device has them: float16 is widened. */
function memoryOf(tensors: readonly TensorInfo[]): number {
  return tensors.reduce((total, tensor) => total + bytesOf({ ...tensor, dtype: trainedDtype(tensor) }), 0);
}

/** The base's folder, with what tells that its files have changed. @throws BASE_MISMATCH for other files than were registered */
async function openBase(
  { modelPath, hashesDir, base }: ServedModel,
  { now }: Pick<Loading, "now">,
): Promise<{ readonly folder: ModelFolder; readonly stamp: string }> {
  const folder = await openModelFolder(modelPath);
  const stamp = await stampOf(folder);
  const name = basename(modelPath);
  const seen = await keptBaseHash(folder, name, { folder: hashesDir, now });
  if (seen === base) return { folder, stamp };
  throw new SteplogError(
    "BASE_MISMATCH",
    `${name} was registered with the hash ${base}, but its files have ${seen}. ` +
      "Put the files back, or register the model under another name.",
  );
}

/** A failing disk changes bytes but not times, so the next attempt must read the base again. */
async function wrongWeights(
  { modelPath, hashesDir }: ServedModel,
  { digest }: ServedCheckpoint,
  seen: string,
): Promise<SteplogError> {
  await forgetHash(basename(modelPath), { folder: hashesDir });
  return wrongDigest({ digest, modelPath }, seen);
}
