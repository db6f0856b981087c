/**
 * The models folder has one folder per model. A model becomes a base model when a worker has read all of it, for its hash, and
 * registered it by name. A worker registers every model when it starts. Models that arrive later it reports as found, and
 * registers when an operator requests it, while jobs run: a large model takes minutes to read, and a job may take days.
 *
 * models/ NAME/          a model
 *         .steplog/      Steplog's files: hashes/ (engine/model/files/hashes.ts), partial/ and removed/ (staging-folder.ts)
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { modelBytes, parameterCount } from "../engine/model/files/folder.ts";
import { keptBaseHash } from "../engine/model/files/hashes.ts";
import { adapterShapes } from "../engine/model/adapters/all.ts";
import { linearModules } from "../engine/model/adapters/lora.ts";
import { trainableTensors } from "../engine/model/trainable.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import { toldToClients, withoutFolders } from "../schema/folders-in-messages.ts";
import type { NamedModel } from "../schema/jobs.ts";
import { leaseMs, pollMs, renewMs, scanModelsMs } from "../schema/limits.ts";
import type { SeenModel, Store } from "../store/store.ts";
import { whenAvailable } from "../store/store.ts";
import type { Log } from "../schema/log.ts";
import type { FolderChecks } from "./folder-checks.ts";
import { modelNames, stampOf } from "./folder-stamps.ts";

export const ownDirOf = (modelsDir: string) => join(modelsDir, ".steplog");
export const hashesDirOf = (modelsDir: string) => join(ownDirOf(modelsDir), "hashes");

/** The models that this worker has, or could copy, by name and base hash: it claims runs of these only. */
export class ModelsAtHand {
  readonly #models = new Map<string, { readonly hash: string; readonly stamp: string }>();
  #stored: readonly NamedModel[] = [];

  list(): NamedModel[] {
    const others = this.#stored.filter((model) => !this.isHere(model));
    return [...this.here(), ...others.map(({ name, hash }) => ({ name, hash }))];
  }

