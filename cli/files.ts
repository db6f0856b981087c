/** Files that a user names on the command line: read, or checked before work whose result goes there. */
import { access, mkdtemp, open, readFile, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { SteplogError } from "../schema/errors.ts";
import { fileReason, isFileError } from "../schema/file-errors.ts";

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
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SteplogError("INVALID_ARGUMENT", `${path} is not JSON: ${reason}.`, [], { cause });
  }
}

/** Opens the file and leaves it as it is. @throws NOT_FOUND naming the file and the reason */
export async function requireReadable(path: string): Promise<void> {
  try {
    const file = await open(path);
    const found = await file.stat();
    await file.close();
    if (!found.isDirectory()) return;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw new SteplogError("NOT_FOUND", `The file ${path} cannot be read: it is a folder.`);
}

function unreadable(path: string, cause: unknown): SteplogError {
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
