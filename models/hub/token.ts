/** The token for private and gated models of the hub: from a variable, or from the file that a login stores. */
import { readFile } from "node:fs/promises";
import { SteplogError } from "../../schema/errors.ts";

export interface HubToken {
  /** Sent to the hub, never printed. */
  readonly secret: string;
  /** Where it is set, for messages: the name of a variable, or a path. */
  readonly from: string;
}

/** Undefined when `text` has none. @throws INVALID_ARGUMENT */
export function tokenOf(text: string | undefined, from: string): HubToken | undefined {
  const secret = text?.trim() ?? "";
  if (secret === "") return undefined;
  // fetch would also refuse it, but with the token in its message.
  if (/^[\x21-\x7e]+$/u.test(secret)) return { secret, from };
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `${from} does not contain a token: letters, digits and punctuation without spaces.`,
  );
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
