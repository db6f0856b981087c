/** Reads an export again: every file has its hash, the manifest names all of them, and each log has its chain. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import type { ArchiveFile } from "./files.ts";

export interface ArchiveReport {
  readonly project: { readonly id: string; readonly name: string };
  readonly files: number;
  readonly bytes: number;
  readonly logs: number;
}

const manifestSchema = z.object({
  format: z.literal("steplog-project"),
  version: z.literal(1),
  project: z.object({ id: z.string(), name: z.string() }),
  files: z.number().int().nonnegative(),
  sums: z.array(z.object({ name: z.string(), sha256: z.string() })),
});

/**
 * @param files in the order in which they were written
 * @throws INVALID_ARGUMENT for one that is incomplete; DATA_CORRUPT naming a file with other bytes; LOG_INVALID
 */
export async function checkArchive(files: AsyncIterable<ArchiveFile>): Promise<ArchiveReport> {
  const sums: { name: string; sha256: string }[] = [];
  let unsummed: string[] = [];
  let [count, bytes, logs] = [0, 0, 0];
  for await (const file of files) {
    if (file.name === "manifest.json") {
      const manifest = manifestSchema.parse(JSON.parse((await wholeOf(file)).toString("utf8")));
      const isWhole = manifest.files === count && same(manifest.sums, sums) && unsummed.length === 0;
      if (!isWhole) throw corrupt("manifest.json", "it does not list these files");
      return { project: manifest.project, files: count, bytes, logs };
    }
    if (file.name.startsWith("SHA256SUMS-")) {
      const text = await wholeOf(file);
      if (text.toString("utf8") !== unsummed.join("")) throw corrupt(file.name, "a hash or a file differs");
      sums.push({ name: file.name, sha256: createHash("sha256").update(text).digest("hex") });
      unsummed = [];
      continue;
    }
    const isLog = file.name.startsWith("logs/");
    unsummed.push(`${isLog ? await checkLog(file) : await hashOf(file)}  ${file.name}\n`);
    count += 1;
    bytes += file.bytes;
    logs += isLog ? 1 : 0;
  }
  throw new SteplogError("INVALID_ARGUMENT", "The export is not complete: it has no manifest.json. Export it again.");
}

function same(one: ArchiveSums, other: ArchiveSums): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

type ArchiveSums = readonly { readonly name: string; readonly sha256: string }[];

function corrupt(name: string, why: string): SteplogError {
  return new SteplogError("DATA_CORRUPT", `${name} of the export was changed or is damaged: ${why}. Export it again.`);
}

async function hashOf({ content }: ArchiveFile): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of content) hash.update(piece);
  return hash.digest("hex");
}

/** A log has two to six bytes an entry. */
async function wholeOf({ content }: ArchiveFile): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Its hash, once its chain has been computed from its entries. */
async function checkLog(file: ArchiveFile): Promise<string> {
  const bytes = await wholeOf(file);
  decodeStepLog(bytes);
  return createHash("sha256").update(bytes).digest("hex");
}
