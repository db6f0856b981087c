/**
 * What the files of a kept folder were when it was complete: sizes and times, in a file beside them. Their bytes were checked while
 * they were written, by the digest of the trained weights or the hashes of the store; as long as size and times are the same they
 * are those bytes, as it is with base models (engine/model/files/hashes.ts). Then a folder costs no more to find than a few stats.
 */
import { lstat, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

export const recordName = "kept.json";

const recordSchema = z.object({
  format: z.literal(1),
  files: z.array(
    z.object({ name: z.string(), bytes: z.string(), modified: z.string(), changed: z.string().nullable() }),
  ),
});

type KeptFile = z.output<typeof recordSchema>["files"][number];

/** Before the folder gets its name, so that one with that name has it. */
export async function writeRecord(folder: string): Promise<void> {
  const names = (await readdir(folder)).toSorted();
  const files = await Promise.all(names.map((name) => seen(folder, name)));
  await writeFile(join(folder, recordName), `${JSON.stringify({ format: 1, files }, null, 2)}\n`, { flush: true });
}

/** Whether all files that there were are still there, and have not been changed. */
export async function isAsRecorded(folder: string): Promise<boolean> {
  try {
    const { files } = recordSchema.parse(JSON.parse(await readFile(join(folder, recordName), "utf8")));
    const now = await Promise.all(files.map(({ name }) => seen(folder, name)));
    return files.length > 0 && files.every((file, at) => isSame(file, now[at]));
  } catch {
    return false;
  }
}

function isSame(then: KeptFile, now: KeptFile | undefined): boolean {
  if (then.bytes !== now?.bytes || then.modified !== now.modified) return false;
  return then.changed === null || then.changed === now.changed;
}

/** The last change (ctime) cannot be set back. But links to a file change it too, so it is not that of the store's own files. */
async function seen(folder: string, name: string): Promise<KeptFile> {
  const path = join(folder, name);
  const isLink = (await lstat(path)).isSymbolicLink();
  const { size, mtimeNs, ctimeNs, nlink } = await stat(path, { bigint: true });
  return {
    name,
    bytes: `${size}`,
    modified: `${mtimeNs}`,
    changed: isLink || nlink > 1n ? null : `${ctimeNs}`,
  };
}