  /** Those of the models folder. */
  here(): NamedModel[] {
    return [...this.#models].map(([name, { hash }]) => ({ name, hash }));
  }

  isHere({ name, hash }: NamedModel): boolean {
    return this.#models.get(name)?.hash === hash;
  }

  /** What could be copied from the store. */
  setStored(models: readonly NamedModel[]): void {
    this.#stored = models;
  }

  /** @param stamp of its files when they were read */
  add(name: string, hash: string, stamp = ""): void {
    this.#models.set(name, { hash, stamp });
  }

  /** Whether it is at hand as its files are now. */
  has(name: string, stamp: string): boolean {
    return this.#models.get(name)?.stamp === stamp;
  }

  /** Until the folder is read again, by the next scan. */
  forget(name: string): void {
    this.#models.delete(name);
  }

  /** Forgets the models that are not among the names. */
  keep(names: readonly string[]): void {
    for (const name of this.#models.keys()) if (!names.includes(name)) this.#models.delete(name);
  }
}

/** What reading and registering models needs. */
export interface ModelsFolder {
  readonly store: Store;
  readonly modelsDir: string;
  readonly atHand: ModelsAtHand;
  readonly checks: FolderChecks;
  readonly log: Log;
}

/**
 * Registers every usable folder, until the signal; the names. For a folder that is not usable the log has the reason; a store
 * that does not answer is waited for.
 */
export async function registerModels(models: ModelsFolder, signal?: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  for (const name of await modelNames(models.modelsDir)) {
    try {
      const base = await readBase(models, name, () => signal?.throwIfAborted(), signal);
      await whenAvailable(() => models.store.baseModels.register(base), { log: models.log, signal });
      names.push(name);
    } catch (error) {
      if (signal?.aborted) break;
      const { code, message } = asSteplogError(error);
      models.log.warn({ model: name, code }, `Not registered as a base model: ${message}`);
    }
  }
  return names;
}

/** The model is at hand even if the store has another one of this name: runs name the hash that they need. */
async function readBase(models: ModelsFolder, name: string, onBytes: () => void, signal: AbortSignal | undefined) {
  const { folder, hash } = await readModel(models, name, onBytes, signal);
  return { ...modelSummary(name, folder), hash, parts: partsOf(folder) };
}

async function readModel(
  { modelsDir, atHand, checks }: ModelsFolder,
  name: string,
  onBytes: () => void,
  signal: AbortSignal | undefined,
) {
  const { folder, stamp } = await checks.open(join(modelsDir, name), signal);
  const hash = await keptBaseHash(folder, name, { folder: hashesDirOf(modelsDir), now: Date.now }, onBytes);
  atHand.add(name, hash, stamp);
  return { folder, hash };
}

/** What patterns of `tensors` and `loraTargets` may select, and how large adapters are. */
function partsOf(folder: ModelFolder) {
  return {
    tensors: trainableTensors(folder).map(({ name }) => name),
    layers: linearModules(folder.architecture).map(({ name }) => name),
    adapters: adapterShapes(folder.architecture),
  };
}

/** What can be said of a model without reading its weights. */
export function modelSummary(name: string, folder: ModelFolder) {
  const dtypes = new Set([...folder.locations.values()].map((tensor) => tensor.dtype));
  return {
    name,
    family: folder.architecture.family,
    dtype: [...dtypes].toSorted().join("+"),
    parameters: parameterCount(folder),
    bytes: modelBytes(folder),
    contextLength: folder.architecture.contextLength,
  };
}

export interface ModelsWatch extends ModelsFolder {
  /** Name of this worker. */
  readonly name: string;
  readonly signal: AbortSignal;
  /** Told when it begins to read the weights of a model, which may take minutes, and when that is over. */
  readonly reading?: (isReading: boolean) => void;
}

async function whileReading<Result>({ reading }: ModelsWatch, read: () => Promise<Result>): Promise<Result> {
  reading?.(true);
  return read().finally(() => reading?.(false));
}

/** Looks, reports and registers until the signal; waits while the store is unreachable. */
export async function watchModels(watch: ModelsWatch): Promise<void> {
  const { log, signal } = watch;
  let scanned = -Infinity;
  let usable: readonly string[] = [];
  let warned = false;
  while (!signal.aborted) {
    try {
      if (performance.now() - scanned >= scanModelsMs) {
        usable = await scanModels(watch);
        scanned = performance.now();
      }
      await registerRequested(watch, usable);
      warned = false;
    } catch (error) {
      // The worker's own loop logs every failure.
      if (!warned) log.warn({ error }, "Models cannot be reported to the store; trying again.");
      warned = true;
    }
    await delay(pollMs, undefined, { signal }).catch(() => {});
  }
}

/** Refusals that the log has: each look at a folder whose files are the same gets the same object (`FolderChecks`). */
const logged = new WeakSet<Error>();

function isNew(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  const known = logged.has(error);
  logged.add(error);
  return !known;
}

/**
 * Reports the folders that are not base models, and reads those that are and that this worker did not have before, such as a
 * copy of another worker's model, or that changed since.
 * @returns names of the reported folders that can be used
 */
export async function scanModels(watch: ModelsWatch): Promise<string[]> {
  const { store, modelsDir, atHand, checks, log, signal } = watch;
  const names = await modelNames(modelsDir);
  atHand.keep(names);
  checks.keep(names.map((name) => join(modelsDir, name)));
  const unregistered = await store.foundModels.unregistered(names);
  const seen: SeenModel[] = [];
  for (const name of unregistered) seen.push(await lookAt(watch, name));
  await store.foundModels.report(watch.name, seen);
  for (const name of names) {
    if (unregistered.includes(name) || atHand.has(name, await stampOf(join(modelsDir, name)))) continue;
    atHand.forget(name);
    const read = () => readModel(watch, name, () => signal.throwIfAborted(), signal);
    await whileReading(watch, read).catch((error: unknown) => {
      if (!signal.aborted && isNew(error)) log.warn({ model: name, error }, "A registered model cannot be read here.");
    });
  }
  return seen.flatMap((model) => ("problem" in model ? [] : [model.name]));
}

async function lookAt({ modelsDir, checks, signal }: ModelsWatch, name: string): Promise<SeenModel> {
  try {
    return modelSummary(name, (await checks.open(join(modelsDir, name), signal)).folder);
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = toldToClients(asSteplogError(error));
    return { name, problem: `${code}: ${message}` };
  }
}

/** Registers a folder whose registration was requested, if there is one among the names. */
export async function registerRequested(watch: ModelsWatch, names: readonly string[]): Promise<void> {
  const { store, log, signal } = watch;
  const claim = { worker: watch.name, leaseMs, names };
  const name = await store.foundModels.claimRegistration(claim);
  if (name === null) return;
  log.info({ model: name }, "Registering a model.");
  let lost = false;
  const renew = () => store.foundModels.renewRegistration(name, claim).then((mine) => (lost = !mine));
  const timer = setInterval(() => void renew().catch(() => {}), renewMs);
  const checkClaim = () => {
    signal.throwIfAborted();
    if (lost) throw new SteplogError("LEASE_LOST", `The folder ${name} is gone, or another worker is registering it.`);
  };
  try {
    await whileReading(watch, () => registerFolder(watch, name, checkClaim));
    log.info({ model: name }, "Registered a model.");
  } catch (error) {
    await giveUp(watch, name, error);
  } finally {
    clearInterval(timer);
  }
}

/** @param check throws once it is to end */
export async function registerFolder(watch: ModelsWatch, name: string, check: () => void): Promise<void> {
  await watch.store.baseModels.register(await readBase(watch, name, check, watch.signal));
}

async function giveUp({ store, log, signal, name: worker }: ModelsWatch, name: string, cause: unknown): Promise<void> {
  if (signal.aborted) {
    await store.foundModels.releaseRegistration(name, worker);
    return;
  }
  const { code, message } = asSteplogError(cause);
  log.warn({ model: name, code }, `A model was not registered: ${message}`);
  if (code !== "UNAVAILABLE" && code !== "LEASE_LOST") {
    await store.foundModels.failRegistration(name, worker, `${code}: ${withoutFolders(message)}`);
  }
}
