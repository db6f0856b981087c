/** Whether the models folder, or a model in it, is as it was: from names, sizes and times, without reading a file. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Names of the folders in the models folder, usable or not, in order. */
export async function modelNames(modelsDir: string): Promise<string[]> {
  const entries = await readdir(modelsDir, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
  return folders.flatMap(({ name }) => (name.startsWith(".") ? [] : [name])).toSorted();
}

/** Differs once a file of the folder was written, added or removed. */
export async function stampOf(path: string): Promise<string> {
  const files = await readdir(path).catch((): string[] => []);
  const stamps = files.map(async (name) => {
    const file = await stat(join(path, name), { bigint: true }).catch(() => null);
    return `${name} ${file?.size} ${file?.mtimeNs} ${file?.ctimeNs}`;
  });
  return (await Promise.all(stamps)).toSorted((a, b) => (a < b ? -1 : 1)).join();
}

/** The same for the whole models folder. */
export async function stampOfModels(modelsDir: string): Promise<string> {
  const names = await modelNames(modelsDir);
  const stamps = names.map(async (name) => `${name}: ${await stampOf(join(modelsDir, name))}`);
  return (await Promise.all(stamps)).join("\n");
}
