/**
 * The models folder: a folder a model, which becomes a base model by being read whole and registered by name. When a worker
 * starts it registers all of them. What comes later it reports as found, and registers when an operator asks for that, beside
 * its jobs: reading is a matter of minutes for a large model, and a job may last for days.
 *
 * models/ NAME/          a model
 *         .steplog/      Steplog's own: hashes/ (engine/model/hashes.ts), partial/ and removed/ (cli/models)
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { modelBytes, openModelFolder, parameterCount } from "../engine/model/files/folder.ts";
import { keptBaseHash } from "../engine/model/files/hashes.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import { leaseMs, pollMs, renewMs, scanModelsMs } from "../schema/limits.ts";
import type { SeenModel, Store } from "../store/store.ts";
import type { Log } from "../schema/log.ts";

export const ownDirOf = (modelsDir: string) => join(modelsDir, ".steplog");
export const hashesDirOf = (modelsDir: string) => join(ownDirOf(modelsDir), "hashes");

/** Names of the models folder's folders, usable or not, in order. */
export async function modelNames(modelsDir: string): Promise<string[]> {
  const entries = await readdir(modelsDir, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
  return folders.flatMap(({ name }) => (name.startsWith(".") ? [] : [name])).toSorted();
}

/** Registers every usable folder; one that is not is named in the log with its reason and left out. */
export async function registerModels(store: Store, modelsDir: string, log: Log): Promise<string[]> {
  const names: string[] = [];
  for (const name of await modelNames(modelsDir)) {
    try {
      await registerModel(store, modelsDir, name);
      names.push(name);
    } catch (error) {
      const { code, message } = asSteplogError(error);
      log.warn({ model: name, code }, `Left out of the base models: ${message}`);
    }
  }
  return names;
}

async function registerModel(
  store: Store,
  modelsDir: string,
  name: string,
  onBytes?: (bytes: number) => void,
): Promise<void> {
  const folder = await openModelFolder(join(modelsDir, name));
  const hash = await keptBaseHash(folder, name, { folder: hashesDirOf(modelsDir), now: Date.now }, onBytes);
  await store.baseModels.register({ ...describeModel(name, folder), hash });
}

/** What is known of a model without reading its weights. */
export function describeModel(name: string, folder: ModelFolder) {
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

export interface ModelsWatch {
  readonly store: Store;
  /** Name of this worker. */
  readonly name: string;
  readonly modelsDir: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Reports and registers until the signal. An unreachable store is waited for. */
export async function watchModels(watch: ModelsWatch): Promise<void> {
  const { store, modelsDir, log, signal } = watch;
  let scanned = -Infinity;
  let silent = false;
  while (!signal.aborted) {
    try {
      if (performance.now() - scanned >= scanModelsMs) {
        await reportModels(store, modelsDir);
        scanned = performance.now();
      }
      await registerRequested(watch);
      silent = false;
    } catch (error) {
      // The worker's own loop says so every time.
      if (!silent) log.warn({ error }, "Models cannot be reported to the store; trying again.");
      silent = true;
    }
    await delay(pollMs, undefined, { signal }).catch(() => {});
  }
}

/** Tells the store which folders are no base models, and what they are. */
export async function reportModels(store: Store, modelsDir: string): Promise<void> {
  const names = await store.foundModels.unregistered(await modelNames(modelsDir));
  await store.foundModels.report(await Promise.all(names.map((name) => lookAt(modelsDir, name))));
}

async function lookAt(modelsDir: string, name: string): Promise<SeenModel> {
  try {
    return describeModel(name, await openModelFolder(join(modelsDir, name)));
  } catch (error) {
    const { code, message } = asSteplogError(error);
    return { name, problem: `${code}: ${message}` };
  }
}

/** Registers a folder that was asked for, if there is one. */
export async function registerRequested(watch: ModelsWatch): Promise<void> {
  const { store, log, signal, modelsDir } = watch;
  const claim = { worker: watch.name, leaseMs };
  const name = await store.foundModels.claimRegistration(claim);
  if (name === null) return;
  log.info({ model: name }, "Registers a model.");
  let lost = false;
  const renew = () => store.foundModels.renewRegistration(name, claim).then((mine) => (lost = !mine));
  const timer = setInterval(() => void renew().catch(() => {}), renewMs);
  const goOn = () => {
    signal.throwIfAborted();
    if (lost) throw new SteplogError("LEASE_LOST", `The folder ${name} is gone, or another worker registers it.`);
  };
  try {
    await registerModel(store, modelsDir, name, goOn);
    log.info({ model: name }, "Registered a model.");
  } catch (error) {
    await giveUp(watch, name, error);
  } finally {
    clearInterval(timer);
  }
}

async function giveUp({ store, log, signal, name: worker }: ModelsWatch, name: string, cause: unknown): Promise<void> {
  if (signal.aborted) {
    await store.foundModels.releaseRegistration(name, worker);
    return;
  }
  const { code, message } = asSteplogError(cause);
  log.warn({ model: name, code }, `A model was not registered: ${message}`);
  if (code !== "UNAVAILABLE" && code !== "LEASE_LOST") {
    await store.foundModels.failRegistration(name, worker, `${code}: ${message}`);
  }
}
