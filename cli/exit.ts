/** How the command ends: what the exit codes mean, and how an error is told. */
import type { InputIssue, SteplogError } from "../schema/errors.ts";

export const exitCodes = { done: 0, fault: 1, usage: 2, refused: 3, runFailed: 4, runCancelled: 5 } as const;

/** Prints an error with its places to stderr and sets the exit code of the process. */
export function reportError(error: SteplogError): void {
  reportFailure(error);
  const fault = error.code === "INTERNAL";
  if (fault && error.cause instanceof Error) process.stderr.write(`${error.cause.stack ?? error.cause.message}\n`);
  process.exitCode = fault ? exitCodes.fault : exitCodes.refused;
}

/** Prints what failed, with its places, to stderr. */
export function reportFailure(failure: { code: string; message: string; issues: readonly InputIssue[] }): void {
  process.stderr.write(`${failure.code}: ${failure.message}\n`);
  for (const { line, field, message } of failure.issues) {
    const place = [line ? [`line ${line}`] : [], field ? [field] : []].flat().join(", ");
    process.stderr.write(`  ${place}${place === "" ? "" : ": "}${message}\n`);
  }
}
