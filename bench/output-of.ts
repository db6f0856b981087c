/** Runs another program of a measurement to its end. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SteplogError } from "../schema/errors.ts";

/** What it prints. @throws SteplogError INTERNAL, with what it said, if it fails */
export async function outputOf(file: string, args: readonly string[]): Promise<string> {
  const run = promisify(execFile)(file, args, { maxBuffer: 2 ** 24 });
  const { stdout } = await run.catch((error: unknown) => {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    throw new SteplogError("INTERNAL", `${file} ${args.join(" ")} failed: ${said}`);
  });
  return stdout;
}
