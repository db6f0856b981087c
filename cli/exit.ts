/** How the command ends: exit codes and error messages. */
import type { SteplogError } from "../schema/errors.ts";

export const exitCodes = { done: 0, fault: 1, usage: 2, refused: 3, runFailed: 4, runCancelled: 5 } as const;

/** Prints an error to stderr and sets the exit code of the process. */
export function reportError(error: SteplogError): void {
  reportFailure(error);
  const fault = error.code === "INTERNAL";
  if (fault && error.cause instanceof Error) process.stderr.write(`${error.cause.stack ?? error.cause.message}\n`);
  process.exitCode = fault ? exitCodes.fault : exitCodes.refused;
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly issues: readonly {
    readonly line?: number | null;
    readonly field?: string | null;
    readonly message: string;
  }[];
}

/** Prints what failed to stderr, with the line and field of each issue. */
export function reportFailure(failure: Failure): void {
  process.stderr.write(`${failure.code}: ${failure.message}\n`);
  for (const { line, field, message } of failure.issues) {
    const where = [line ? [`line ${line}`] : [], field ? [field] : []].flat().join(", ");
    process.stderr.write(`  ${where}${where === "" ? "" : ": "}${message}\n`);
  }
}
