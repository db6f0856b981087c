/**
 * The tables of the service. Rows are the truth: a notification carries an id at most, and every reader reads again.
 * migrations/ holds the SQL that leads to these tables, one file per change; files that have landed are never edited.
 */
import { sql } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import {
  bigint,
  bigserial,
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import type { AdapterShapes } from "./adapter-size.ts";
import { bytea, createdAt, expiring, hashOf, instant } from "./columns.ts";
import type { InputIssue } from "./errors.ts";
import type { RunSpeeds } from "./estimate.ts";
import { ofProject } from "./project-tables.ts";
import type { Hyperparameters, PrecisionKind } from "./hyperparameters.ts";
import type { JobKind, NamedModel, Needs } from "./jobs.ts";
import type { RowFindings } from "./row-findings.ts";
import { sweeps } from "./sweep-tables.ts";
import type { EvaluationKind, FineTuneStatus, Wanted, WeightsStatus } from "./states.ts";

/** Models in Hugging Face layout that workers have registered; `name` is the name of the folder. */
export const baseModels = pgTable("base_models", {
  id: uuid("id").primaryKey().defaultRandom(),
  name: text("name").notNull().unique(),
  /** Base hash of docs/STEP_LOG.md, 64 hex digits. */
  hash: text("hash").notNull(),
  family: text("family").notNull(),
  dtype: text("dtype").notNull(),
  parameters: bigint("parameters", { mode: "number" }).notNull(),
  bytes: bigint("bytes", { mode: "number" }).notNull(),
  /** Longest sequence in tokens. */
  contextLength: integer("context_length").notNull(),
  createdAt: createdAt(),
});

/**
 * Names of a base model's parts, which settings select by pattern. A model that an earlier release registered has none; and
 * since that release may also replace a model's weights without them, they hold for one hash only.
 */
export const baseModelNames = pgTable("base_model_names", {
  baseModelId: uuid("base_model_id")
    .primaryKey()
    .references(() => baseModels.id, { onDelete: "cascade" }),
  hash: text("hash").notNull(),
  /** As in PartNames of schema/name-patterns.ts. */
  tensors: jsonb("tensors").$type<readonly string[]>().notNull(),
  layers: jsonb("layers").$type<readonly string[]>().notNull(),
  /** With a hash of its own: an earlier release replaces the names and leaves this. Null if it wrote the row. */
  adapters: jsonb("adapters").$type<AdapterShapes & { readonly hash: string }>(),
});

/** Stored files of a base model, which machines that lack it copy. They hold for one hash only, as its names do. */
export const baseModelFiles = pgTable("base_model_files", {
  baseModelId: uuid("base_model_id")
    .primaryKey()
    .references(() => baseModels.id, { onDelete: "cascade" }),
  hash: text("hash").notNull(),
  files: jsonb("files").$type<readonly WeightsFile[]>().notNull(),
});

/**
 * Folders of models folders that are not base models yet, as a worker last saw them. A row is deleted when its folder
 * becomes a base model, or no worker sees it any more.
 */
export const foundModels = pgTable("found_models", {
  name: text("name").primaryKey(),
  /** As in base_models; null when the folder cannot be used. */
  family: text("family"),
  dtype: text("dtype"),
  parameters: bigint("parameters", { mode: "number" }),
  bytes: bigint("bytes", { mode: "number" }),
  contextLength: integer("context_length"),
  /** Why it cannot be used: code and message. */
  problem: text("problem"),
  /** Why the last request to register it failed. */
  failure: text("failure"),
  /** When its registration was requested; null when nobody waits for it. */
  requestedAt: instant("requested_at"),
  /** The worker that is registering it, and when that claim lapses. */
  claimedBy: text("claimed_by"),
  claimExpiresAt: instant("claim_expires_at"),
  /** The worker that saw it last, and when; other workers may have other folders. */
  seenBy: text("seen_by"),
  lastSeenAt: instant("last_seen_at").notNull().defaultNow(),
});

/** Checked rows of prompt and completion. The bytes are in the blob store, under their SHA-256. */
export const datasets = pgTable(
  "datasets",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: ofProject(),
    /** As `storedKey` has it: a second create with the same key, name and rows returns the first dataset. */
    idempotencyKey: text("idempotency_key").unique(),
    name: text("name").notNull(),
    sha256: text("sha256").notNull(),
    bytes: bigint("bytes", { mode: "number" }).notNull(),
    rows: integer("rows").notNull(),
    createdAt: createdAt(),
    /** Since when its rows are gone, and the row stays for what names it (store/ends/datasets.ts). */
    deletedAt: instant("deleted_at"),
    ...expiring(),
  },
  (t) => [
    index("datasets_expires")
      .on(t.expiresAt)
      .where(sql`${t.expiresAt} is not null`),
    index("datasets_created").on(t.createdAt, t.id),
    index("datasets_project_created").on(t.projectId, t.createdAt, t.id),
  ],
);

