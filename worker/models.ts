/** The models that this worker can train: the folders of its models folder, checked and registered by name. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { baseHash, modelBytes, openModelFolder, parameterCount } from "../engine/model/folder.ts";
import { asSteplogError } from "../schema/errors.ts";
import type { Store } from "../store/store.ts";
import type { WorkerLog } from "./log.ts";

/** Registers every usable folder; one that is not is named in the log with its reason and left out. */
export async function registerModels(store: Store, modelsDir: string, log: WorkerLog): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(modelsDir, { withFileTypes: true }).catch(() => [])) {
    if (entry.name.startsWith(".") || !(entry.isDirectory() || entry.isSymbolicLink())) continue;
    try {
      await registerModel(store, modelsDir, entry.name);
      names.push(entry.name);
    } catch (error) {
      const { code, message } = asSteplogError(error);
      log.warn({ model: entry.name, code }, `Left out of the base models: ${message}`);
    }
  }
  return names;
}

async function registerModel(store: Store, modelsDir: string, name: string): Promise<void> {
  const folder = await openModelFolder(join(modelsDir, name));
  const dtypes = new Set([...folder.locations.values()].map((tensor) => tensor.dtype));
  await store.baseModels.register({
    name,
    hash: await baseHash(folder),
    family: folder.architecture.family,
    dtype: [...dtypes].toSorted().join("+"),
    parameters: parameterCount(folder),
    bytes: modelBytes(folder),
    contextLength: folder.architecture.contextLength,
  });
}
