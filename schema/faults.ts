/**
 * What a log may say about a failure: which kind, and where in the code. The message is in it only if our own code wrote
 * it, and not about what somebody sent. Those of Postgres, of parsers and of Node quote what they were given, which may be a
 * prompt, a row or a query; so do ours that explain to a client what is wrong with its input.
 */
import { type ErrorCode, SteplogError, errorCodes } from "./errors.ts";
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

/** The fault of another thread, as that one described it. */
export class ToldFault extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super("A thread failed.");
    this.fault = fault;
  }
}

/** The serializer of `err` for a log. */
export function faultOf(error: unknown, depth = 0): Fault {
  if (!(error instanceof Error)) return { type: typeof error };
  if (error instanceof ToldFault) return error.fault;
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

/** Codes of what is wrong with machines, models and leases: their messages have nothing of what clients send. */
const aboutMachines: ReadonlySet<ErrorCode> = new Set([
  "MODEL_INVALID",
  "MODEL_UNSUPPORTED",
  "BASE_MISMATCH",
  "DEVICE_UNAVAILABLE",
  "LEASE_LOST",
  "LOSS_NOT_FINITE",
  "DIVERGED",
  "DATA_CORRUPT",
  "UNAVAILABLE",
  "OUT_OF_MEMORY",
]);

/** The error's message for a log, or what its code means. */
export function loggable({ code, message }: SteplogError): string {
  return aboutMachines.has(code) ? message : errorCodes[code];
}

/** What V8 throws of itself. Its messages quote names of properties and texts. */
const native: ReadonlySet<unknown> = new Set([TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError]);

/** Whether our own code wrote the message. An error that wraps an unexpected one has the message of that. */
function isOurs(error: Error, [first = ""]: readonly string[]): boolean {
  if (error instanceof SteplogError && error.code !== "INTERNAL") return aboutMachines.has(error.code);
  if (native.has(error.constructor) || (error instanceof SteplogError && error.cause !== undefined)) return false;
  const at = first.indexOf(root);
  return at >= 0 && !first.slice(at + root.length).includes("node_modules");
}
