/** The small files of a model folder, which anybody may have made: a link to a device, a pipe or gigabytes are refused. */
import { readFile, stat } from "node:fs/promises";
import type { Blame } from "../sandbox/messages.ts";
import { SteplogError } from "../schema/errors.ts";

const mib = 2 ** 20;
/** Bytes of such files, far above any model's. A config has no list that grows with the model. */
export const modelTextBytes = { config: 4 * mib, index: 16 * mib, tokenizer: 128 * mib } as const;

/** The text of a file; null if it is not there. @throws MODEL_INVALID if it is not a file, or larger than `limit` bytes */
export async function readModelText(path: string, limit: number): Promise<string | null> {
  try {
    await refuseUnreadable(path, limit);
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** @throws MODEL_INVALID, and what stat throws */
export async function refuseUnreadable(path: string, limit: number): Promise<void> {
  const found = await stat(path);
  if (!found.isFile()) throw new SteplogError("MODEL_INVALID", `${path} is not a file.`);
  if (found.size <= limit) return;
  throw new SteplogError("MODEL_INVALID", `${path} has ${found.size} bytes; the limit is ${limit}.`);
}

/** What to say of a model's file that takes too long or too much memory. */
export function blameModel(doing: string): Required<Blame> {
  const advice =
    "A pattern or a template can take for ever, by mistake or to harm: compare config.json, tokenizer.json and the chat " +
    "template with those that the model's makers publish.";
  return { code: "MODEL_INVALID", doing, advice };
}