/** Checks of a dataset's rows against a model, so that no gateway repeats one that takes minutes. */
export const rowChecks = pgTable("row_checks", {
  /** SHA-256 of everything that the result depends on, 64 hex digits. */
  key: text("key").primaryKey(),
  /** What is wrong with the rows; null when all of them fit. */
  problem: jsonb("problem").$type<RowsProblem>(),
  /** What else there is to say of rows that fit; null for others. */
  findings: jsonb("findings").$type<RowFindings>(),
  checkedAt: instant("checked_at").notNull().defaultNow(),
});

/** How fast workers would train, so that nobody measures it twice. */
export const runSpeeds = pgTable(
  "run_speeds",
  {
    /** SHA-256 of everything that the speed depends on but for the worker, 64 hex digits. */
    key: text("key").notNull(),
    /** The machine and the device (placeOf of schema/estimate.ts). */
    place: text("place").notNull(),
    speeds: jsonb("speeds").$type<RunSpeeds>().notNull(),
    measuredAt: instant("measured_at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.key, t.place] })],
);

export interface RowsProblem {
  readonly message: string;
  readonly issues: readonly InputIssue[];
}

export const fineTunes = pgTable(
  "fine_tunes",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: ofProject(),
    /** As `storedKey` has it: a second create with the same key and input returns the first run. */
    idempotencyKey: text("idempotency_key").unique(),
    /** SHA-256 of the canonical input: distinguishes a repeated request from another one with the same key. */
    inputHash: text("input_hash").notNull(),
    name: text("name").notNull(),
    baseModelId: uuid("base_model_id")
      .notNull()
      .references(() => baseModels.id),
    datasetId: uuid("dataset_id")
      .notNull()
      .references(() => datasets.id),
    validationDatasetId: uuid("validation_dataset_id").references(() => datasets.id),
    testDatasetId: uuid("test_dataset_id").references(() => datasets.id),
    /** Candidate completions for accuracy; empty when only the loss is measured. */
    labelWords: jsonb("label_words").$type<readonly string[]>().notNull(),
    /** A content-free prompt that calibrates the candidates' scores; null for no calibration. */
    calibrationPrompt: text("calibration_prompt"),
    hyperparameters: jsonb("hyperparameters").$type<Hyperparameters>().notNull(),
    /** Settings that the release before does not know (settingsOf of schema/hyperparameters.ts has both); null when none changed. */
    lateSettings: jsonb("late_settings").$type<Readonly<Record<string, unknown>>>(),
    /** Whether the weights of the last checkpoint are stored as trained, in addition to the log that rebuilds them. */
    keepWeights: boolean("keep_weights").notNull().default(false),
    status: text("status").$type<FineTuneStatus>().notNull().default("QUEUED"),
    wanted: text("wanted").$type<Wanted>().notNull().default("RUN"),
    /** What the release before this one reads and writes; a trigger keeps it equal to wanted = CANCEL. To be dropped. */
    cancelRequested: boolean("cancel_requested").notNull().default(false),
    /** What people write on it: store/runs/labels.ts. */
    tags: text("tags").array().$type<readonly string[]>().notNull().default([]),
    metadata: jsonb("metadata").$type<Readonly<Record<string, string>>>().notNull().default({}),
    /** Of its jobs: higher first. */
    priority: integer("priority").notNull().default(0),
    archivedAt: instant("archived_at"),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    errorIssues: jsonb("error_issues").$type<readonly InputIssue[]>(),
    /** The checkpoint of another run that this one continues from: its log up to there is the start of this run's log. */
    fromCheckpointId: uuid("from_checkpoint_id").references((): AnyPgColumn => checkpoints.id),
    /** The run that diverged, and to whose best checkpoint this one went back; one run at most goes back from another. */
    wentBackFrom: uuid("went_back_from")
      .unique()
      .references((): AnyPgColumn => fineTunes.id),
    /** The sweep that it was created in, which may be deleted before it, and its place there, from 1. */
    sweepId: uuid("sweep_id").references(() => sweeps.id, { onDelete: "set null" }),
    sweepPlace: integer("sweep_place"),
    /** The first entry of this run's own; and how many steps of batches it skips, because earlier runs trained on them. */
    firstEntry: integer("first_entry").notNull().default(0),
    firstStep: integer("first_step").notNull().default(0),
    /** Canonical JSON header of the log: from the first worker or from the run that it continues; null until then. */
    logHeader: bytea("log_header"),
    /** Acknowledged entries of the whole log, and the chain hash over them (32 bytes). */
    entries: integer("entries").notNull().default(0),
    chain: bytea("chain"),
    /** Acknowledged steps of this run; a step has one entry per estimate. */
    stepsDone: integer("steps_done").notNull().default(0),
    /** Steps whose loss was not finite, and steps that measured no difference. Neither changed the weights. */
    skippedSteps: integer("skipped_steps").notNull().default(0),
    zeroSteps: integer("zero_steps").notNull().default(0),
    /** The learning rate that AUTO picked; null otherwise. */
    pickedRate: doublePrecision("picked_rate"),
    /** Of its best evaluation of validation rows: what bestMetric compares first, and the loss. Null without one that is finite. */
    bestScore: doublePrecision("best_score"),
    bestLoss: doublePrecision("best_loss"),
    /** The compute device of the last worker, and why it was chosen. */
    device: text("device"),
    createdAt: createdAt(),
    startedAt: instant("started_at"),
    finishedAt: instant("finished_at"),
    ...expiring(),
  },
  (t) => [
    index("fine_tunes_expires")
      .on(t.expiresAt)
      .where(sql`${t.expiresAt} is not null`),
    check("fine_tunes_first_entry", sql`${t.firstEntry} >= 0 and ${t.firstEntry} <= ${t.entries}`),
    index("fine_tunes_created").on(t.createdAt, t.id),
    index("fine_tunes_status_created").on(t.status, t.createdAt, t.id),
    index("fine_tunes_project_created").on(t.projectId, t.createdAt, t.id),
    index("fine_tunes_from_checkpoint").on(t.fromCheckpointId),
    index("fine_tunes_dataset").on(t.datasetId),
    index("fine_tunes_validation_dataset").on(t.validationDatasetId),
    index("fine_tunes_test_dataset").on(t.testDatasetId),
    index("fine_tunes_project_finished").on(t.projectId, t.finishedAt, t.id),
    index("fine_tunes_project_name").on(t.projectId, t.name, t.id),
    index("fine_tunes_project_best_score")
      .on(t.projectId, t.bestScore, t.id)
      .where(sql`${t.bestScore} is not null`),
    index("fine_tunes_project_best_loss")
      .on(t.projectId, t.bestLoss, t.id)
      .where(sql`${t.bestLoss} is not null`),
    // Whether runs need a base model is asked before that is replaced or deleted.
    index("fine_tunes_base_model").on(t.baseModelId),
    index("fine_tunes_sweep")
      .on(t.sweepId, t.sweepPlace)
      .where(sql`${t.sweepId} is not null`),
    index("fine_tunes_tags").using("gin", t.tags),
    index("fine_tunes_metadata").using("gin", t.metadata.op("jsonb_path_ops")),
    check("fine_tunes_entries", sql`${t.entries} >= 0`),
  ],
);

/** A stored file of the weights of a checkpoint, or of a base model. */
export interface WeightsFile {
  readonly name: string;
  /** Names its blob. */
  readonly sha256: string;
  readonly bytes: number;
}

/** A checkpoint is a position in a log: (run, number of entries, chain hash, weights digest). */
export const checkpoints = pgTable(
  "checkpoints",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    entries: integer("entries").notNull(),
    /** Steps done at this position. */
    step: integer("step").notNull(),
    chain: bytea("chain").notNull(),
    /** Weights digest of docs/STEP_LOG.md, 64 hex digits, computed from the trained weights. */
    weightsDigest: text("weights_digest").notNull(),
    weightsStatus: text("weights_status").$type<WeightsStatus>().notNull().default("NONE"),
    /** Files of the weights once stored: one file, or shards and their index. */
    weightsFiles: jsonb("weights_files").$type<readonly WeightsFile[]>(),
    /** Blob of a single file. Rows from before there were shards have only this. */
    weightsBlob: text("weights_blob"),
    /** Sum over the files. */
    weightsBytes: bigint("weights_bytes", { mode: "number" }),
    weightsError: text("weights_error"),
    /** How long its worker took to make it; null if that was one of an earlier release. */
    seconds: doublePrecision("seconds"),
    /** Stored weights that somebody asked for end so long after they were last used; null: as late as the checkpoint. */
    weightsKeepSeconds: doublePrecision("weights_keep_seconds"),
    weightsExpiresAt: instant("weights_expires_at"),
    createdAt: createdAt(),
    ...expiring(),
  },
  (t) => [
    uniqueIndex("checkpoints_place").on(t.fineTuneId, t.entries),
    index("checkpoints_expires")
      .on(t.expiresAt)
      .where(sql`${t.expiresAt} is not null`),
    index("checkpoints_weights_expire")
      .on(t.weightsExpiresAt)
      .where(sql`${t.weightsExpiresAt} is not null`),
  ],
);

