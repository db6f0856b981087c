/** The states of a fine-tune and of a checkpoint's weights, and the only moves between them. */

export const fineTuneStatuses = ["QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"] as const;
export type FineTuneStatus = (typeof fineTuneStatuses)[number];

/**
 * What each status may become; store/runs/lifecycle.ts tells the states in words and checks every move against this.
 * RUNNING follows RUNNING when a worker releases the run, another one continues it, or a cancel or pause is requested.
 */
export const fineTuneTransitions: Readonly<Record<FineTuneStatus, readonly FineTuneStatus[]>> = {
  QUEUED: ["RUNNING", "PAUSED", "CANCELLED"],
  RUNNING: ["RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"],
  PAUSED: ["QUEUED", "CANCELLED"],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

export function isFinal(status: FineTuneStatus): boolean {
  return fineTuneTransitions[status].length === 0;
}

export const finalStatuses = fineTuneStatuses.filter(isFinal);
export const unfinishedStatuses = fineTuneStatuses.filter((status) => !isFinal(status));

/** What is wanted of a run. Its worker reads this with every renewal and append, and acts within a batch. */
export type Wanted = "RUN" | "PAUSE" | "CANCEL";

/** A checkpoint's weights: not requested, queued for a worker to rebuild, stored, or failed (with the reason). */
export const weightsStatuses = ["NONE", "QUEUED", "STORED", "FAILED"] as const;
export type WeightsStatus = (typeof weightsStatuses)[number];

/**
 * What an evaluation measures: validation rows, test rows, validation rows with demonstrations in front of their prompts, or
 * validation rows classified by a linear probe on hidden states.
 */
export const evaluationKinds = ["VALIDATION", "TEST", "IN_CONTEXT", "LINEAR_PROBE"] as const;
export type EvaluationKind = (typeof evaluationKinds)[number];

/** Of a model that is downloaded from the hub. */
export const downloadStatuses = ["WAITING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"] as const;
export type DownloadStatus = (typeof downloadStatuses)[number];

/** What a run did when its memory was read: forward passes alone, for its first evaluation, or steps. */
export const memoryKinds = ["FORWARD_PASSES", "STEPS"] as const;
export type MemoryKind = (typeof memoryKinds)[number];
