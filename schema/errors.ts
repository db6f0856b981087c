/**
 * Every error that a user can cause, by stable code. Clients depend on the codes, so a code never changes its meaning and
 * is never reused. These are expected failures; an impossible state is an `invariant`, which stops the process.
 */
import type { QuotaUse } from "./usage.ts";

export const errorCodes = {
  INVALID_ARGUMENT: "An argument is missing, of the wrong type or out of range.",
  UNAUTHENTICATED: "The request has no valid API token, or comes from a web page of another origin.",
  FORBIDDEN: "The API key is valid, but does not have the scope that this needs.",
  NOT_FOUND: "The requested object does not exist.",
  CONFLICT:
    "The request conflicts with an earlier one or with existing data, such as a reused idempotency key with other input.",
  INVALID_STATE: "The object exists, but its current state does not allow the operation.",
  DATASET_INVALID: "Rows of the dataset cannot be used; issues names lines and reasons.",
  MODEL_INVALID: "The model folder is incomplete or damaged, or does not match its config.",
  MODEL_UNSUPPORTED: "The model's architecture, or a setting in its config, is not supported.",
  LOG_INVALID: "The file is not a complete, undamaged .steplog file of a supported version.",
  BASE_MISMATCH: "The log was made with a different base model.",
  DEVICE_UNAVAILABLE: "The requested compute device cannot be used on this machine.",
  LEASE_LOST: "Another worker has taken over the job; this one must stop writing.",
  LOSS_NOT_FINITE: "The loss was not finite for several consecutive steps.",
  DIVERGED: "The run became clearly worse than it started, or than it was at its best.",
  PAYLOAD_TOO_LARGE: "The request, dataset or upload is larger than the limit.",
  BUSY: "Too many requests wait. Try again later.",
  RATE_LIMITED:
    "Too many requests in the last minute; extensions.retryAfter says after how many seconds there may be more.",
  QUOTA_EXCEEDED: "The project has used up one of its quotas; extensions.quota says which.",
  DATA_CORRUPT: "A stored file has other bytes than those that were stored.",
  UNAVAILABLE: "A required service (Postgres, storage, a disk) is not available.",
  OUT_OF_MEMORY: "The machine, or the process, has not enough memory for the work.",
  INTERNAL: "A bug or an unexpected failure in Steplog.",
} as const;

export type ErrorCode = keyof typeof errorCodes;

/**
 * Errors that pass with time: after how many seconds the same request may succeed, where an error does not know better. Quotas
 * know, or do not free up by waiting.
 */
export const passing: Readonly<Partial<Record<ErrorCode, number>>> = { BUSY: 1, RATE_LIMITED: 60, UNAVAILABLE: 2 };

/** One problem in the input. `line` counts from 1; `field` is a dotted path. */
export interface InputIssue {
  readonly line?: number;
  readonly field?: string;
  readonly message: string;
}

/** Characters. A message may quote a file, whose texts may be megabytes. */
const longestMessage = 4_000;

export interface SteplogErrorOptions extends ErrorOptions {
  /** Seconds after which trying again may help. */
  readonly retryAfterS?: number | undefined;
  readonly quota?: QuotaUse;
}

/** An expected failure: a stable code, and a message that says what was seen, where, and what to do. */
export class SteplogError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly InputIssue[];
  /** Seconds after which trying again may help; undefined for the usual time of its code. */
  readonly retryAfterS: number | undefined;
  /** The quota that is used up; null for other errors. */
  readonly quota: QuotaUse | null;

  constructor(code: ErrorCode, message: string, issues: readonly InputIssue[] = [], options?: SteplogErrorOptions) {
    super(message.length <= longestMessage ? message : `${message.slice(0, longestMessage)}...`, options);
    this.name = "SteplogError";
    this.code = code;
    this.issues = issues;
    this.retryAfterS = options?.retryAfterS;
    this.quota = options?.quota ?? null;
  }
}

/** The same with other issues: still of its code, and with when to try again. */
export function withIssues(error: SteplogError, issues: readonly InputIssue[], message = error.message): SteplogError {
  const { code, retryAfterS, quota } = error;
  return new SteplogError(code, message, issues, { cause: error, retryAfterS, ...(quota && { quota }) });
}

/** Stops on a state that no input should be able to cause. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`);
}

/** `error` itself if it is a SteplogError; a failure of the machine by its code; otherwise INTERNAL, with it as the cause. */
export function asSteplogError(error: unknown): SteplogError {
  if (error instanceof SteplogError) return error;
  const known = asDiskError(missingFile(error));
  if (known instanceof SteplogError) return known;
  const message = error instanceof Error ? error.message : String(error);
  return new SteplogError(lacksMemory(error) ? "OUT_OF_MEMORY" : "INTERNAL", message, [], { cause: error });
}

const diskFaults: Readonly<Record<string, string>> = {
  ENOSPC: "has no room left. Free some",
  EDQUOT: "has no room left: a quota is used up. Free some, or raise it",
  EROFS: "is on a read-only file system. Make it writable",
  EACCES: "cannot be used: permission denied. Fix its owner or its mode",
  EPERM: "cannot be used: not permitted. Fix its owner or its mode",
  EIO: "cannot be used: its disk reports errors. Check the disk",
  ENOTDIR: "cannot be used: a part of the path is not a folder",
  EEXIST: "cannot be used: another file is in its place",
  EMFILE: "cannot be used: this process has too many open files. Raise its limit",
  ENFILE: "cannot be used: the machine has too many open files. Raise its limit",
};

/**
 * UNAVAILABLE for an error by which Node says that a disk cannot be used; another error unchanged.
 * @param path what was read or written; Node names it itself only when it opens a file
 */
export function asDiskError(error: unknown, path?: string): unknown {
  if (!(error instanceof Error) || error instanceof SteplogError || !("code" in error)) return error;
  const fault = diskFaults[String(error.code)];
  if (fault === undefined) return error;
  const where = path ?? ("path" in error ? String(error.path) : "A file");
  return new SteplogError("UNAVAILABLE", `${where} ${fault} (${String(error.code)}).`, [], { cause: error });
}

/** A file that should be there, such as a dataset in a storage folder that is not mounted here. */
function missingFile(error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error && "path" in error) || error.code !== "ENOENT") return error;
  const message = `${String(error.path)} does not exist. Check that its disk is mounted on this machine.`;
  return new SteplogError("UNAVAILABLE", message, [], { cause: error });
}

/** As V8, Node and the native device say it. */
function lacksMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? error.code : null;
  if (code === "ERR_WORKER_OUT_OF_MEMORY" || code === "ENOMEM") return true;
  return /^(?:Array buffer allocation failed|not enough memory)/u.test(error.message);
}
