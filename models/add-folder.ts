/**
 * A model from a folder on this machine. Its files are cloned if the file system can do that (an independent copy that takes
 * neither time nor space), and copied otherwise. They are hard-linked only on request, because writing to a linked file
 * changes the base model.
 */
import { constants } from "node:fs";
import { copyFile, link, mkdir, open, readdir, realpath, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { isCompanion } from "../engine/model/files/companions.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import { originName } from "../engine/model/files/origin.ts";
import { indexName, weightsName } from "../engine/model/files/shards.ts";
import { SteplogError } from "../schema/errors.ts";
import { clearPartial } from "./hub/partial.ts";
import { isPyTorchFolder, openPyTorchModel, writeAsSafetensors } from "./pytorch/convert.ts";
import type { AddedModel, StagingFolder } from "./staging-folder.ts";
import { publish, withStagingFolder } from "./staging-folder.ts";
import { needSpace } from "./space.ts";

export interface AddFolderOptions {
  readonly link: boolean;
  readonly onProgress: (stage: string, done: number, total: number) => void;
}

/** @throws as openModelFolder; CONFLICT; UNAVAILABLE without space for a copy */
export async function addFolder(path: string, staging: StagingFolder, options: AddFolderOptions): Promise<AddedModel> {
  const names = await readdir(path).catch(() => []);
  const pickled = isPyTorchFolder(names) ? await openPyTorchModel(path, names) : null;
  const files = await filesOf(path, pickled ? new Set() : weightsOf(await openModelFolder(path)));
  return withStagingFolder(staging, async () => {
    try {
      // Left by an earlier attempt.
      await clearPartial(staging);
      await mkdir(staging.partial);
      await transfer(files, staging.partial, options);
      if (pickled) {
        await writeAsSafetensors(pickled, staging.partial, (done, total) =>
          options.onProgress("converting", done, total),
        );
      }
      return await publish(staging, { path }, (done, total) => options.onProgress("hashing", done, total));
    } catch (error) {
      await clearPartial(staging);
      throw error;
    }
  });
}

interface SourceFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
}

/** Names of the files with a model's weights, and of their index. */
export function weightsOf(folder: ModelFolder): Set<string> {
  const weights = new Set(folder.tensors.map((tensor) => basename(tensor.path)));
  // A single file may lie beside the index of older shards.
  return weights.has(weightsName) ? weights : weights.add(indexName);
}

/** The files that a model needs, largest first. Links are followed, because in the hub's cache every file is one. */
async function filesOf(folder: string, weights: ReadonlySet<string>): Promise<SourceFile[]> {
  const names = (await readdir(folder)).filter((name) => weights.has(name) || name === originName || isCompanion(name));
  const files: SourceFile[] = [];
  for (const name of names) {
    // A dangling link is not a weight, or the folder could not have been opened.
    const path = await realpath(join(folder, name)).catch(() => null);
    if (path === null) continue;
    const found = await stat(path);
    if (found.isFile()) files.push({ name, path, bytes: found.size });
  }
  return files.toSorted((a, b) => b.bytes - a.bytes);
}

async function transfer(files: readonly SourceFile[], to: string, options: AddFolderOptions): Promise<void> {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  let done = 0;
  let cloning = true;
  for (const file of files) {
    const target = join(to, file.name);
    if (options.link) {
      await hardLink(file.path, target);
    } else {
      // The first file, the largest, shows whether cloning works.
      cloning &&= await clone(file.path, target);
      if (!cloning) {
        await needSpace(to, total - done);
        await copy(file.path, target);
      }
    }
    options.onProgress("copying", (done += file.bytes), total);
  }
}

async function clone(from: string, to: string): Promise<boolean> {
  return copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  );
}

async function copy(from: string, to: string): Promise<void> {
  await rm(to, { force: true });
  await copyFile(from, to, constants.COPYFILE_EXCL);
  const file = await open(to, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function hardLink(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${from} cannot be linked into the models folder (${code}; EXDEV: it is on another disk). Omit --link.`,
      [],
      { cause },
    );
  }
}
