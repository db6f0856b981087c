/** Runs a benchmark's command line; a failure is one line, and an exit status. */
import type { Command } from "commander";
import { CommanderError } from "commander";
import { asSteplogError } from "../schema/errors.ts";

export async function runProgram(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode;
    } else {
      const { code, message } = asSteplogError(error);
      console.error(`${code}: ${message}`);
      process.exitCode = 1;
    }
  }
}
