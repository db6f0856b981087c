/** Asks whoever is at the terminal before something is lost. */
import { createInterface } from "node:readline/promises";
import { SteplogError } from "../schema/errors.ts";

/** @throws INVALID_ARGUMENT where nobody can be asked */
export async function agreed(question: string, json: boolean): Promise<boolean> {
  if (json || !process.stdin.isTTY)
    throw new SteplogError("INVALID_ARGUMENT", `${question} Nobody can be asked here: add --yes.`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/iu.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
