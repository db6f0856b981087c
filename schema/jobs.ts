/**
 * Jobs and workers in the words that both sides share. A worker says what it can do with every claim; a job says what it
 * needs. A worker may claim a job of a kind that it serves when it has everything that the job needs.
 */
import type { PrecisionKind } from "./hyperparameters.ts";

/**
 * FINE_TUNE trains a run (its subject); MATERIALISE rebuilds the weights of a checkpoint (its subject); EXPORT
 * rebuilds them in another form (its subject is the checkpoint and the form); MEASURE measures how
 * fast one worker would train a run that does not exist (its subject is what is measured, and where); EVALUATE evaluates a base
 * or a checkpoint (its subject is the evaluation); COMPLETE answers a completion (its subject).
 */
export const jobKinds = ["FINE_TUNE", "MATERIALISE", "EXPORT", "MEASURE", "EVALUATE", "COMPLETE"] as const;
export type JobKind = (typeof jobKinds)[number];

/** Jobs that a worker does one at a time. Completions are many at once, and claimed by themselves. */
export const soleJobKinds = [
  "FINE_TUNE",
  "MATERIALISE",
  "EXPORT",
  "MEASURE",
  "EVALUATE",
] as const satisfies readonly JobKind[];
export type SoleJobKind = (typeof soleJobKinds)[number];

/** A model by the name of its folder and its base hash (docs/STEP_LOG.md). */
export interface NamedModel {
  readonly name: string;
  readonly hash: string;
}

/** Of each list a worker needs every item. An older worker lacks what a newer list names, and so leaves the job alone. */
export interface Needs {
  readonly models?: readonly NamedModel[];
  readonly families?: readonly string[];
  readonly precisions?: readonly PrecisionKind[];
  /** A lower bound: with less memory the job cannot run. */
  readonly memoryBytes?: number;
  /** Names of the worker that the job is for, one at most. */
  readonly workers?: readonly string[];
}

/** What a worker can do. Its name comes with the claim. */
export interface Capabilities extends Required<Omit<Needs, "workers">> {
  readonly kinds: readonly JobKind[];
}
