/**
 * A worker shares base models by the store: it stores the files of those that its folder has, for machines that lack them, and
 * knows which it could copy from there. Both beside its jobs: a large model takes minutes.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { companionNames } from "../engine/model/files/companions.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { scanModelsMs } from "../schema/limits.ts";
import type { WeightsFile } from "../schema/tables.ts";
import { weightsOf } from "./add-folder.ts";
import { stampOf } from "./folder-stamps.ts";
import type { ModelsFolder } from "./registration.ts";

export interface ModelsSharing extends ModelsFolder {
  /** Whether it stores its own. */
  readonly sharesModels: boolean;
  /** Told when it begins to store one, and when that is over. */
  readonly storing?: (isStoring: boolean) => void;
  readonly signal: AbortSignal;
}

/** Looks and stores until the signal; waits while the store is unreachable. */
export async function shareModels(sharing: ModelsSharing): Promise<void> {
  await Promise.all([
    repeat(sharing, () => learnStored(sharing)),
    sharing.sharesModels && repeat(sharing, () => storeModels(sharing)),
  ]);
}

async function repeat({ log, signal }: ModelsSharing, act: () => Promise<void>): Promise<void> {
  let warned = false;
  while (!signal.aborted) {
    try {
      await act();
      warned = false;
    } catch (error) {
      if (!warned && !signal.aborted) log.warn({ error }, "Models cannot be shared by the store; trying again.");
      warned = true;
    }
    await delay(scanModelsMs, undefined, { signal }).catch(() => {});
  }
}

/** What this worker could copy counts among the models that it has. */
export async function learnStored({ store, atHand }: Pick<ModelsFolder, "store" | "atHand">): Promise<void> {
  const stored = await store.modelFiles.list();
  atHand.setStored(stored.filter(({ bytes }) => bytes <= store.copiedModels.mostBytes));
}

/** Stores each base model of the folder that nobody has stored. */
export async function storeModels(sharing: ModelsSharing): Promise<void> {
  for (const { name, hash } of sharing.atHand.here()) {
    const base = await sharing.store.baseModels.getByName(name);
    if (base?.hash !== hash || (await sharing.store.modelFiles.of(base.id))) continue;
    sharing.storing?.(true);
    await storeModel(sharing, name, { id: base.id, hash }).finally(() => sharing.storing?.(false));
  }
}

async function storeModel(
  { store, modelsDir, checks, atHand, log, signal }: ModelsSharing,
  name: string,
  { id, hash }: { readonly id: string; readonly hash: string },
): Promise<void> {
  const path = join(modelsDir, name);
  const { folder, stamp } = await checks.open(path, signal);
  const stored: WeightsFile[] = [];
  for (const file of await filesOf(folder)) {
    signal.throwIfAborted();
    stored.push({ name: file, ...(await store.blobs.put(join(path, file))) });
  }
  // A folder that changed meanwhile is read again first, by the next scan.
  if (!atHand.has(name, stamp) || (await stampOf(path)) !== stamp) return;
  await store.modelFiles.keep(id, hash, stored);
  log.info({ model: name }, "Stored a base model for other machines.");
}

/** Everything that a run or a rebuild may read of a base. */
async function filesOf(folder: ModelFolder): Promise<string[]> {
  const companions = await companionNames(folder.path);
  return [...new Set([...companions, ...weightsOf(folder)])];
}
