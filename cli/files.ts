/** Files that a user names on the command line: read, or checked before work whose result goes there. */
import { access, mkdtemp, open, readFile, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { SteplogError } from "../schema/errors.ts";
import { fileReason, isFileError } from "../schema/file-errors.ts";
import { isJson } from "../schema/json.ts";

/** @throws NOT_FOUND naming the file and the reason */
export async function readUserFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** @throws NOT_FOUND, INVALID_ARGUMENT */
export async function readUserJson(path: string): Promise<unknown> {
  const text = (await readUserFile(path)).toString("utf8");
  if (text.trim() === "") throw new SteplogError("INVALID_ARGUMENT", `${path} is empty, and must be one JSON object.`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const [first = "", second] = text.trim().split("\n", 2);
    const rows =
      second !== undefined && isJson(first) ? " It looks like rows, one a line: give a file that names it." : "";
    throw new SteplogError("INVALID_ARGUMENT", `${path} is not JSON: ${reason}.${rows}`, [], { cause });
  }
}

/** What `read` makes of a file, with the file named where it is not what it should be. */
export function ofFile<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SteplogError)) throw error;
    throw new SteplogError(error.code, `${path}: ${error.message}`, error.issues, { cause: error });
  }
}

/** Opens the file and leaves it as it is; its size. @throws NOT_FOUND naming the file and the reason */
export async function requireReadable(path: string): Promise<number> {
  try {
    const file = await open(path);
    const found = await file.stat();
    await file.close();
    if (!found.isDirectory()) return found.size;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw new SteplogError("NOT_FOUND", `The file ${path} cannot be read: it is a folder.`);
}

/** A file of rows, before they are read. @throws NOT_FOUND; DATASET_INVALID for one that is empty */
export async function requireRows(path: string): Promise<void> {
  if ((await requireReadable(path)) === 0) throw noRows(path);
}

export function noRows(path: string): SteplogError {
  const advice = "Check that it was written to its end, and that this is the right file.";
  return new SteplogError("DATASET_INVALID", `${path} has no rows. ${advice}`);
}

/** NOT_FOUND, with the reason. */
export function unreadable(path: string, cause: unknown): SteplogError {
  return new SteplogError("NOT_FOUND", `The file ${path} cannot be read: ${fileReason(cause)}.`, [], { cause });
}

/**
 * Makes sure, before work whose result goes there, that a file or folder can be written. Leaves nothing behind.
 * @throws INVALID_ARGUMENT naming the path and the reason
 */
export async function requireWritable(path: string, kind: "file" | "folder"): Promise<void> {
  const present = await stat(path).catch(() => null);
  if (present && present.isDirectory() !== (kind === "folder")) {
    throw unwritable(path, present.isDirectory() ? "it is a folder" : "it is a file, not a folder");
  }
  try {
    const folder = present && kind === "folder" ? path : await existingFolder(dirname(resolve(path)));
    await rmdir(await mkdtemp(join(folder, ".steplog-")));
  } catch (cause) {
    throw unwritable(path, fileReason(cause), cause);
  }
}

/** The folder itself, or the closest one above it that exists, in which it could be made. */
async function existingFolder(folder: string): Promise<string> {
  const exists = await access(folder).then(
    () => true,
    (error: unknown) => !(isFileError(error) && error.code === "ENOENT"),
  );
  return exists ? folder : existingFolder(dirname(folder));
}

function unwritable(path: string, reason: string, cause?: unknown): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", `${path} cannot be written: ${reason}.`, [], { cause });
}
