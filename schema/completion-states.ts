/** The states of a completion and of an evaluation. By themselves: the page needs them, and nothing that checks requests. */

export const completionStatuses = ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"] as const;
export type CompletionStatus = (typeof completionStatuses)[number];
