/**
 * What a run will do and take, known before it starts, in the words of gateway and worker. What is counted follows from
 * the rows and the settings (engine/estimate/count.ts); seconds are measured by each worker (engine/estimate/measure.ts).
 */
import type { Hyperparameters } from "./hyperparameters.ts";
import type { EvaluationKind } from "./states.ts";

/** Everything that what a run does depends on, as values and paths. */
export interface PlannedRun {
  /** Folder of the base model. */
  readonly modelPath: string;
  readonly datasetPath: string;
  readonly validationPath: string | null;
  readonly testPath: string | null;
  readonly labelWords: readonly string[];
  readonly calibrationPrompt: string | null;
  readonly hyperparameters: Hyperparameters;
}

/** Forward passes of one side of the weights, and the tokens that they read, packed without padding. */
export interface Passes {
  readonly passes: number;
  readonly tokens: number;
}

/** The rows of a dataset, as the model reads them for the loss of their completions. */
export interface RowTokens {
  readonly rows: number;
  readonly tokens: number;
  readonly scored: number;
  readonly longest: number;
}

export interface PlannedEvaluation extends Passes {
  readonly kind: EvaluationKind;
  /** How often these rows are measured; passes and tokens are those of all times. */
  readonly times: number;
}

/** What a run does if it neither ends early nor fails. */
export interface RunCounts {
  readonly training: RowTokens;
  readonly validation: RowTokens | null;
  readonly test: RowTokens | null;
  /** Those of all steps. */
  readonly steps: Passes;
  /** Those from which AUTO chooses the learning rate. */
  readonly probes: Passes;
  readonly evaluations: readonly PlannedEvaluation[];
  /** Entries of the log that the run adds, and their bytes. */
  readonly logEntries: number;
  readonly logBytes: number;
  /** Without those of a new best evaluation. */
  readonly checkpoints: number;
  /** Of the weights of one checkpoint, as they would be stored. */
  readonly weightsBytes: number;
  /** Whether the passes and tokens are exact; otherwise see `why`. */
  readonly exact: boolean;
  /** Why they are not, for people; null if they are. */
  readonly why: string | null;
}
