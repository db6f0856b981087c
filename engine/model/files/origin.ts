/**
 * steplog.json of a model folder: where its weights come from. It is for people and for `steplog model list`; nothing is
 * computed from it, and a folder may lack one.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { OutputDtype } from "../../../schema/output-dtype.ts";
import { outputDtypes } from "../../../schema/output-dtype.ts";
import { counted } from "../../../schema/units.ts";

export const originName = "steplog.json";

const sourceSchema = z.union([
  z.object({
    /** The hub's address, the repository, the revision asked for, and the commit it resolved to. */
    hub: z.string(),
    repository: z.string(),
    revision: z.string(),
    commit: z.string(),
  }),
  z.object({ path: z.string() }),
]);

const originSchema = z.object({
  format: z.literal(1),
  /** For an added folder: where its files came from. */
  source: sourceSchema.optional(),
  /** For a folder rebuilt from a log: the base, and the entries of the log that were applied. */
  fineTuned: z
    .object({
      base: z.object({ hash: z.string(), source: sourceSchema.optional() }),
      entries: z.int(),
      chain: z.string(),
      /** Of the weights as they were trained, before any merge and conversion. */
      weightsDigest: z.string(),
      merged: z.boolean().optional(),
      dtype: z.enum(outputDtypes).optional(),
    })
    .optional(),
});

export type Source = z.output<typeof sourceSchema>;
export type Origin = z.output<typeof originSchema>;

/** Null if there is none, or none in a known format. */
export async function readOrigin(folder: string): Promise<Origin | null> {
  try {
    return originSchema.parse(JSON.parse(await readFile(join(folder, originName), "utf8")));
  } catch {
    return null;
  }
}

export async function writeOrigin(folder: string, origin: Origin): Promise<void> {
  const path = join(folder, originName);
  // An existing file may be read-only, or a link into another folder.
  await rm(path, { force: true });
  await writeFile(path, `${JSON.stringify(origin, null, 2)}\n`, { flag: "wx" });
}

/** The origin of a folder rebuilt from a log and the base in `base`. */
export async function fineTunedOrigin(base: string, hash: string, rebuilt: RebuiltFolder): Promise<Origin> {
  const source = (await readOrigin(base))?.source;
  const { entries, chain, digest, merged, dtype } = rebuilt;
  return {
    format: 1,
    fineTuned: {
      base: { hash, ...(source && { source }) },
      entries,
      chain,
      weightsDigest: digest,
      ...(merged && { merged }),
      ...(dtype && { dtype }),
    },
  };
}

export interface RebuiltFolder {
  readonly entries: number;
  readonly chain: string;
  readonly digest: string;
  readonly merged: boolean;
  readonly dtype: OutputDtype | null;
}

/** For people: organisation/name@commit, a path, or "100 steps from" one of these. */
export function describeOrigin(origin: Origin | null): string | null {
  const { source, fineTuned } = origin ?? {};
  if (fineTuned) {
    const base = fineTuned.base.source ? describeSource(fineTuned.base.source) : fineTuned.base.hash.slice(0, 12);
    return `${counted(fineTuned.entries, "step")} from ${base}`;
  }
  return source ? describeSource(source) : null;
}

export function describeSource(source: Source): string {
  return "path" in source ? source.path : `${source.repository}@${source.commit.slice(0, 12)}`;
}
