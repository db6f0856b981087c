/**
 * What a machine keeps of files that are elsewhere: copies of stored files, and folders of links to them. A sweep deletes copies
 * of files that nothing names any more, and what is beyond the budget, the least recently used first. What is used stays, and so
 * does what was used within the hour: who has just made or found a copy may be about to use it.
 */
import { readdir, readlink, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { inArray } from "drizzle-orm";
import { baseModels } from "../../schema/tables.ts";
import { CopiedFiles } from "../blobs/copies.ts";
import { timeOf } from "../blobs/writing.ts";
import type { Database } from "../postgres/database.ts";
import { type BlobCount, namedOf } from "./sweep.ts";

export interface CopiesReport {
  /** Copies that were deleted, or are to be. */
  readonly swept: BlobCount;
  readonly kept: BlobCount;
  /** Folders of links that were deleted, or are to be. */
  readonly folders: readonly string[];
}

export interface CopiesOptions {
  readonly dryRun: boolean;
  /** Copies that were used within this time stay; an hour when left out. */
  readonly freshMs?: number;
}

const hourMs = 3_600_000;

export async function sweepCopies(
  database: Database,
  { cacheDir, cacheBytes }: { readonly cacheDir: string; readonly cacheBytes: number },
  { dryRun, freshMs = hourMs }: CopiesOptions,
): Promise<CopiesReport> {
  const none = { count: 0, bytes: 0 };
  const fresh = { dryRun, freshMs };
  const folders = () => sweepFolders(database, join(cacheDir, "models"), fresh);
  // Machines that share the storage folder have no copies.
  if (!(await isThere(join(cacheDir, "files")))) return { swept: none, kept: none, folders: await folders() };
  const copies = await CopiedFiles.open(cacheDir, cacheBytes);
  try {
    const isNamed = (hashes: readonly string[]) => namedOf(database, hashes);
    return { ...(await copies.sweep({ isNamed, ...fresh })), folders: await folders() };
  } finally {
    copies.close();
  }
}

/** models/HASH: of base models that are no more, without a link that leads anywhere. */
async function sweepFolders(database: Database, dir: string, { dryRun, freshMs }: Required<CopiesOptions>) {
  const hashes = await readdir(dir).catch(() => []);
  if (hashes.length === 0) return [];
  const known = await database
    .select({ hash: baseModels.hash })
    .from(baseModels)
    .where(inArray(baseModels.hash, hashes));
  const isKnown = new Set(known.map(({ hash }) => hash));
  const now = await timeOf(dir);
  const swept: string[] = [];
  for (const hash of hashes.filter((name) => !isKnown.has(name))) {
    const folder = join(dir, hash);
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: now }));
    if (now - mtimeMs < freshMs || (await leadsSomewhere(folder))) continue;
    swept.push(folder);
    // By another name first, so that nobody finds half a folder.
    const leaving = `${folder}.leaving`;
    if (!dryRun) await rename(folder, leaving).then(() => rm(leaving, { recursive: true, force: true }));
  }
  return swept;
}

async function leadsSomewhere(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) continue;
    const target = await readlink(join(entry.parentPath, entry.name));
    if (await isThere(target)) return true;
  }
  return false;
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