/**
 * Work for workers (store/queue/jobs.ts). A claim sets worker, token and expiry. The token rises with every claim, so that
 * a worker that has lost its lease cannot write (fencing). A finished job is deleted.
 */
export const jobs = pgTable(
  "jobs",
  {
    id: bigserial("id", { mode: "number" }).primaryKey(),
    kind: text("kind").$type<JobKind>().notNull(),
    projectId: ofProject(),
    /** Id of what the job is about; schema/jobs.ts names it for each kind. */
    subject: text("subject").notNull(),
    payload: jsonb("payload").$type<Readonly<Record<string, unknown>>>().notNull().default({}),
    /** Higher first; jobs of one priority are claimed in order of id. */
    priority: integer("priority").notNull().default(0),
    needs: jsonb("needs").$type<Needs>().notNull().default({}),
    needsHash: hashOf("needs_hash", "needs"),
    /** Claims since the last acknowledged progress, without those that ended in a release. */
    attempts: integer("attempts").notNull().default(0),
    /** When it may be claimed again after a failed attempt; null when nothing failed since the last progress. */
    notBefore: instant("not_before"),
    /** The worker that failed last, and why: code and message. */
    failedBy: text("failed_by"),
    lastError: text("last_error"),
    leaseToken: bigint("lease_token", { mode: "number" }).notNull().default(0),
    leaseWorker: text("lease_worker"),
    leaseExpiresAt: instant("lease_expires_at"),
    /** When its holder claimed it; what a worker of the release before holds has an earlier time, or none. */
    claimedAt: instant("claimed_at"),
    /** The job for which its holder is about to leave it; no two leave theirs for the same. */
    givesWayTo: bigint("gives_way_to", { mode: "number" }).unique(),
    createdAt: createdAt(),
    /** Of the trace that it goes on with, as the W3C's header has it; null for none. */
    traceparent: text("traceparent"),
    /** What the release before this one reads and writes; a trigger keeps both in agreement with subject. To be dropped. */
    fineTuneId: uuid("fine_tune_id").references(() => fineTunes.id, { onDelete: "cascade" }),
    checkpointId: uuid("checkpoint_id").references(() => checkpoints.id, { onDelete: "cascade" }),
  },
  (t) => [
    uniqueIndex("jobs_subject").on(t.kind, t.subject),
    index("jobs_turn").on(t.projectId, t.priority.desc().nullsFirst(), t.id),
    index("jobs_needs").on(t.kind, sql`md5(${t.needs}::text)`),
    index("jobs_held")
      .on(t.projectId)
      .where(sql`${t.leaseWorker} is not null`),
    uniqueIndex("jobs_fine_tune")
      .on(t.fineTuneId)
      .where(sql`${t.kind} = 'FINE_TUNE'`),
    uniqueIndex("jobs_checkpoint")
      .on(t.checkpointId)
      .where(sql`${t.kind} = 'MATERIALISE'`),
  ],
);

