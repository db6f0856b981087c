/** What both entries of steplog/client export beside SteplogClient. */
export { SteplogError, errorCodes } from "../schema/errors.ts";
export type { ErrorCode, InputIssue } from "../schema/errors.ts";
export type { Evaluation, FineTune, FineTuneEstimate, SteplogClientOptions } from "./client.ts";
export type {
  Alias,
  Classification,
  Completion,
  CompletionPiece,
  PiecesOptions,
  ScoredText,
  WrittenPiece,
} from "./completions.ts";
export type { DatasetInput, DatasetRow } from "./dataset-body.ts";
export type { EvaluationWaitOptions, ModelEvaluation } from "./evaluations.ts";
export type { Checkpoint, CheckpointExport, Download, ExportForm, StoredDataset, WeightsFile } from "./files.ts";
export type { FineTuneUpdate, FollowCursor, FollowOptions } from "./follow.ts";
export type { Operation } from "./operation.ts";
export type { RebuildWaitOptions, WaitOptions } from "./pause.ts";
export type { RateLimitOptions } from "./rate-limits.ts";
export type * from "./schema-types.ts";
