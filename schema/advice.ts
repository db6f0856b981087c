/** What to try after a run has failed, by the code of its error: for the page and the command line. The message says what was seen. */
import type { ErrorCode } from "./errors.ts";

export interface Advice {
  /** Without the end of a sentence: a command may follow. */
  readonly words: string;
  /** What does it, or shows more. A fork starts from a checkpoint; a copy is a new run of the same settings. */
  readonly next: "FORK" | "FORK_SLOWER" | "COPY" | "MODELS" | "WORKERS" | "NONE";
}

const table: Partial<Record<ErrorCode, Advice>> = {
  LOSS_NOT_FINITE: { words: "Try a smaller learning rate, from a checkpoint", next: "FORK_SLOWER" },
  DIVERGED: { words: "Try a smaller learning rate, or AUTO, from a checkpoint", next: "FORK_SLOWER" },
  OUT_OF_MEMORY: { words: "Try a smaller batchSize, shorter rows, or a worker with more memory", next: "COPY" },
  DEVICE_UNAVAILABLE: { words: "See which devices open on the worker's machine", next: "WORKERS" },
  UNAVAILABLE: { words: "Go on from its last checkpoint", next: "FORK" },
  MODEL_INVALID: { words: "Add the model anew", next: "MODELS" },
  INTERNAL: { words: "This is a fault of Steplog. The worker's log says where", next: "NONE" },
};

/** Null where the message says it all. */
export const adviceFor = (code: ErrorCode): Advice | null => table[code] ?? null;