/** A worker that answers requests. */
export interface ServingReport {
  /** For weights and caches; and what the models that it holds take of it. */
  readonly memoryBytes: number;
  readonly usedBytes: number;
  /** Requests at once at most, and now. */
  readonly places: number;
  readonly requests: number;
  /** Models that it holds: base and chain hash, null for the base itself. */
  readonly warm: readonly { readonly base: string; readonly chain: string | null }[];
}

/**
 * Workers as they report themselves every few seconds (reportMs). A row is deleted when its worker stops; a worker that
 * has not reported for liveMs counts as gone. One that is asleep has no process: whoever starts it when there is work for it
 * keeps its row (store/queue/sleeper.ts).
 */
export const workers = pgTable("workers", {
  id: uuid("id").primaryKey(),
  /** Unique among processes, as in jobs.lease_worker: host name and process id. */
  name: text("name").notNull(),
  /** The compute device and why it was chosen. */
  device: text("device").notNull(),
  /** What it can do (Capabilities of schema/jobs.ts). */
  kinds: jsonb("kinds").$type<readonly JobKind[]>().notNull(),
  families: jsonb("families").$type<readonly string[]>().notNull(),
  precisions: jsonb("precisions").$type<readonly PrecisionKind[]>().notNull(),
  memoryBytes: bigint("memory_bytes", { mode: "number" }).notNull(),
  models: jsonb("models").$type<readonly NamedModel[]>().notNull(),
  /** What may be wanted of a run that it trains, so that it stops; a worker of a release that does not say it heeds CANCEL alone. */
  heeds: jsonb("heeds").$type<readonly Wanted[]>().notNull().default(["CANCEL"]),
  /** How it answers requests; null when it does not, or is of a release that could not. */
  serving: jsonb("serving").$type<ServingReport>(),
  /** Of workers that are alike (worker_pools); null for one by itself. */
  pool: text("pool"),
  version: text("version").notNull(),
  asleep: boolean("asleep").notNull().default(false),
  startedAt: instant("started_at").notNull().defaultNow(),
  lastSeenAt: instant("last_seen_at").notNull().defaultNow(),
});

