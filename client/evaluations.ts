/** Evaluations of models that somebody asks for. */
import type { ModelEvaluationFragment } from "./operations.ts";
import type { WaitOptions } from "./pause.ts";

/** A measurement of a base model or a checkpoint on a dataset; its numbers are null until it has succeeded. */
export type ModelEvaluation = ModelEvaluationFragment;

export interface EvaluationWaitOptions extends WaitOptions {
  /** Called about once a second with an evaluation that has not ended; its `waitingReason` says what it waits for. */
  readonly onWait?: (evaluation: ModelEvaluation) => void;
}

export function hasEnded({ status }: ModelEvaluation): boolean {
  return status !== "QUEUED" && status !== "RUNNING";
}
