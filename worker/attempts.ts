/**
 * Whose fault an error is, by its code. An error of the run, such as a dataset that does not fit, would meet every worker: it
 * ends the job. An error of the worker, such as a full disk, a changed model or a device that does not open, may not meet
 * another one, or not meet this one later: the attempt is repeated (store/queue/jobs.ts says when).
 */
import type { ErrorCode } from "../schema/errors.ts";
import { maxAttempts } from "../schema/limits.ts";

/** Attempts of a job, without progress between them, before an error with this code ends it. */
export const attemptsFor: Readonly<Record<ErrorCode, number>> = {
  // Of the run.
  INVALID_ARGUMENT: 1,
  UNAUTHENTICATED: 1,
  FORBIDDEN: 1,
  CONFLICT: 1,
  DATASET_INVALID: 1,
  LOG_INVALID: 1,
  LOSS_NOT_FINITE: 1,
  DIVERGED: 1,
  PAYLOAD_TOO_LARGE: 1,
  BUSY: 1,
  QUOTA_EXCEEDED: 1,
  RATE_LIMITED: 1,
  // Of the worker: it may pass, or people may mend it.
  UNAVAILABLE: maxAttempts,
  DEVICE_UNAVAILABLE: maxAttempts,
  NOT_FOUND: maxAttempts,
  BASE_MISMATCH: maxAttempts,
  LEASE_LOST: maxAttempts,
  // Of either: a few workers, or machines with more memory, get a chance.
  MODEL_INVALID: 8,
  MODEL_UNSUPPORTED: 8,
  OUT_OF_MEMORY: 5,
  DATA_CORRUPT: 5,
  INVALID_STATE: 3,
  INTERNAL: 3,
};

const modelCodes = new Set<ErrorCode>(["NOT_FOUND", "BASE_MISMATCH", "MODEL_INVALID", "MODEL_UNSUPPORTED"]);

/** Whether the worker's copy of the model may have changed since it was read, so that it should be read again. */
export function doubtsModel(code: ErrorCode): boolean {
  return modelCodes.has(code);
}
