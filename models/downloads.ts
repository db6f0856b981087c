/**
 * Downloads that clients asked for (store/models/model-downloads.ts): a worker takes one at a time, adds it to its models folder
 * by the same steps as `steplog model add`, and registers it. An interrupted download resumes where it stopped, on the
 * same machine, also after its worker was killed; a cancelled one leaves nothing (partial-sweep.ts).
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LockHeld } from "../engine/model/files/lock.ts";
import { readOrigin } from "../engine/model/files/origin.ts";
import type { ModelDownload } from "../schema/download-tables.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import { withoutFolders } from "../schema/folders-in-messages.ts";
import { leaseMs, pollMs, renewMs, scanModelsMs } from "../schema/limits.ts";
import type { DownloadProgress } from "../store/store.ts";
import { addRepository, type AddRepositoryOptions } from "./add-repository.ts";
import type { Hub } from "./hub/hub.ts";
import { clearPartial } from "./hub/partial.ts";
import { sweepPartial } from "./partial-sweep.ts";
import { type ModelsWatch, registerFolder } from "./registration.ts";
import { stagingFolder, type StagingFolder } from "./staging-folder.ts";

export interface DownloadsWatch extends ModelsWatch {
  /** The hub, made anew for each download: a token may have changed. */
  readonly hubOf: () => Promise<Hub>;
  readonly pausesMs: readonly number[];
}

/** Looks for requests until the signal; waits while the store is unreachable. */
export async function watchDownloads(watch: DownloadsWatch): Promise<void> {
  const { log, signal } = watch;
  let warned = false;
  let swept = -Infinity;
  while (!signal.aborted) {
    try {
      if (await downloadRequested(watch)) continue;
      if (performance.now() - swept >= scanModelsMs) {
        await sweep(watch);
        swept = performance.now();
      }
      warned = false;
    } catch (error) {
      // The worker's own loop logs every failure.
      if (!warned) log.warn({ error }, "Downloads cannot be looked for in the store; trying again.");
      warned = true;
    }
    await delay(pollMs, undefined, { signal }).catch(() => {});
  }
}

async function sweep({ store, modelsDir, log }: DownloadsWatch): Promise<void> {
  const models = await sweepPartial({ store, modelsDir });
  if (models.length > 0) log.info({ models }, "Deleted what unfinished downloads had left.");
}

/** Downloads the oldest request that nobody has. False when there is none. */
export async function downloadRequested(watch: DownloadsWatch): Promise<boolean> {
  const { store, name: worker, reading } = watch;
  const download = await store.modelDownloads.claim({ worker, leaseMs });
  if (download === null) return false;
  reading?.(true);
  try {
    await carryOut(watch, download);
  } finally {
    reading?.(false);
  }
  return true;
}

async function carryOut(watch: DownloadsWatch, download: ModelDownload): Promise<void> {
  const { store, log, name: worker, modelsDir } = watch;
  const { name, repository, revision } = download;
  const held = new HeldDownload(watch, download);
  log.info({ model: name, repository, revision }, "Downloading a model.");
  try {
    held.check();
    const staging = stagingFolder(modelsDir, name);
    await Promise.race([held.ended, add(watch, download, staging, held)]);
    await registerFolder(watch, name, () => held.check());
    await store.modelDownloads.finish(name, worker, { status: "SUCCEEDED" });
    log.info({ model: name }, "Downloaded and registered a model.");
  } catch (error) {
    await end(watch, download, held, error);
  } finally {
    held.stop();
  }
}

async function add(
  watch: DownloadsWatch,
  download: ModelDownload,
  staging: StagingFolder,
  held: HeldDownload,
): Promise<void> {
  const { repository, revision } = download;
  if (await isThere(staging, repository)) return;
  const { pausesMs } = watch;
  const onProgress: AddRepositoryOptions["onProgress"] = (stage, doneBytes, totalBytes, files) =>
    held.tell({ stage, doneBytes, totalBytes, files });
  try {
    await addRepository(repository, revision, staging, {
      hub: await watch.hubOf(),
      pausesMs,
      onProgress,
      signal: held.signal,
    });
  } catch (error) {
    if (!(error instanceof LockHeld)) throw error;
    // `steplog model add` of the same, or a worker that has lost its claim and not yet noticed.
    await delay(lockedMs, undefined, { signal: held.signal });
    await add(watch, download, staging, held);
  }
}

/** How soon it looks again whether somebody else is still at the same files. */
const lockedMs = 5_000;

/** Whether a worker that ended just then has left it whole. */
async function isThere({ modelsDir, name }: StagingFolder, repository: string): Promise<boolean> {
  const source = (await readOrigin(join(modelsDir, name)))?.source;
  return source !== undefined && "repository" in source && source.repository === repository;
}

async function end(
  { store, log, name: worker, signal, modelsDir }: DownloadsWatch,
  { name }: ModelDownload,
  held: HeldDownload,
  error: unknown,
): Promise<void> {
  if (held.isCancelled) {
    await clearPartial(stagingFolder(modelsDir, name));
    await store.modelDownloads.finish(name, worker, { status: "CANCELLED" });
    log.info({ model: name }, "Cancelled a download.");
  } else if (signal.aborted) {
    await store.modelDownloads.release(name, worker);
  } else if (!held.signal.aborted) {
    const { code, message } = asSteplogError(error);
    log.warn({ model: name, code }, `A model was not downloaded: ${message}`);
    await store.modelDownloads.finish(name, worker, { status: "FAILED", code, message: withoutFolders(message) });
  }
}

/** The claim of a download: renewed with how far it is, until it ends, is cancelled or lost, or the worker stops. */
class HeldDownload {
  readonly #watch: DownloadsWatch;
  readonly #name: string;
  readonly #ending = new AbortController();
  readonly #timer: NodeJS.Timeout;
  /** Rejects once it is to end, whatever the download waits for. */
  readonly ended: Promise<never>;
  readonly signal: AbortSignal;
  #progress: DownloadProgress | null = null;
  isCancelled = false;

  constructor(watch: DownloadsWatch, { name, cancelRequested }: ModelDownload) {
    this.#watch = watch;
    this.#name = name;
    this.signal = AbortSignal.any([watch.signal, this.#ending.signal]);
    this.ended = new Promise((_resolve, reject) => {
      this.signal.addEventListener("abort", () => reject(stopped()), { once: true });
    });
    this.ended.catch(() => {});
    this.#timer = setInterval(() => void this.#renew().catch(() => {}), Math.min(renewMs, 1_000));
    // While nobody had it.
    if (cancelRequested) this.#cancel();
  }

  /** @throws once it is to end, also from within what computes */
  tell(progress: DownloadProgress): void {
    this.#progress = progress;
    this.check();
  }

  check(): void {
    if (this.signal.aborted) throw stopped();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #renew(): Promise<void> {
    const { store, name: worker } = this.#watch;
    const held = await store.modelDownloads.renew(this.#name, { worker, leaseMs }, this.#progress);
    if (held?.cancelRequested) this.#cancel();
    if (held === null) this.#ending.abort();
  }

  #cancel(): void {
    this.isCancelled = true;
    this.#ending.abort();
  }
}

const stopped = () => new SteplogError("LEASE_LOST", "The download was stopped.");
