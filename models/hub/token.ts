/** The token that opens what is private or gated on the hub: from a variable, or from the file that a login leaves. */
import { readFile } from "node:fs/promises";
import { SteplogError } from "../../schema/errors.ts";

export interface HubToken {
  /** Told to the hub, and never printed. */
  readonly secret: string;
  /** What a person would change: the name of a variable, or a path. */
  readonly from: string;
}

/** Undefined when there is none in `text`. @throws INVALID_ARGUMENT */
export function tokenOf(text: string | undefined, from: string): HubToken | undefined {
  const secret = text?.trim() ?? "";
  if (secret === "") return undefined;
  // fetch would refuse it as well, with the token in its message.
  if (/^[\x21-\x7e]+$/u.test(secret)) return { secret, from };
  throw new SteplogError("INVALID_ARGUMENT", `What ${from} holds is no token: those are letters, digits and signs.`);
}

/** Undefined when nobody has logged in. @throws INVALID_ARGUMENT */
export async function readTokenFile(path: string): Promise<HubToken | undefined> {
  try {
    return tokenOf(await readFile(path, "utf8"), path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof SteplogError) throw error;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    const advice = "Make it readable, or set HF_TOKEN or HF_TOKEN_PATH.";
    throw new SteplogError("INVALID_ARGUMENT", `The token in ${path} cannot be read (${code}). ${advice}`);
  }
}
