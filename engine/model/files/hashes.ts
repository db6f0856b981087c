/**
 * A cache of base hashes, so that a model of 60 GB is not read again to compute a known hash. Each model has a small JSON file
 * with the sizes and times of its weight files; if one of these differs, the model is hashed again.
 *
 * What must stay true: a cached hash is the hash of the files on disk.
 * - The time of the last change (ctime) is compared too, because nobody can set it back.
 * - A file may be written twice within one tick of its file system's clock and look the same. So hashes of files younger than
 *   two seconds, the coarsest tick there is, are not cached.
 * - Neither are hashes of files that changed while they were read.
 * - Cache files appear by a rename, whole, so that several processes may share them. One that cannot be read counts as
 *   missing, and failing to write one is no error.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import type { ModelFolder } from "./folder.ts";
import { baseHash } from "./folder.ts";

const keptSchema = z.object({
  format: z.literal(1),
  hash: z.string().regex(/^[0-9a-f]{64}$/u),
  files: z.array(z.object({ name: z.string(), bytes: z.string(), modified: z.string(), changed: z.string() })),
});

type StampedFile = z.output<typeof keptSchema>["files"][number];

/** The tick of the coarsest file system clock, that of FAT. */
const tickMs = 2_000;

export interface HashKeeper {
  /** Folder of the cache; created if it is missing. */
  readonly folder: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The base hash of a model: the one cached under `name` if its files have not changed, else a new one, which is cached. */
export async function keptBaseHash(
  model: ModelFolder,
  name: string,
  keeper: HashKeeper,
  onBytes?: (bytes: number) => void,
): Promise<string> {
  const path = keptPath(keeper, name);
  const before = await stampFiles(model);
  const kept = await readKept(path);
  if (kept && sameFiles(kept.files, before)) return kept.hash;
  const hash = await baseHash(model, onBytes);
  const after = await stampFiles(model);
  if (sameFiles(before, after) && isOld(after, keeper.now())) await keep(path, { format: 1, hash, files: after });
  return hash;
}

/** Deletes the hash cached under a name. */
export async function forgetHash(name: string, keeper: Pick<HashKeeper, "folder">): Promise<void> {
  await rm(keptPath(keeper, name), { force: true });
}

function keptPath({ folder }: Pick<HashKeeper, "folder">, name: string): string {
  return join(folder, `${name}.json`);
}

/** What tells that weight files have changed: sizes and times. */
export async function stampOf(model: ModelFolder): Promise<string> {
  return textOf(await stampFiles(model));
}

async function stampFiles(model: ModelFolder): Promise<StampedFile[]> {
  const paths = [...new Set(model.tensors.map((tensor) => tensor.path))].toSorted();
  return Promise.all(
    paths.map(async (path) => {
      const { size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return { name: relative(model.path, path), bytes: `${size}`, modified: `${mtimeNs}`, changed: `${ctimeNs}` };
    }),
  );
}

function sameFiles(a: readonly StampedFile[], b: readonly StampedFile[]): boolean {
  return textOf(a) === textOf(b);
}

function textOf(files: readonly StampedFile[]): string {
  return files.map(({ name, bytes, modified, changed }) => JSON.stringify([name, bytes, modified, changed])).join("\n");
}

function isOld(files: readonly StampedFile[], now: number): boolean {
  const newest = files.flatMap(({ modified, changed }) => [Number(modified), Number(changed)]);
  return now - Math.max(0, ...newest) / 1e6 > tickMs;
}

async function readKept(path: string): Promise<z.output<typeof keptSchema> | null> {
  try {
    return keptSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}

async function keep(path: string, kept: z.output<typeof keptSchema>): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, `${JSON.stringify(kept, null, 2)}\n`);
    await rename(temporary, path);
  } catch {
    await rm(temporary, { force: true }).catch(() => {});
  }
}
