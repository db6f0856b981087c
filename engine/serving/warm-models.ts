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
import { wrongDigest } from "../replay/rebuild.ts";
import { matchBase } from "../replay/replay.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import type { ServedCheckpoint, ServedModel, WarmModel } from "../thread/serving-messages.ts";
import { Batch } from "./batch.ts";
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
  readonly stamp: string;
}

type WarmBase = Warm & { readonly model: LoadedBase };

/** A load. Models that it makes, or needs, are its own until it lets go of them (`Warm.users`). */
export interface Loading {
  readonly calls: ForeignCalls;
  readonly beforePart: () => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

function isBase(warm: Warm): warm is WarmBase {
  return warm.model instanceof LoadedBase;
}

/** Models of equal base and chain are one model. */
export function keyOf({ base, checkpoint }: ServedModel): string {
  return checkpoint ? `${base}:${checkpoint.chain}` : base;
}

/** Whether a model's own weights must be rebuilt to a folder before it can be loaded. @throws LOG_INVALID */
export function needsRebuild({ checkpoint }: ServedModel): boolean {
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
    const weights = this.all.reduce((total, { bytes }) => total + bytes, 0);
    return this.batches.reduce((total, { cachedBytes }) => total + cachedBytes, weights + this.#kept.bytes);
  }

  /** Bytes of the weights that are needed now. */
  get pinnedBytes(): number {
    return this.all.filter((warm) => !this.#isIdle(warm)).reduce((total, { bytes }) => total + bytes, 0);
  }

  /** Null for a model that is not warm, or whose files are others now. `user` becomes one of its users. */
  async find(model: ServedModel, user?: object): Promise<Warm | null> {
    const key = keyOf(model);
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

  /** The caller takes `loading` out of its users. @throws NOT_FOUND, MODEL_INVALID, MODEL_UNSUPPORTED, BASE_MISMATCH, LOG_INVALID; INTERNAL if the weights differ from those trained */
  async load(model: ServedModel, loading: Loading): Promise<Warm> {
    const { checkpoint } = model;
    if (!checkpoint) return this.#loadBase(model, loading);
    if (checkpoint.folder !== null) return this.#loadFolder(model, checkpoint.folder, loading);
    return this.#loadAdapter(model, checkpoint, loading);
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
    const folder = await openModelFolder(model.modelPath);
    const stamp = await stampOf(folder);
    const keeper = { folder: model.hashesDir, now: loading.now };
    const seen = await keptBaseHash(folder, basename(model.modelPath), keeper);
    if (seen !== model.base) {
      throw new SteplogError(
        "BASE_MISMATCH",
        `${basename(model.modelPath)} was registered with the hash ${model.base}, but its files have ${seen}. ` +
          "Put the files back, or register the model under another name.",
      );
    }
    return this.#loadWhole(folder, stamp, { base: model.base, chain: null }, loading);
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
    const precision = this.#precisionOf(folder);
    const model = await LoadedBase.load(folder, this.#device, { precision, beforePart: loading.beforePart });
    return this.#add({ ...named, bytes: model.bytes, model, tokenizer, parent: null, stamp }, loading);
  }

  async #loadAdapter(model: ServedModel, checkpoint: ServedCheckpoint, loading: Loading): Promise<Warm> {
    const parent = await this.#loadBase(model, loading);
    try {
      const adapted = await this.#attach(parent, model, checkpoint, loading);
      const { tokenizer, stamp, base } = parent;
      const named = { base, chain: checkpoint.chain, bytes: adapted.bytes };
      return this.#add({ ...named, model: adapted, tokenizer, parent, stamp }, loading);
    } finally {
      parent.users.delete(loading);
    }
  }

  async #attach(
    parent: WarmBase,
    { base, modelPath, hashesDir }: ServedModel,
    checkpoint: ServedCheckpoint,
    loading: Loading,
  ): Promise<LoadedModel> {
    const log = decodeStepLog(checkpoint.log);
    matchBase(parent.model.folder, log.header, base);
    const [adapted, digest] = await parent.model.attach(log, loading);
    if (digest === checkpoint.digest) return adapted;
    adapted.free();
    // A failing disk changes bytes but not times, so the next attempt must read the base again.
    this.#models.delete(parent.key);
    this.#retired.add(parent);
    await forgetHash(basename(modelPath), { folder: hashesDir });
    throw wrongDigest({ digest: checkpoint.digest, modelPath }, digest);
  }

  #add<Model extends LoadedModel>(
    parts: Omit<Warm, "key" | "batch" | "users" | "model"> & { readonly model: Model },
    loading: Loading,
  ): Warm & { readonly model: Model } {
    const key = parts.chain === null ? parts.base : `${parts.base}:${parts.chain}`;
    const joint = parts.model.terms ? parts.parent?.batch : null;
    const batch = joint ?? new Batch(parts.model, { sequences: this.#options.sequences, kept: this.#kept });
    const warm = { ...parts, key, batch, users: new Set<object>([loading]) };
    this.#models.set(key, warm);
    this.#changes += 1;
    if (parts.parent) this.#sharers.set(parts.parent, this.#sharersOf(parts.parent) + 1);
    return warm;
  }

  /** Products in bfloat16 suit a base that is stored so. @throws DEVICE_UNAVAILABLE */
  #precisionOf({ tensors }: ModelFolder): Precision {
    const { precision } = this.#options;
    const { name, precisions } = this.#device;
    if (precision === "auto") {
      const bytesOf = (dtype: string | null) =>
        tensors.reduce((total, tensor) => total + (dtype === null || tensor.dtype === dtype ? tensor.bytes : 0), 0);
      return precisions.includes("bfloat16") && bytesOf("BF16") > bytesOf(null) / 2 ? "bfloat16" : "float32";
    }
    if (precisions.includes(precision)) return precision;
    throw new SteplogError("DEVICE_UNAVAILABLE", `The device ${name} does not multiply in ${precision}.`);
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
