/** How the command ends when something fails: messages and the exit code. */
import type { ErrorCode } from "../schema/errors.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import type { FileError } from "../schema/file-errors.ts";
import { fileReason, isFileError } from "../schema/file-errors.ts";
import type { ToldFailure } from "./child.ts";
import { exitCodes } from "./exit-codes.ts";
import { printJson } from "./output.ts";

/** Prints an error to stderr, with `json` also as one JSON object to stdout, and sets the exit code of the process. */
export function reportError(thrown: unknown, json: boolean): void {
  const error = isFileError(thrown) ? ofFile(thrown) : asSteplogError(thrown);
  reportFailure(error);
  tellParent(error);
  if (json) printError(error);
  const fault = error.code === "INTERNAL";
  if (fault && error.cause instanceof Error) process.stderr.write(`${error.cause.stack ?? error.cause.message}\n`);
  process.exitCode = fault ? exitCodes.fault : exitCodes.refused;
}

/** Who has started this process over IPC, if anybody did, is told whether another start would help (child.ts). */
function tellParent({ code, message }: SteplogError): void {
  if (process.connected) process.send?.({ type: "failed", code, message } satisfies ToldFailure);
}

/** The same for a command line that cannot be parsed, which the parser has explained on stderr. */
export function reportUsage(message: string, json: boolean): void {
  if (json) printError({ code: "INVALID_ARGUMENT", message, issues: [] });
  process.exitCode = exitCodes.usage;
}

function printError({ code, message, issues }: Failure & { readonly code: ErrorCode }): void {
  printJson({ error: { code, message, issues } });
}

/** A full disk or a missing permission, where no command expected one. */
function ofFile(cause: FileError): SteplogError {
  const where = cause.path ?? "A file";
  return new SteplogError("UNAVAILABLE", `${where} cannot be used (${cause.syscall}): ${fileReason(cause)}.`, [], {
    cause,
  });
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

/** Prints what failed to stderr, with the line and field of each issue, unless the message already says it. */
export function reportFailure(failure: Failure): void {
  process.stderr.write(`${failure.code}: ${failure.message}\n`);
  const isSaid = ({ line, message }: Failure["issues"][number]) => line == null && failure.message.includes(message);
  for (const { line, field, message } of failure.issues.filter((issue) => !isSaid(issue))) {
    const where = [line ? [`line ${line}`] : [], field ? [field] : []].flat().join(", ");
    process.stderr.write(`  ${where}${where === "" ? "" : ": "}${message}\n`);
  }
}
