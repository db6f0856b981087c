/** How a run measures itself: what is asked of its models afterwards is measured in the same way, and so can be compared. */
import type { Run } from "./run-state.ts";

export function measuringOf({ labelWords, calibrationPrompt, hyperparameters }: Run) {
  const { answerTokens, truncate, precision } = hyperparameters;
  return {
    labelWords,
    answerTokens,
    truncate,
    precision,
    ...(calibrationPrompt !== null && { calibrationPrompt }),
  };
}
