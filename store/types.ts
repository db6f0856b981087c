/**
 * What the store offers, grouped by noun. Readers get rows of schema/tables.ts as they are; a lookup of an unknown or
 * malformed id answers null, and a required thing that is missing throws NOT_FOUND. Every call may throw UNAVAILABLE
 * when Postgres or the storage folder does not answer.
 */
import type { Readable } from "node:stream";
import type { ErrorCode, InputIssue } from "../schema/errors.ts";
import type { Hyperparameters } from "../schema/hyperparameters.ts";
import type { EvaluationKind, FineTuneStatus } from "../schema/states.ts";
import type { PackedLog } from "../schema/step-log.ts";
import type {
  BaseModel,
  Checkpoint,
  Dataset,
  Evaluation,
  Event,
  FineTune,
  FoundModel,
  StepMetric,
  WeightsFile,
} from "../schema/tables.ts";
import type { Log } from "../schema/log.ts";

export interface StoreOptions {
  /** postgres://user:password@host:port/database */
  readonly databaseUrl: string;
  /** Folder of the blobs; made when it is missing. */
  readonly storageDir: string;
  readonly log?: Log;
}

/**
 * One page of a list, newest first. A cursor is the id of a row: `after` gives the rows older than it, `before` the
 * newer ones. `inverted` turns the order of the answer (oldest first), so that `limit` takes from the other end.
 * These are the arguments that Pothos' resolveCursorConnection hands on; its toCursor is `(row) => row.id`.
 */
export interface Page {
  readonly after?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
  readonly inverted?: boolean | undefined;
}

