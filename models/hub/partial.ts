/** The files of an unfinished download, and the list of files that it is to have. */
import { readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { StagingFolder } from "../staging-folder.ts";

/** Checksums of the wanted files, by name. */
const manifestSchema = z.record(z.string(), z.string());
const manifestOf = (staging: StagingFolder) => `${staging.partial}.json`;

/** Deletes files of an earlier attempt that the hub no longer lists with the same checksum, and stores the new list. */
export async function keepOnlyKnown(
  staging: StagingFolder,
  files: readonly { readonly name: string; readonly checksum: { readonly hex: string } }[],
): Promise<void> {
  const path = manifestOf(staging);
  const before = await readManifest(path);
  const wanted = new Map(files.map((file) => [file.name, file.checksum.hex]));
  for (const entry of await readdir(staging.partial)) {
    const name = entry.replace(/\.part$/u, "");
    const known = wanted.get(name);
    if (known === undefined || known !== before.get(name)) await rm(join(staging.partial, entry), { recursive: true });
  }
  await writeFile(`${path}.tmp`, JSON.stringify(Object.fromEntries(wanted)));
  await rename(`${path}.tmp`, path);
}

async function readManifest(path: string): Promise<ReadonlyMap<string, string>> {
  try {
    return new Map(Object.entries(manifestSchema.parse(JSON.parse(await readFile(path, "utf8")))));
  } catch {
    return new Map();
  }
}

/** Deletes an unfinished download. */
export async function clearPartial(staging: StagingFolder): Promise<void> {
  await rm(staging.partial, { recursive: true, force: true });
  await rm(manifestOf(staging), { force: true });
}