/**
 * The log, packed: bfloat16 scalars of two bytes, little-endian; decays of four bytes where the run has weight decay.
 * Seeds follow the rule (run seed << 32) + entry. Rows are permanent, and only the last one grows.
 */
export const logSegments = pgTable(
  "log_segments",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    firstEntry: integer("first_entry").notNull(),
    count: integer("count").notNull(),
    scalars: bytea("scalars").notNull(),
    decays: bytea("decays"),
  },
  (t) => [
    primaryKey({ columns: [t.fineTuneId, t.firstEntry] }),
    check(
      "log_segments_packed",
      sql`octet_length(${t.scalars}) = 2 * ${t.count} and (${t.decays} is null or octet_length(${t.decays}) = 4 * ${t.count})`,
    ),
  ],
);

/** Measurements of a step, for charts; steps count from 1. */
export const stepMetrics = pgTable(
  "step_metrics",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    step: integer("step").notNull(),
    /** Mean of the measured losses, nats per scored token; null when not finite. */
    loss: doublePrecision("loss"),
    projectedGradient: doublePrecision("projected_gradient"),
    learningRate: doublePrecision("learning_rate").notNull(),
    /** Why the step was skipped (scalar 0); null when it was not. */
    skipped: text("skipped"),
    /** Duration on the worker, seconds. */
    seconds: doublePrecision("seconds").notNull(),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.step] })],
);

/** Measurements on rows that are not trained on; step 0 is before any step (zero-shot). */
export const evaluations = pgTable(
  "evaluations",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    kind: text("kind").$type<EvaluationKind>().notNull().default("VALIDATION"),
    entries: integer("entries").notNull(),
    /** Steps done at this position. */
    step: integer("step").notNull(),
    rows: integer("rows").notNull(),
    /** Mean loss over the scored tokens, nats. */
    loss: doublePrecision("loss").notNull(),
    /** Share of rows whose best candidate is the right one, 0 to 1; null without candidates. */
    accuracy: doublePrecision("accuracy"),
    /** Of generated answers, 0 to 1; null when none are generated. */
    f1: doublePrecision("f1"),
    exactMatch: doublePrecision("exact_match"),
    /** How long it took; null if a worker of an earlier release measured it. */
    seconds: doublePrecision("seconds"),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.kind, t.entries] })],
);

/** The history of a fine-tune in words: changes of state and other notable moments, numbered from 1 without gaps. */
export const events = pgTable(
  "events",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    sequence: integer("sequence").notNull(),
    type: text("type").notNull(),
    message: text("message").notNull(),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.sequence] })],
);

export type BaseModel = typeof baseModels.$inferSelect;
export type FoundModel = typeof foundModels.$inferSelect;
export type Dataset = typeof datasets.$inferSelect;
export type FineTune = typeof fineTunes.$inferSelect;
export type Checkpoint = typeof checkpoints.$inferSelect;
export type Job = typeof jobs.$inferSelect;
export type LogSegment = typeof logSegments.$inferSelect;
export type WorkerRow = typeof workers.$inferSelect;
export type StepMetric = typeof stepMetrics.$inferSelect;
export type Evaluation = typeof evaluations.$inferSelect;
export type Event = typeof events.$inferSelect;
