/**
 * A model that answers. A base is mapped once, frozen; checkpoints of an adapter share its weights and add their own, which are
 * replayed from the log in memory and compared with the digest of the trained ones before they answer anything. So are all
 * weights of a checkpoint that has no folder yet; once it has one they are mapped from there, like a base.
 */
import { invariant } from "../../schema/errors.ts";
import type { StepLog } from "../../schema/step-log.ts";
import type { Device, Pass, Precision, Products, Weight } from "../devices/device.ts";
import { bytesPerElement, elementCount } from "../devices/device.ts";
import { adapterOfLog } from "../model/adapters/all.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { locationOf } from "../model/files/folder.ts";
import type { AttachedAdapter } from "../model/forward.ts";
import { ForwardPasses, LogitMemory, lookupIn } from "../model/forward.ts";
import { attachAdapter, loadWeights, specOf, weightsDigest } from "../model/model.ts";
import { replayOnto } from "../replay/onto-weights.ts";
import { replayedWeights } from "../replay/replayed-weights.ts";
import type { AdaptedRun } from "./adapted-rows.ts";
import { adaptedRows } from "./adapted-rows.ts";

/** A base, or a base with an adapter, on a device. */
export interface LoadedModel {
  readonly folder: ModelFolder;
  readonly device: Device;
  /** Positions that an adapter takes before every sequence, and the tokens that are left of the model's context. */
  readonly prefixLength: number;
  readonly contextLength: number;
  /** What its adapter adds to linear layers: it may share passes with the base and its other adapters. Else null. */
  readonly terms: AdaptedRun["terms"];
  /**
   * Passes over prompts. Those of the base take runs of rows that belong to its adapters. A row has the same bits whatever is
   * beside it (`Device.rowsApart`), if what is beside it has terms of the same layers (adapted-rows.ts).
   */
  prompts(runs: readonly AdaptedRun[]): ForwardPasses;
  /** The same, to decode a token of each sequence. Their logits are used before the next such pass, which has the same memory. */
  decoding(runs: readonly AdaptedRun[]): ForwardPasses;
  /** Of its own weights. */
  readonly bytes: number;
  /** Frees its own weights. */
  free(): void;
}

export interface LoadOptions {
  readonly precision: Precision;
  /** Waited for before each tensor that is loaded, and each part of a log that is replayed; it may throw. */
  readonly beforePart: () => Promise<void>;
}

export class LoadedBase implements LoadedModel {
  readonly device: Device;
  readonly prefixLength = 0;
  readonly terms = null;
  /** By the names of their definitions. */
  readonly #weights: Map<string, Weight>;
  readonly #precision: Precision;
  readonly #memory = new LogitMemory();
  #folder: ModelFolder;

  constructor(folder: ModelFolder, device: Device, precision: Precision, weights: ReadonlyMap<string, Weight>) {
    this.#folder = folder;
    this.device = device;
    this.#precision = precision;
    this.#weights = new Map(weights);
  }

  static async load(folder: ModelFolder, device: Device, { precision, beforePart }: LoadOptions): Promise<LoadedBase> {
    return new LoadedBase(folder, device, precision, await loadWeights(folder, device, new Set(), beforePart));
  }

  /** All weights that a log makes of its base, and the digest of those that it trains. @throws what reading the base throws */
  static async replay(
    base: ModelFolder,
    log: StepLog,
    device: Device,
    { precision, beforePart }: LoadOptions,
  ): Promise<[LoadedBase, string]> {
    const { weights, digest } = await replayedWeights(base, log, device, { beforePart });
    return [new LoadedBase(base, device, precision, weights), digest];
  }

  get folder(): ModelFolder {
    return this.#folder;
  }

  get contextLength(): number {
    return this.folder.architecture.contextLength;
  }

  /** The stored bytes of a weight, by its stored name. */
  read(name: string): Promise<Uint8Array> {
    const weight = [...this.#weights.values()].find((one) => one.name === name);
    invariant(weight, `${name} is a tensor of the model`);
    return this.device.readWeight(weight);
  }

  /**
   * Maps the same weights from a folder that has them, and frees the memory in which they were; false on a device that maps no
   * files. A pass that is running keeps the weights that it began with.
   */
  mapFrom(folder: ModelFolder): boolean {
    const { device } = this;
    for (const { name } of folder.architecture.tensors) {
      const stored = locationOf(folder, name);
      const mapped = device.mapWeight?.(specOf(stored, false), stored);
      if (!mapped) return false;
      const before = this.#weights.get(name);
      this.#weights.set(name, mapped);
      if (before) device.freeWeight(before);
    }
    this.#folder = folder;
    return true;
  }

  get bytes(): number {
    return bytesOf([...this.#weights.values()]);
  }

  prompts(runs: readonly AdaptedRun[]): ForwardPasses {
    return this.#passes("panels", ofRuns(runs));
  }

  decoding(runs: readonly AdaptedRun[]): ForwardPasses {
    return this.#passes("rows", ofRuns(runs));
  }

  free(): void {
    for (const weight of this.#weights.values()) this.device.freeWeight(weight);
  }

  /** The adapter that a log trains, and the digest of its weights. @throws LOG_INVALID if the log does not fit the base */
  async attach(log: StepLog, { beforePart }: Pick<LoadOptions, "beforePart">): Promise<[LoadedModel, string]> {
    const { folder, device } = this;
    const adapter = adapterOfLog(folder, log.header);
    invariant(adapter, "the log trains an adapter");
    const attached = await attachAdapter(device, lookupIn(this.#weights), adapter, beforePart);
    const free = () => {
      for (const weight of attached.weights) device.freeWeight(weight);
    };
    try {
      await replayOnto(device, attached.weights, log.entries, log.header.noise, beforePart);
      const digest = await weightsDigest(adapter.tensors, (name) => readNamed(device, attached, name));
      return [{ ...this.#adapted(attached), free }, digest];
    } catch (error) {
      free();
      throw error;
    }
  }

  #adapted(attached: AttachedAdapter): Omit<LoadedModel, "free"> {
    const { folder, device, contextLength } = this;
    const { prefixLength, weights, terms } = attached;
    const sizes = { prefixLength, contextLength: contextLength - prefixLength, bytes: bytesOf(weights) };
    const prompts = () => this.#passes("panels", attached);
    const decoding = () => this.#passes("rows", attached);
    return { folder, device, ...sizes, terms, prompts, decoding };
  }

  #passes(products: Products, attached: AttachedAdapter | null): ForwardPasses {
    const memory = products === "rows" ? { memory: this.#memory } : {};
    const options = { precision: this.#precision, products, ...memory };
    return new ForwardPasses(this.folder.architecture, this.device, options, lookupIn(this.#weights), attached);
  }
}

function ofRuns(runs: readonly AdaptedRun[]): AttachedAdapter | null {
  const change = (pass: Pass) => adaptedRows(pass, runs);
  return runs.some(({ terms }) => terms) ? { weights: [], prefixLength: 0, terms: null, change } : null;
}

function readNamed(device: Device, { weights }: AttachedAdapter, name: string): Promise<Uint8Array> {
  const weight = weights.find((one) => one.name === name);
  invariant(weight, `${name} is a tensor of the adapter`);
  return device.readWeight(weight);
}

function bytesOf(weights: readonly Weight[]): number {
  return weights.reduce((total, { shape, dtype }) => total + elementCount(shape) * bytesPerElement[dtype], 0);
}