export interface Store {
  /** Brings the tables up to date, under an advisory lock, so that several processes may start at once. */
  migrate(): Promise<void>;
  close(): Promise<void>;
  /** Throws UNAVAILABLE when Postgres does not answer. */
  ping(): Promise<void>;
  readonly blobs: Blobs;
  readonly baseModels: BaseModels;
  readonly foundModels: FoundModels;
  readonly datasets: Datasets;
  readonly fineTunes: FineTunes;
  readonly checkpoints: Checkpoints;
  readonly feed: Feed;
  /** The oldest job that nobody holds, under a new lease; null when there is none. */
  claimJob(options: { worker: string; leaseMs: number }): Promise<ClaimedJob | null>;
  /** Throws LEASE_LOST, as every worker call below does once the job has been claimed by another or is gone. */
  renewLease(job: Lease, leaseMs: number): Promise<{ cancelRequested: boolean }>;
  /** Sets the header once. A header that is there must be the same bytes, else INVALID_STATE. */
  beginLog(job: Lease, begin: LogBegin): Promise<void>;
  /** All or nothing, and only at the end of the log: LEASE_LOST when the log does not end at `firstEntry`. */
  appendSteps(job: Lease, batch: StepBatch): Promise<{ cancelRequested: boolean }>;
  /** Once per place in the log; a repeat is ignored. */
  recordEvaluation(job: Lease, evaluation: NewEvaluation): Promise<void>;
  /** Once per place in the log; a repeat answers with the first. Another digest for the same place is INTERNAL. */
  recordCheckpoint(job: Lease, checkpoint: NewCheckpoint): Promise<Checkpoint>;
  recordEvent(job: Lease, event: { type: string; message: string }): Promise<void>;
  finishFineTune(job: Lease, outcome: FineTuneOutcome): Promise<void>;
  finishMaterialise(job: Lease, outcome: MaterialiseOutcome): Promise<void>;
  /** Gives the lease back at once, so that another worker starts without waiting. The lease is lost thereby. */
  releaseJob(job: Lease): Promise<void>;
  /** Returns on news of work since the last claimJob, after the time-out, or on the signal; never throws for these. */
  waitForJob(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<void>;
}

export interface Blobs {
  /** Stores the bytes under their SHA-256, durably before it returns; an interrupted source leaves nothing. */
  put(source: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<{ sha256: string; bytes: number }>;
  /** NOT_FOUND when no blob has this hash. */
  open(sha256: string): Promise<Readable>;
  path(sha256: string): string;
  remove(sha256: string): Promise<void>;
}

export interface NewBaseModel {
  readonly name: string;
  readonly hash: string;
  readonly family: string;
  readonly dtype: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly contextLength: number;
}

export interface BaseModels {
  /**
   * Insert or update by name; a found model of that name is one no more. Another hash for a name that a fine-tune refers
   * to is a CONFLICT.
   */
  register(model: NewBaseModel): Promise<BaseModel>;
  /** Forgets a base model or found model; an unknown name is left at that. CONFLICT, with their names, while fine-tunes need it. */
  unregister(name: string): Promise<void>;
  get(id: string): Promise<BaseModel | null>;
  getByName(name: string): Promise<BaseModel | null>;
  list(page: Page): Promise<BaseModel[]>;
  /** In the order of the ids, null where there is none: what a DataLoader needs. */
  byIds(ids: readonly string[]): Promise<(BaseModel | null)[]>;
}

/** What a worker sees of a folder without reading it whole. */
export type SeenModel =
  | Omit<NewBaseModel, "hash">
  /** It cannot be used: code and message. */
  | { readonly name: string; readonly problem: string };

/** Folders of the models folder that are no base models yet. Workers report and register them; clients only name them. */
export interface FoundModels {
  /** Those of the names that no base model has. */
  unregistered(names: readonly string[]): Promise<string[]>;
  /** Makes these the found models: others go, and what was asked for them stays. */
  report(models: readonly SeenModel[]): Promise<void>;
  /** In order of name. */
  list(limit: number): Promise<FoundModel[]>;
  get(name: string): Promise<FoundModel | null>;
  /** Has a worker register it; null when no worker found it. Asking again while it is under way changes nothing. */
  requestRegistration(name: string): Promise<FoundModel | null>;
  /** The name that was asked for first and that no living worker registers; null when there is none. */
  claimRegistration(claim: { worker: string; leaseMs: number }): Promise<string | null>;
  /** False when the claim is another's, or the folder is gone. */
  renewRegistration(name: string, claim: { worker: string; leaseMs: number }): Promise<boolean>;
  failRegistration(name: string, worker: string, problem: string): Promise<void>;
  /** Gives the claim back, so that another worker registers it at once. */
  releaseRegistration(name: string, worker: string): Promise<void>;
}

export interface NewDataset {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly rows: number;
}

export interface Datasets {
  create(dataset: NewDataset): Promise<Dataset>;
  get(id: string): Promise<Dataset | null>;
  list(page: Page): Promise<Dataset[]>;
  byIds(ids: readonly string[]): Promise<(Dataset | null)[]>;
}

export interface NewFineTune {
  readonly idempotencyKey: string | null;
  readonly name: string;
  readonly baseModelId: string;
  readonly datasetId: string;
  readonly validationDatasetId: string | null;
  readonly testDatasetId: string | null;
  readonly labelWords: readonly string[];
  /** None when left out. */
  readonly calibrationPrompt?: string | null;
  readonly hyperparameters: Hyperparameters;
  /** False when left out. */
  readonly keepWeights?: boolean;
  /** Where it goes on from, instead of the base model; null when left out. */
  readonly from?: Beginning | null;
}

export interface Beginning {
  readonly checkpointId: string;
  /** Steps behind which it goes on with the rows, in their order; 0 begins with the first. */
  readonly firstStep: number;
}

/** The first `entries` entries of a log; `chain` is the hash over exactly these. */
export interface StoredLog extends PackedLog {
  readonly entries: number;
}

/** Steps of a chart, merged: losses are null where no step of the bucket had a finite one. */
export interface ChartPoint {
  /** Last step of the bucket. */
  readonly step: number;
  readonly loss: number | null;
  readonly lossMin: number | null;
  readonly lossMax: number | null;
  readonly count: number;
}

export interface FineTunes {
  /** Row, job, event and notification in one transaction. The same key with another input is a CONFLICT. */
  create(input: NewFineTune): Promise<{ fineTune: FineTune; created: boolean }>;
  get(id: string): Promise<FineTune | null>;
  list(page: Page & { readonly status?: FineTuneStatus | undefined }): Promise<FineTune[]>;
  byIds(ids: readonly string[]): Promise<(FineTune | null)[]>;
  /** QUEUED ends at once; RUNNING is asked to; CANCELLED is left as it is; another final state is INVALID_STATE. */
  cancel(id: string): Promise<FineTune>;
  /** Null when the run is unknown or has no log yet. */
  log(id: string): Promise<StoredLog | null>;
  /** INVALID_ARGUMENT when the log is shorter than `entries`. */
  logPrefix(id: string, entries: number): Promise<StoredLog | null>;
  metrics(id: string, range: { afterStep: number; limit: number }): Promise<StepMetric[]>;
  chart(id: string, options: { points: number }): Promise<ChartPoint[]>;
  evaluations(id: string): Promise<Evaluation[]>;
  events(id: string, range: { after: number; limit: number }): Promise<Event[]>;
}

export interface Checkpoints {
  get(id: string): Promise<Checkpoint | null>;
  byIds(ids: readonly string[]): Promise<(Checkpoint | null)[]>;
  /** The latest place in the log first. */
  list(fineTuneId: string, page: Page): Promise<Checkpoint[]>;
  /** NONE or FAILED becomes QUEUED with a job; QUEUED and STORED are left as they are. */
  requestWeights(id: string): Promise<Checkpoint>;
}

/** The right to write about one job, proved by its fencing token. */
export interface Lease {
  readonly id: number;
  readonly token: number;
}

export interface ClaimedJob extends Lease {
  readonly kind: "FINE_TUNE" | "MATERIALISE";
  /** Claims so far, this one included. */
  readonly attempts: number;
  readonly fineTune: FineTune;
  readonly checkpoint: Checkpoint | null;
  readonly baseModel: BaseModel;
  readonly dataset: Dataset;
  readonly validationDataset: Dataset | null;
  readonly testDataset: Dataset | null;
}

export interface LogBegin {
  readonly headerBytes: Uint8Array;
  readonly chain: Uint8Array;
  readonly device: string;
  /** The learning rate that AUTO picked; null where it was given. */
  readonly pickedRate?: number | null;
}

export interface NewStepMetric {
  readonly step: number;
  readonly loss: number | null;
  readonly projectedGradient: number | null;
  readonly learningRate: number;
  readonly skipped: string | null;
  /** Whether nothing was applied because both sides of every estimate had one loss. */
  readonly zero: boolean;
  readonly seconds: number;
}

export interface StepBatch {
  /** Entries in the log before this batch. */
  readonly firstEntry: number;
  /** Two bytes an entry. */
  readonly scalars: Uint8Array;
  /** Four bytes an entry, or null in a run without weight decay. */
  readonly decays: Uint8Array | null;
  /** Chain hash after the last entry of the batch. */
  readonly chainAfter: Uint8Array;
  /** Of whole steps, one or more entries each, in order and without a gap. */
  readonly metrics: readonly NewStepMetric[];
}

export interface NewEvaluation {
  readonly f1?: number | null;
  readonly exactMatch?: number | null;
  /** VALIDATION when left out. */
  readonly kind?: EvaluationKind;
  readonly entries: number;
  readonly step: number;
  readonly rows: number;
  readonly loss: number;
  readonly accuracy: number | null;
}

export interface NewCheckpoint {
  readonly entries: number;
  readonly step: number;
  readonly chain: Uint8Array;
  readonly weightsDigest: string;
  /** Files of the weights, when they were kept. */
  readonly weightsFiles?: readonly WeightsFile[];
}

export type FineTuneOutcome =
  | { readonly status: "SUCCEEDED" | "CANCELLED" }
  | {
      readonly status: "FAILED";
      readonly code: ErrorCode;
      readonly message: string;
      readonly issues: readonly InputIssue[];
    };

export type MaterialiseOutcome = { readonly weightsFiles: readonly WeightsFile[] } | { readonly error: string };

/** return() ends it at once, also while a next() waits. */
export interface Rows<Row> extends AsyncIterableIterator<Row, void> {
  return(): Promise<IteratorResult<Row, void>>;
}

/**
 * Rows as they come. A subscriber sees each once and in order, whatever happens to its connection: it says after which
 * index it stands and the rest is read from the tables. Unknown ids throw NOT_FOUND at the first pull. Leaving the
 * loop, return() or the signal ends a feed.
 */
export interface Feed {
  /** Ends when the run is final and all its steps were given. */
  steps(fineTuneId: string, options: { afterStep: number; signal?: AbortSignal | undefined }): Rows<StepMetric>;
  /** The present row, then a row after each change of status or progress (merged); ends after a final status. */
  status(fineTuneId: string, options?: { signal?: AbortSignal | undefined }): Rows<FineTune>;
  /** Ends when the run is final and all its events were given. */
  events(fineTuneId: string, options: { after: number; signal?: AbortSignal | undefined }): Rows<Event>;
}
