/** Files that a user names on the command line. */
import { readFile } from "node:fs/promises";
import { SteplogError } from "../schema/errors.ts";

/** @throws NOT_FOUND naming the file */
export async function readUserFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
    throw new SteplogError("NOT_FOUND", `The file ${path} cannot be read${reason}.`, [], { cause });
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
