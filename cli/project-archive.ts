/** Receives the export of a project, as a tar or as a folder of its files. It is read again and checked, and then appears whole. */
import { createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { SteplogError } from "../schema/errors.ts";
import { type ArchiveFile, type ArchiveReport, checkArchive, filesOfTar, isPlainName } from "../store/store.ts";

/**
 * What a killed one leaves is named so, and the next one begins anew.
 * @throws INVALID_ARGUMENT for a path that is taken; DATA_CORRUPT and LOG_INVALID for what did not come as it was sent
 */
export async function receiveArchive(source: AsyncIterable<Uint8Array>, to: string): Promise<ArchiveReport> {
  const partial = `${to}.partial`;
  await rm(partial, { recursive: true, force: true });
  if (isTar(to)) await save(source, partial);
  else await unpack(source, partial);
  const report = await checkArchive(isTar(to) ? filesOfTar(createReadStream(partial)) : filesOfFolder(partial));
  await rename(partial, to);
  return report;
}

const isTar = (path: string) => path.endsWith(".tar");

/** @throws INVALID_ARGUMENT */
export async function refuseIfThere(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (!found) return;
  throw new SteplogError("INVALID_ARGUMENT", `${path} is there already. Give a path that is not, or move it away.`);
}

/** What is in an export is its project's alone. */
async function save(content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, path: string): Promise<void> {
  await pipeline(content, createWriteStream(path, { flags: "wx", mode: 0o600, flush: true }));
}

async function unpack(source: AsyncIterable<Uint8Array>, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for await (const { name, content } of filesOfTar(source)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await save(content, path);
  }
}

const listed = z.object({ sums: z.array(z.object({ name: z.string() })) });

/** In the order of the tar: files, the hashes of these, and so on, and the manifest. */
async function* filesOfFolder(folder: string): AsyncGenerator<ArchiveFile> {
  const manifest = await readFile(join(folder, "manifest.json"), "utf8").catch(() => null);
  if (manifest === null) return;
  for (const { name } of listed.parse(JSON.parse(manifest)).sums) {
    for (const line of (await readFile(await pathIn(folder, name), "utf8")).trimEnd().split("\n"))
      yield fileIn(folder, line.slice(66));
    yield fileIn(folder, name);
  }
  yield fileIn(folder, "manifest.json");
}

async function fileIn(folder: string, name: string): Promise<ArchiveFile> {
  const path = await pathIn(folder, name);
  return { name, bytes: (await stat(path)).size, content: createReadStream(path) };
}

/** @throws DATA_CORRUPT for a file that is not there */
async function pathIn(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  const found = isPlainName(name) && (await stat(path).catch(() => null));
  if (found) return path;
  throw new SteplogError(
    "DATA_CORRUPT",
    `The export has no file ${JSON.stringify(name)}, which it lists. Export it again.`,
  );
}
