/**
 * The rows of the service. They are the truth: notifications carry an id at most, and every reader re-reads from here.
 * migrations/ holds the SQL that leads to these tables, one file a change, never edited after it landed.
 */
import { sql } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import {
  bigint,
  bigserial,
  boolean,
  check,
  customType,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import type { InputIssue } from "./errors.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { EvaluationKind, FineTuneStatus, WeightsStatus } from "./states.ts";

const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => "bytea" });
const instant = (name: string) => timestamp(name, { withTimezone: true, mode: "date" });
const createdAt = () => instant("created_at").notNull().defaultNow();

/** Models in Hugging Face layout that workers found in their models folder; `name` is the folder's name. */
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
 * Folders of the models folder that are no base models yet, as the workers last saw them. A row goes when its folder does,
 * or when the folder becomes a base model.
 */
export const foundModels = pgTable("found_models", {
  name: text("name").primaryKey(),
  /** As of a base model; null when the folder cannot be used. */
  family: text("family"),
  dtype: text("dtype"),
  parameters: bigint("parameters", { mode: "number" }),
  bytes: bigint("bytes", { mode: "number" }),
  contextLength: integer("context_length"),
  /** Why it cannot be used: code and message. */
  problem: text("problem"),
  /** Why it could not be registered when that was last asked for. */
  failure: text("failure"),
  /** When somebody asked for that; null when nobody waits for it. */
  requestedAt: instant("requested_at"),
  /** The worker that registers it, and until when it may be silent. */
  claimedBy: text("claimed_by"),
  claimExpiresAt: instant("claim_expires_at"),
});

/** Checked rows of prompt and completion. The bytes lie in the blob store under their SHA-256. */
export const datasets = pgTable(
  "datasets",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    name: text("name").notNull(),
    sha256: text("sha256").notNull(),
    bytes: bigint("bytes", { mode: "number" }).notNull(),
    rows: integer("rows").notNull(),
    createdAt: createdAt(),
  },
  (t) => [index("datasets_created").on(t.createdAt, t.id)],
);

export const fineTunes = pgTable(
  "fine_tunes",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    /** The client's name for one wish: a second create with the same key and input answers with the first. */
    idempotencyKey: text("idempotency_key").unique(),
    /** SHA-256 of the canonical input, to tell a repeat from a contradiction. */
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
    /** Candidate completions among which accuracy is judged; empty when the metric is the loss alone. */
    labelWords: jsonb("label_words").$type<readonly string[]>().notNull(),
    /** A prompt that says nothing, by which the candidates' scores are calibrated; null without. */
    calibrationPrompt: text("calibration_prompt"),
    hyperparameters: jsonb("hyperparameters").$type<Hyperparameters>().notNull(),
    /** Whether the last checkpoint's weights are stored as the worker holds them, beside the log that rebuilds them. */
    keepWeights: boolean("keep_weights").notNull().default(false),
    status: text("status").$type<FineTuneStatus>().notNull().default("QUEUED"),
    cancelRequested: boolean("cancel_requested").notNull().default(false),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    errorIssues: jsonb("error_issues").$type<readonly InputIssue[]>(),
    /** The checkpoint of another run that this one goes on from; its log up to there is the beginning of this one's. */
    fromCheckpointId: uuid("from_checkpoint_id").references((): AnyPgColumn => checkpoints.id),
    /** The first entry that is this run's own, and steps of runs before it whose rows it goes on behind. */
    firstEntry: integer("first_entry").notNull().default(0),
    firstStep: integer("first_step").notNull().default(0),
    /** Canonical JSON header of the log, fixed by the first worker or the run that it goes on from; null until then. */
    logHeader: bytea("log_header"),
    /** Entries of the whole log that are acknowledged, and the chain hash over them (32 bytes). */
    entries: integer("entries").notNull().default(0),
    chain: bytea("chain"),
    /** Steps acknowledged; a step has an entry for each of its estimates. */
    stepsDone: integer("steps_done").notNull().default(0),
    /** Steps whose loss was not finite, and steps that measured no difference: both left the weights as they were. */
    skippedSteps: integer("skipped_steps").notNull().default(0),
    zeroSteps: integer("zero_steps").notNull().default(0),
    /** The learning rate in use, where AUTO picked it. */
    pickedRate: doublePrecision("picked_rate"),
    /** The compute device of the worker that ran last, and why it was chosen. */
    device: text("device"),
    createdAt: createdAt(),
    startedAt: instant("started_at"),
    finishedAt: instant("finished_at"),
  },
  (t) => [
    check("fine_tunes_first_entry", sql`${t.firstEntry} >= 0 and ${t.firstEntry} <= ${t.entries}`),
    index("fine_tunes_created").on(t.createdAt, t.id),
    index("fine_tunes_status_created").on(t.status, t.createdAt, t.id),
    check("fine_tunes_entries", sql`${t.entries} >= 0`),
  ],
);

