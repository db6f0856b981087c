/**
 * steplog.json of a model folder: where its weights come from. It is for people and for `steplog model list`; nothing is
 * computed from it, and a folder without one is as good.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

export const originName = "steplog.json";

const sourceSchema = z.union([
  z.object({
    /** The hub's address, repository, and the revision that was asked for with the commit that it was. */
    hub: z.string(),
    repository: z.string(),
    revision: z.string(),
    commit: z.string(),
  }),
  z.object({ path: z.string() }),
]);

const originSchema = z.object({
  format: z.literal(1),
  /** Of a folder that was added: where its files were got. */
  source: sourceSchema.optional(),
  /** Of a folder that a log made: the base, and the place in the log. */
  fineTuned: z
    .object({
      base: z.object({ hash: z.string(), source: sourceSchema.optional() }),
      entries: z.int(),
      chain: z.string(),
      weightsDigest: z.string(),
    })
    .optional(),
});

export type Source = z.output<typeof sourceSchema>;
export type Origin = z.output<typeof originSchema>;

/** Null where there is none that this program reads. */
export async function readOrigin(folder: string): Promise<Origin | null> {
  try {
    return originSchema.parse(JSON.parse(await readFile(join(folder, originName), "utf8")));
  } catch {
    return null;
  }
}

export async function writeOrigin(folder: string, origin: Origin): Promise<void> {
  const path = join(folder, originName);
  // One that is there may be read-only, or a link to another folder's.
  await rm(path, { force: true });
  await writeFile(path, `${JSON.stringify(origin, null, 2)}\n`, { flag: "wx" });
}

/** The origin of what a log makes of the base in a folder. */
export async function fineTunedOrigin(
  base: string,
  hash: string,
  place: { readonly entries: number; readonly chain: string; readonly digest: string },
): Promise<Origin> {
  const source = (await readOrigin(base))?.source;
  const { entries, chain, digest } = place;
  return {
    format: 1,
    fineTuned: { base: { hash, ...(source && { source }) }, entries, chain, weightsDigest: digest },
  };
}

/** For people: organisation/name@commit, a path, or what it was made of. */
export function describeOrigin(origin: Origin | null): string | null {
  const { source, fineTuned } = origin ?? {};
  if (fineTuned) {
    const base = fineTuned.base.source ? describeSource(fineTuned.base.source) : fineTuned.base.hash.slice(0, 12);
    return `${fineTuned.entries} steps from ${base}`;
  }
  return source ? describeSource(source) : null;
}

export function describeSource(source: Source): string {
  return "path" in source ? source.path : `${source.repository}@${source.commit.slice(0, 12)}`;
}
