/**
 * Every error a user can cause, by stable code. A code is a promise: clients switch on it, so it never changes
 * meaning and is never reused. `expected` is what went wrong with the input or the world; an impossible state is
 * an `invariant` and stops the process instead.
 */

export const errorCodes = {
  INVALID_ARGUMENT: "An argument is missing, of the wrong type or out of its range.",
  UNAUTHENTICATED: "The request carries no valid API token.",
  NOT_FOUND: "The thing named does not exist.",
  CONFLICT: "The request contradicts one that was accepted before.",
  INVALID_STATE: "The thing exists, but its state does not allow this.",
  DATASET_INVALID: "Rows of the dataset cannot be used; `issues` names lines and reasons.",
  MODEL_INVALID: "The model folder is incomplete, damaged or not what its config says.",
  MODEL_UNSUPPORTED: "The model's family, or a field of its config, is not implemented.",
  LOG_INVALID: "The bytes are not a whole, undamaged .steplog of a version this program reads.",
  BASE_MISMATCH: "The log was made on another base model than the one given.",
  DEVICE_UNAVAILABLE: "The compute device asked for cannot be used on this machine.",
  LEASE_LOST: "Another worker holds the job; this one must stop writing.",
  LOSS_NOT_FINITE: "The loss was not finite for several steps in a row.",
  PAYLOAD_TOO_LARGE: "The upload is larger than the limit.",
  UNAVAILABLE: "A service that this one needs (Postgres, storage) does not answer.",
  INTERNAL: "A fault of Steplog itself.",
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** One thing wrong with one place of the input: `line` is 1-based, `field` a dotted path. */
export interface InputIssue {
  readonly line?: number;
  readonly field?: string;
  readonly message: string;
}

/** An expected failure: what was seen, where, and what to do, under a stable code. */
export class SteplogError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly InputIssue[];

  constructor(code: ErrorCode, message: string, issues: readonly InputIssue[] = [], options?: ErrorOptions) {
    super(message, options);
    this.name = "SteplogError";
    this.code = code;
    this.issues = issues;
  }
}

/** Stops on a state that cannot be, however bad the input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`);
}

/** `error` as a SteplogError: itself if it is one, else INTERNAL with the original as its cause. */
export function asSteplogError(error: unknown): SteplogError {
  if (error instanceof SteplogError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new SteplogError("INTERNAL", message, [], { cause: error });
}
