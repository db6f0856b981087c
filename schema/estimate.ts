/**
 * What a run will do and take, known before it starts, in the words of gateway and worker. What is counted follows from
 * the rows and the settings (engine/estimate/count.ts); seconds are measured by each worker (engine/estimate/measure.ts).
 */
import { z } from "zod";
import { hyperparametersSchema } from "./hyperparameters.ts";
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

/** How fast a worker trains, in seconds. Tokens are those of RunCounts. */
export interface RunSpeeds {
  /** From the claim to the first pass: rows, model and what the first pass takes longer than later ones. */
  readonly start: number;
  /** A token of a step, its update included. */
  readonly stepToken: number;
  /** A token of each kind of evaluation that the run has. */
  readonly evaluationToken: Readonly<Partial<Record<EvaluationKind, number>>>;
  readonly checkpoint: number;
}

/** Settings that change how much a run does, and not how long a step of it takes. */
export const paceless: ReadonlySet<string> = new Set<keyof Hyperparameters>([
  "steps",
  "learningRate",
  "schedule",
  "warmupSteps",
  "clipGradient",
  "epsilon",
  "seed",
  "evaluateEvery",
  "checkpointEvery",
  "patience",
  "bestMetric",
  "whenDiverged",
  "maxSeconds",
]);

/** What a job of kind MEASURE is about. It has texts of the user, and is deleted with the job. */
export const measurementSchema = z.object({
  key: z.string(),
  baseModelId: z.string(),
  /** SHA-256 of the datasets' rows. */
  training: z.string(),
  validation: z.string().nullable(),
  test: z.string().nullable(),
  labelWords: z.array(z.string()),
  calibrationPrompt: z.string().nullable(),
  hyperparameters: hyperparametersSchema,
});

export type Measurement = z.output<typeof measurementSchema>;

/** Where a speed was measured: workers that are started again on a machine, with the same device, are as fast. */
export function placeOf({ name, device }: { readonly name: string; readonly device: string }): string {
  return `${name.replace(/-\d+$/u, "")} ${device}`;
}

/** The seconds of a run at these speeds. */
export interface RunSeconds {
  readonly start: number;
  readonly steps: number;
  readonly evaluations: number;
  readonly total: number;
}

export function secondsOf(counts: RunCounts, speeds: RunSpeeds): RunSeconds {
  const steps = (counts.steps.tokens + counts.probes.tokens) * speeds.stepToken;
  const evaluations = counts.evaluations.reduce(
    (sum, { kind, tokens }) => sum + tokens * (speeds.evaluationToken[kind] ?? 0),
    0,
  );
  const checkpoints = (counts.checkpoints + betweenSteps(counts)) * speeds.checkpoint;
  const { start } = speeds;
  return { start, steps, evaluations, total: start + steps + evaluations + checkpoints };
}

/** Evaluations of the validation rows between the first step and the last: each has a checkpoint if it is the best so far. */
function betweenSteps({ evaluations }: RunCounts): number {
  const times = evaluations.find(({ kind }) => kind === "VALIDATION")?.times ?? 0;
  return Math.max(0, times - 2);
}