/** A stored file of a checkpoint's weights. */
export interface WeightsFile {
  readonly name: string;
  /** Its blob. */
  readonly sha256: string;
  readonly bytes: number;
}

/** A checkpoint is a place in a log: (run, number of entries, chain hash, weights digest). */
export const checkpoints = pgTable(
  "checkpoints",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    entries: integer("entries").notNull(),
    /** Steps done at that place. */
    step: integer("step").notNull(),
    chain: bytea("chain").notNull(),
    /** Weights digest of docs/STEP_LOG.md, 64 hex digits, measured on the weights that were trained. */
    weightsDigest: text("weights_digest").notNull(),
    weightsStatus: text("weights_status").$type<WeightsStatus>().notNull().default("NONE"),
    /** Files of the weights, once they are stored: one, or shards and their index. */
    weightsFiles: jsonb("weights_files").$type<readonly WeightsFile[]>(),
    /** Blob of the file where there is one only; all that rows have that were stored before there were shards. */
    weightsBlob: text("weights_blob"),
    /** Of all files. */
    weightsBytes: bigint("weights_bytes", { mode: "number" }),
    weightsError: text("weights_error"),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex("checkpoints_place").on(t.fineTuneId, t.entries)],
);

/**
 * Work for workers. A claim sets worker, token and expiry; the token rises with every claim, so that a worker that
 * lost its lease cannot write (fencing). A job is deleted when it is done.
 */
export const jobs = pgTable(
  "jobs",
  {
    id: bigserial("id", { mode: "number" }).primaryKey(),
    kind: text("kind").$type<"FINE_TUNE" | "MATERIALISE">().notNull(),
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    checkpointId: uuid("checkpoint_id").references(() => checkpoints.id, { onDelete: "cascade" }),
    attempts: integer("attempts").notNull().default(0),
    leaseToken: bigint("lease_token", { mode: "number" }).notNull().default(0),
    leaseWorker: text("lease_worker"),
    leaseExpiresAt: instant("lease_expires_at"),
    createdAt: createdAt(),
  },
  (t) => [
    uniqueIndex("jobs_fine_tune")
      .on(t.fineTuneId)
      .where(sql`${t.kind} = 'FINE_TUNE'`),
    uniqueIndex("jobs_checkpoint")
      .on(t.checkpointId)
      .where(sql`${t.kind} = 'MATERIALISE'`),
  ],
);

/**
 * The log, packed: bfloat16 scalars, two bytes each, little-endian; decays, four bytes each, where the run has weight
 * decay. Seeds follow the rule (run seed << 32) + entry. Permanent and append-only but for the growth of the last row.
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

/** What a chart shows of a step, counted from 1. */
export const stepMetrics = pgTable(
  "step_metrics",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    step: integer("step").notNull(),
    /** Mean of the two measured losses, nats per scored token; null when not finite. */
    loss: doublePrecision("loss"),
    projectedGradient: doublePrecision("projected_gradient"),
    learningRate: doublePrecision("learning_rate").notNull(),
    /** Why the step was skipped (scalar 0), or null. */
    skipped: text("skipped"),
    /** Seconds the step took on the worker. */
    seconds: doublePrecision("seconds").notNull(),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.step] })],
);

/** Measurements of rows that are not learned from: step 0 is zero-shot, before any step. */
export const evaluations = pgTable(
  "evaluations",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    kind: text("kind").$type<EvaluationKind>().notNull().default("VALIDATION"),
    entries: integer("entries").notNull(),
    /** Steps done at that place. */
    step: integer("step").notNull(),
    rows: integer("rows").notNull(),
    /** Mean loss over the scored tokens, nats. */
    loss: doublePrecision("loss").notNull(),
    /** Share of rows whose best label word is the right one; null without label words. */
    accuracy: doublePrecision("accuracy"),
    /** Of answers that the model writes, 0 to 1; null where it writes none. */
    f1: doublePrecision("f1"),
    exactMatch: doublePrecision("exact_match"),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.kind, t.entries] })],
);

/** The story of a fine-tune, in words: one row a change of state or a notable moment, numbered without gaps from 1. */
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
export type StepMetric = typeof stepMetrics.$inferSelect;
export type Evaluation = typeof evaluations.$inferSelect;
export type Event = typeof events.$inferSelect;
