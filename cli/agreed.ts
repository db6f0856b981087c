/** Asks whoever is at the terminal before something is lost. */
import { createInterface } from "node:readline";
import { SteplogError } from "../schema/errors.ts";

interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/** True for y and yes alone: neither for another answer, nor for none, as by Ctrl-D. @throws INVALID_ARGUMENT where nobody can be asked */
export async function agreed(
  question: string,
  json: boolean,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (json || input.isTTY !== true)
    throw new SteplogError("INVALID_ARGUMENT", `${question} Nobody can be asked here: add --yes.`);
  const asking = createInterface({ input, output });
  const answer = await new Promise<string>((resolve) => {
    asking.once("close", () => resolve(""));
    asking.question(`${question} [y/N] `, resolve);
  });
  asking.close();
  return /^y(es)?$/iu.test(answer.trim());
}
