/**
 * A model's place in the models folder, and how it gets there: its files come together under .steplog/partial, are checked
 * as a whole, and one rename makes them the folder that workers see. What is half there is never seen, and a download goes
 * on from it (add-repository.ts).
 *
 * models/.steplog/ partial/NAME/       the files so far        partial/NAME.json   what they are to become
 *                  partial/NAME.lock   who works on them       removed/            what is being deleted
 */
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { loadOptionalTokenizer } from "../dataset/tokenizer.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { modelBytes, openModelFolder } from "../engine/model/files/folder.ts";
import { keptBaseHash } from "../engine/model/files/hashes.ts";
import type { Source } from "../engine/model/files/origin.ts";
import { readOrigin, writeOrigin } from "../engine/model/files/origin.ts";
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import { modelSummary, hashesDirOf, ownDirOf } from "./registration.ts";

export interface Place {
  readonly name: string;
  readonly modelsDir: string;
  /** The folder that workers see, once it is complete. */
  readonly target: string;
  /** Where its files come together. */
  readonly partial: string;
}

/** @throws INVALID_ARGUMENT for a name that is no plain file name */
export function placeOf(modelsDir: string, name: string): Place {
  if (!/^\w[\w.-]*$/u.test(name) || name.length > limits.nameLength) {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(name)} cannot be the name of a model. Give --name, of letters, digits, dots, - and _.`,
    );
  }
  return { name, modelsDir, target: join(modelsDir, name), partial: join(ownDirOf(modelsDir), "partial", name) };
}

/**
 * Runs `work` as the only one who works on this place.
 * @throws CONFLICT when somebody else does, or it is taken; UNAVAILABLE when the disk is full or closed to us
 */
export async function withPlace<T>(place: Place, work: () => Promise<T>): Promise<T> {
  await refuseTaken(place);
  const lock = `${place.partial}.lock`;
  try {
    await mkdir(place.partial, { recursive: true });
    await takeLock(lock);
    try {
      return await work();
    } finally {
      await rm(lock, { force: true });
    }
  } catch (error) {
    throw diskError(place, error);
  }
}

function diskError({ modelsDir }: Place, error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!/^(?:EACCES|EPERM|EROFS|ENOSPC|EDQUOT|EIO|ENOTDIR|EEXIST)$/u.test(code)) return error;
  const message = `${modelsDir} cannot be written to (${code}). Make room or see to its rights, or set STEPLOG_MODELS.`;
  return new SteplogError("UNAVAILABLE", message, [], { cause: error });
}

async function refuseTaken({ name, target }: Place): Promise<void> {
  if (!(await isThere(target))) return;
  throw new SteplogError(
    "CONFLICT",
    `${target} is there already. Give another --name, or remove it first: steplog model remove ${name}`,
  );
}

export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function takeLock(path: string): Promise<void> {
  const mine = `${process.pid} ${hostname()}`;
  for (let turn = 0; turn < 2; turn++) {
    try {
      await writeFile(path, mine, { flag: "wx" });
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    const [pid = "", host = ""] = (await readFile(path, "utf8").catch(() => "")).split(" ");
    if (host !== hostname() || isAlive(Number(pid))) {
      throw new SteplogError(
        "CONFLICT",
        `Process ${pid} on ${host} is adding this model. Wait for it; if it is gone, delete ${path}.`,
      );
    }
    await rm(path, { force: true });
  }
  throw new SteplogError("CONFLICT", `Somebody else is adding this model: ${path}.`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

export interface AddedModel extends ReturnType<typeof modelSummary> {
  readonly hash: string;
  readonly source: Source;
  readonly hasTokenizer: boolean;
}

/** Checks what lies in the partial folder as a whole, and makes it the model. @throws MODEL_INVALID, MODEL_UNSUPPORTED */
export async function publish(
  place: Place,
  source: Source,
  onProgress: (done: number, total: number) => void,
): Promise<AddedModel> {
  const folder = await openModelFolder(place.partial);
  const tokenizer = await loadOptionalTokenizer(place.partial);
  const hash = await hashModel(place, folder, onProgress);
  const { fineTuned } = (await readOrigin(place.partial)) ?? {};
  await writeOrigin(place.partial, { format: 1, source, ...(fineTuned && { fineTuned }) });
  await refuseTaken(place);
  await rename(place.partial, place.target);
  return { ...modelSummary(place.name, folder), hash, source, hasTokenizer: tokenizer !== null };
}

/** The base hash of a folder under the name of a place, kept for the workers. */
export async function hashModel(
  { name, modelsDir }: Pick<Place, "name" | "modelsDir">,
  folder: ModelFolder,
  onProgress: (done: number, total: number) => void,
): Promise<string> {
  let done = 0;
  const total = modelBytes(folder);
  const keeper = { folder: hashesDirOf(modelsDir), now: Date.now };
  return keptBaseHash(folder, name, keeper, (bytes) => onProgress((done += bytes), total));
}
