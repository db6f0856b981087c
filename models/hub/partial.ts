/** What a download has so far, and the list of what it is to become. */
import { readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Place } from "../staging-folder.ts";

/** Checksums of the files that the partial folder is to hold, by name. */
const manifestSchema = z.record(z.string(), z.string());
const manifestOf = (place: Place) => `${place.partial}.json`;

/** Takes away what another attempt left of files that the hub now lists otherwise, and writes down what it lists. */
export async function keepOnlyKnown(
  place: Place,
  files: readonly { readonly name: string; readonly checksum: { readonly hex: string } }[],
): Promise<void> {
  const path = manifestOf(place);
  const before = await readManifest(path);
  const wanted = new Map(files.map((file) => [file.name, file.checksum.hex]));
  for (const entry of await readdir(place.partial)) {
    const name = entry.replace(/\.part$/u, "");
    const known = wanted.get(name);
    if (known === undefined || known !== before.get(name)) await rm(join(place.partial, entry), { recursive: true });
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

/** Deletes what a download has left under a name. */
export async function clearPartial(place: Place): Promise<void> {
  await rm(place.partial, { recursive: true, force: true });
  await rm(manifestOf(place), { force: true });
}
