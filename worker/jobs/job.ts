/** What the worker asks of a kind of job. It starts the engine, renews the lease and cleans up; the rest differs by kind. */
import type { KeptFolder } from "../../engine/train/kept-weights.ts";
import type { EngineMessage, EngineRequest } from "../../engine/thread/messages.ts";
import type { SteplogError } from "../../schema/errors.ts";
import type { BaseOf } from "../bases.ts";
import type { ClaimedJob, PathOf, Store } from "../../store/store.ts";

export interface JobContext {
  readonly store: Store;
  readonly job: ClaimedJob;
  /** Places of base models, until the job ends. */
  readonly baseOf: BaseOf;
  /** Paths of stored files, until the job ends. */
  readonly pathOf: PathOf;
  /** The compute device and why it was chosen, for the run's record. */
  readonly deviceNote: string;
  /** An empty folder for files of weights, deleted after the job. */
  readonly weightsDir: string;
  /** Where weights of runs that give way are kept; null, or left out, where none are. */
  readonly kept?: KeptFolder | null;
  /** Asks the engine to stop. */
  readonly stop: () => void;
  /** Aborted once that was asked. */
  readonly signal: AbortSignal;
}

/** The worker itself handles `failed`. */
export type JobMessage = Exclude<EngineMessage, { readonly type: "failed" }>;

/** A job that the engine is working on. */
export interface RunningJob {
  readonly request: EngineRequest;
  /** Records one message. With the last message the job ends: it is finished or released. */
  take(message: JobMessage): Promise<void>;
  /** Called at the end, whatever happened. */
  close(): void;
}

export interface JobHandler {
  /** Reads what the job is about. */
  start(context: JobContext): Promise<RunningJob>;
  /** Ends the job as failed, for a reason that the next worker would meet too. */
  fail(store: Store, job: ClaimedJob, error: SteplogError): Promise<void>;
}
