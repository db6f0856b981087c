/**
 * Deletes abandoned files of downloads in .steplog/partial: those of one that was cancelled while no worker had it, at once; those
 * of any other, such as an interrupted `steplog model add`, when nothing has been written to them for a week.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { LockHeld, withLock } from "../engine/model/files/lock.ts";
import type { ModelDownload } from "../schema/download-tables.ts";
import type { Store } from "../store/store.ts";
import { clearPartial } from "./hub/partial.ts";
import { ownDirOf } from "./registration.ts";
import { stagingFolder } from "./staging-folder.ts";

const keptMs = 7 * 24 * 3_600_000;

interface Sweeping {
  readonly store: { readonly modelDownloads: Pick<Store["modelDownloads"], "list"> };
  readonly modelsDir: string;
  readonly now?: () => number;
}

/** The names of the models of which something was deleted. */
export async function sweepPartial({ store, modelsDir, now = Date.now }: Sweeping): Promise<string[]> {
  const folder = join(ownDirOf(modelsDir), "partial");
  const entries = await readdir(folder).catch((): string[] => []);
  if (entries.length === 0) return [];
  const requests = new Map((await store.modelDownloads.list()).map((one) => [one.name, one]));
  const swept: string[] = [];
  for (const name of new Set(entries.map(modelOf))) {
    const own = entries.filter((entry) => modelOf(entry) === name);
    const writtenAt = await lastWrite(own.map((entry) => join(folder, entry)));
    if (writtenAt >= endOf(requests.get(name), now())) continue;
    if (await clear(modelsDir, name)) swept.push(name);
  }
  return swept;
}

/** NAME, NAME.json and NAME.lock are of one model, whose own name may have a dot. */
function modelOf(entry: string): string {
  return entry.replace(/\.(?:lock|json|json\.tmp)$/u, "");
}

/** What was last written before this is in nobody's use. */
function endOf(request: ModelDownload | undefined, now: number): number {
  if (request?.status === "WAITING" || request?.status === "RUNNING") return Number.NEGATIVE_INFINITY;
  if (request?.status === "CANCELLED") return request.finishedAt?.getTime() ?? 0;
  return now - keptMs;
}

/** False while somebody is at it. */
async function clear(modelsDir: string, name: string): Promise<boolean> {
  const staging = stagingFolder(modelsDir, name);
  try {
    await withLock(`${staging.partial}.lock`, "adding this model", () => clearPartial(staging));
    return true;
  } catch (error) {
    if (error instanceof LockHeld) return false;
    throw error;
  }
}

/** Of files, and of folders with their files. */
async function lastWrite(paths: readonly string[]): Promise<number> {
  const times = paths.map(async (path) => {
    const found = await stat(path).catch(() => null);
    const inside = found?.isDirectory() ? await readdir(path).catch((): string[] => []) : [];
    return Math.max(found?.mtimeMs ?? 0, await lastWrite(inside.map((file) => join(path, file))));
  });
  return Math.max(0, ...(await Promise.all(times)));
}
