/**
 * What a log may say about a failure: which kind, and where in the code. The message is in it only if our own code wrote
 * it. Those of Postgres, of parsers and of Node quote what they were given, which may be a prompt, a row or a query.
 */
import { SteplogError } from "./errors.ts";
import { packagePath } from "./package.ts";

export interface Fault {
  readonly type: string;
  readonly message?: string;
  /** Such as ECONNRESET, or Postgres' SQLSTATE. */
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: Fault;
}

const root = packagePath("");
/** Causes of causes that are described. */
const maxDepth = 4;

/** The serializer of `err` for a log. */
export function faultOf(error: unknown, depth = 0): Fault {
  if (!(error instanceof Error)) return { type: typeof error };
  const { message, cause } = error;
  const frames = framesOf(error);
  const code = "code" in error && typeof error.code === "string" && /^[\w-]{1,40}$/u.test(error.code) && error.code;
  return {
    type: error.constructor.name,
    ...(isOurs(error, frames) && { message }),
    ...(code && { code }),
    stack: frames.join("\n"),
    ...(cause instanceof Error && depth < maxDepth && { cause: faultOf(cause, depth + 1) }),
  };
}

/** The lines after the message, which may have lines of its own. */
function framesOf({ stack = "", message }: Error): string[] {
  const start = stack.indexOf(message);
  const after = start < 0 ? "" : stack.slice(start + message.length);
  return after.split("\n").filter((line) => /^\s+at /u.test(line));
}

/** Whether our own code wrote the message. An error that wraps an unexpected one has the message of that. */
function isOurs(error: Error, [first = ""]: readonly string[]): boolean {
  if (error instanceof SteplogError && error.code === "INTERNAL" && error.cause !== undefined) return false;
  const at = first.indexOf(root);
  return at >= 0 && !first.slice(at + root.length).includes("node_modules");
}
