/**
 * How a model gets into the models folder: its files are collected in a staging folder under .steplog/partial and checked as
 * a whole, then one rename makes it the folder that workers see. They never see an incomplete model, and an interrupted
 * download resumes from the staging folder (add-repository.ts).
 *
 * models/.steplog/ partial/NAME/       the files so far           partial/NAME.json   checksums of the wanted files
 *                  partial/NAME.lock   who is working on them     removed/            models being deleted
 */
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { modelBytes, openModelFolder } from "../engine/model/files/folder.ts";
import { keptBaseHash } from "../engine/model/files/hashes.ts";
import { withLock } from "../engine/model/files/lock.ts";
import type { Source } from "../engine/model/files/origin.ts";
import { readOrigin, writeOrigin } from "../engine/model/files/origin.ts";
import { inSandbox } from "../sandbox/sandbox.ts";
import { SteplogError, asDiskError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import { modelSummary, hashesDirOf, ownDirOf } from "./registration.ts";
import { tryInSandbox } from "./folder-checks.ts";

export interface StagingFolder {
  readonly name: string;
  readonly modelsDir: string;
  /** The folder that workers see, once the model is complete. */
  readonly target: string;
  /** Where its files are collected until then. */
  readonly partial: string;
}

export const removedDirOf = (modelsDir: string) => join(ownDirOf(modelsDir), "removed");

/** @throws INVALID_ARGUMENT for a name that is not a plain file name */
export function stagingFolder(modelsDir: string, name: string): StagingFolder {
  if (!/^\w[\w.-]*$/u.test(name) || name.length > limits.nameLength) {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(name)} cannot be the name of a model. Use --name with letters, digits, dots, - and _.`,
    );
  }
  return { name, modelsDir, target: join(modelsDir, name), partial: join(ownDirOf(modelsDir), "partial", name) };
}

/**
 * Runs `work` under a lock on the staging folder.
 * @throws CONFLICT when another process holds the lock, or a model of this name exists; UNAVAILABLE when the disk is full or
 *   not writable
 */
export async function withStagingFolder<T>(staging: StagingFolder, work: () => Promise<T>): Promise<T> {
  await refuseTaken(staging);
  const lock = `${staging.partial}.lock`;
  try {
    await deleteRemoved(staging.modelsDir).catch(() => {});
    await mkdir(staging.partial, { recursive: true });
    return await withLock(lock, "adding this model", work);
  } catch (error) {
    throw asDiskError(error, `The models folder ${staging.modelsDir}`);
  }
}

/** Deletes the models that are being removed, including what interrupted removals have left. */
export async function deleteRemoved(modelsDir: string): Promise<void> {
  const removed = removedDirOf(modelsDir);
  for (const entry of await readdir(removed).catch((): string[] => [])) {
    await rm(join(removed, entry), { recursive: true, force: true });
  }
}

async function refuseTaken({ name, target }: StagingFolder): Promise<void> {
  if (!(await exists(target))) return;
  throw new SteplogError(
    "CONFLICT",
    `${target} already exists. Choose another --name, or remove it first: steplog model remove ${name}`,
  );
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

export interface AddedModel extends ReturnType<typeof modelSummary> {
  readonly hash: string;
  readonly source: Source;
  readonly hasTokenizer: boolean;
}

/** Checks the staged files as a whole and makes them the model. @throws MODEL_INVALID, MODEL_UNSUPPORTED */
export async function publish(
  staging: StagingFolder,
  source: Source,
  onProgress: (done: number, total: number) => void,
): Promise<AddedModel> {
  const { hasTokenizer } = await inSandbox((sandbox) => tryInSandbox(sandbox, { path: staging.partial }));
  const folder = await openModelFolder(staging.partial);
  const hash = await hashModel(staging, folder, onProgress);
  const { fineTuned } = (await readOrigin(staging.partial)) ?? {};
  await writeOrigin(staging.partial, { format: 1, source, ...(fineTuned && { fineTuned }) });
  await refuseTaken(staging);
  await rename(staging.partial, staging.target);
  return { ...modelSummary(staging.name, folder), hash, source, hasTokenizer };
}

/** The base hash of a model's folder, which is kept so that workers need not compute it again. */
export async function hashModel(
  { name, modelsDir }: Pick<StagingFolder, "name" | "modelsDir">,
  folder: ModelFolder,
  onProgress: (done: number, total: number) => void,
): Promise<string> {
  let done = 0;
  const total = modelBytes(folder);
  const keeper = { folder: hashesDirOf(modelsDir), now: Date.now };
  return keptBaseHash(folder, name, keeper, (bytes) => onProgress((done += bytes), total));
}
