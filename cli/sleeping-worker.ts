/**
 * The worker of `steplog start`, which ends when it has had nothing to do for a while, so that its memory goes back, and starts
 * again when there is work that it can do.
 *
 * - At the start it runs: it registers the models, and its row says what it can do.
 * - When it is idle it marks its row as asleep and exits with 0. From then on this process keeps the row alive, so that runs,
 *   requests and people find a worker, and looks for work: whenever some is announced, and every few seconds.
 * - It starts again for a job or request that it could claim, for a model that is to be registered, and when the models
 *   folder is not what it was before its last start, since only a worker reads it.
 */
import { randomUUID } from "node:crypto";
import { stampOfModels } from "../models/folder-stamps.ts";
import { liveMs } from "../schema/limits.ts";
import { type Store, openStore } from "../store/store.ts";
import type { ServiceConfig } from "./config.ts";

/** How often the row is kept alive, and work is looked for without news. */
const lookMs = liveMs / 2;

export interface SleepingWorker {
  readonly arguments: readonly string[];
  /** Returns when the worker is to start again; never after the signal. */
  readonly rest: (signal: AbortSignal) => Promise<void>;
  /** Takes the worker off the list. Called when it runs no more. */
  close(): Promise<void>;
}

interface Place extends Pick<ServiceConfig, "modelsDir" | "storageDir" | "directUrl" | "workerIdleS"> {
  readonly databaseUrl: string;
}

/** @param place with `workerIdleS` above 0 */
export async function sleepingWorker({ workerIdleS, modelsDir, ...place }: Place): Promise<SleepingWorker> {
  const id = randomUUID();
  const store = await openStore(place);
  let models = await stampOfModels(modelsDir);
  return {
    arguments: ["worker", "--exit-when-idle", String(workerIdleS), "--sleep-as", id],
    async rest(signal) {
      const hasNewModels = async () => (await stampOfModels(modelsDir)) !== models;
      await untilWanted(store, id, hasNewModels, signal);
      models = await stampOfModels(modelsDir);
    },
    async close() {
      await store.workers.remove(id).catch(() => {});
      await store.close();
    },
  };
}

async function untilWanted(
  store: Store,
  id: string,
  hasNewModels: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  const sleeper = store.sleeper(id);
  // While Postgres does not answer, nothing is wanted.
  const isWanted = () => sleeper.isWanted().catch(() => false);
  while (!signal.aborted) {
    if ((await isWanted()) || (await hasNewModels())) return;
    await sleeper.waitForWork({ timeoutMs: lookMs, signal });
  }
  await new Promise(() => {});
}
