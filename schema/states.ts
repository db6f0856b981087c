/** The states of a fine-tune and of a materialisation, and the only moves between them. */

export const fineTuneStatuses = ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"] as const;
export type FineTuneStatus = (typeof fineTuneStatuses)[number];

/**
 * QUEUED waits for a worker. RUNNING has been claimed at least once; a lapsed lease leaves it RUNNING, and the next
 * worker goes on from the log. The other three are final. A cancel of a QUEUED run is immediate; of a RUNNING one it
 * is a request that the worker honours at its next step, so that the log ends where the weights do.
 */
export const fineTuneTransitions: Readonly<Record<FineTuneStatus, readonly FineTuneStatus[]>> = {
  QUEUED: ["RUNNING", "CANCELLED"],
  RUNNING: ["SUCCEEDED", "FAILED", "CANCELLED"],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

export function isFinal(status: FineTuneStatus): boolean {
  return fineTuneTransitions[status].length === 0;
}

/** A checkpoint's weights: not asked for, being rebuilt by a worker, stored, or impossible (with the reason kept). */
export const weightsStatuses = ["NONE", "QUEUED", "STORED", "FAILED"] as const;
export type WeightsStatus = (typeof weightsStatuses)[number];

/**
 * What an evaluation measures: validation rows, test rows, validation rows with demonstrations before their prompts, or by a
 * linear classifier on hidden states.
 */
export const evaluationKinds = ["VALIDATION", "TEST", "IN_CONTEXT", "LINEAR_PROBE"] as const;
export type EvaluationKind = (typeof evaluationKinds)[number];
