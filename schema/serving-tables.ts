/** Tables of what answers: completions, aliases, and evaluations that somebody asked for. The rules are those of tables.ts. */
import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uuid,
} from "drizzle-orm/pg-core";
import { bytea, createdAt, expiring, instant } from "./columns.ts";
import type {
  CompletionProtocol,
  CompletionStage,
  CompletionStatus,
  CompletionTask,
  FinishReason,
  RowScore,
  TokenLogprob,
  Usage,
} from "./completion.ts";
import type { InputIssue } from "./errors.ts";
import { ofProject } from "./project-tables.ts";
import type { Wanted } from "./states.ts";
import { baseModels, checkpoints, datasets } from "./tables.ts";

/**
 * Requests to write or to score text. Rows are deleted when they expire, or on request, with all that was asked and answered:
 * no other table, job or notification holds any of it.
 */
export const completions = pgTable(
  "completions",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: ofProject(),
    /** As `storedKey` has it: a second create with the same key and input returns the first completion. */
    idempotencyKey: text("idempotency_key").unique(),
    /** SHA-256 of the canonical input. */
    inputHash: text("input_hash").notNull(),
    protocol: text("protocol").$type<CompletionProtocol>().notNull(),
    baseModelId: uuid("base_model_id")
      .notNull()
      .references(() => baseModels.id),
    /** Null for the base itself. */
    checkpointId: uuid("checkpoint_id").references(() => checkpoints.id, { onDelete: "cascade" }),
    /** The alias by which the model was named. */
    alias: text("alias"),
    task: jsonb("task").$type<CompletionTask>().notNull(),
    /** Tokens of a GENERATE task, four bytes each, little-endian; empty for SCORE. */
    prompt: bytea("prompt").notNull(),
    status: text("status").$type<CompletionStatus>().notNull().default("QUEUED"),
    wanted: text("wanted").$type<Wanted>().notNull().default("RUN"),
    stage: text("stage").$type<CompletionStage>(),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    errorIssues: jsonb("error_issues").$type<readonly InputIssue[]>(),
    usage: jsonb("usage").$type<Usage>(),
    /** Of a SCORE task, one per row. */
    scores: jsonb("scores").$type<readonly RowScore[]>(),
    /** Pieces so far; their sequence has no gaps. */
    pieces: integer("pieces").notNull().default(0),
    /** The device, the precision and the release that answered: what equal seeds need for equal text. */
    device: text("device"),
    /** Until when somebody is known to wait for the answer; null when it may be fetched later. */
    attendedUntil: instant("attended_until"),
    /** Fails if no worker has begun by then. */
    startBy: instant("start_by").notNull(),
    expiresAt: instant("expires_at").notNull(),
    createdAt: createdAt(),
    startedAt: instant("started_at"),
    firstTokenAt: instant("first_token_at"),
    finishedAt: instant("finished_at"),
  },
  (t) => [
    check("completions_pieces", sql`${t.pieces} >= 0`),
    index("completions_expires").on(t.expiresAt),
    index("completions_checkpoint").on(t.checkpointId),
    index("completions_queued")
      .on(t.startBy)
      .where(sql`${t.status} = 'QUEUED'`),
  ],
);

/** What was written of a completion, in the order in which it came, numbered from 1 without gaps. */
export const completionPieces = pgTable(
  "completion_pieces",
  {
    completionId: uuid("completion_id")
      .notNull()
      .references(() => completions.id, { onDelete: "cascade" }),
    sequence: integer("sequence").notNull(),
    choice: integer("choice").notNull(),
    firstToken: integer("first_token").notNull(),
    /** Four bytes each, little-endian. */
    tokens: bytea("tokens").notNull(),
    text: text("text").notNull(),
    logprobs: jsonb("logprobs").$type<readonly TokenLogprob[]>(),
    finish: text("finish").$type<FinishReason>(),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.completionId, t.sequence] })],
);

/** Names that clients call a model by, and that whoever runs the service points elsewhere. */
export const aliases = pgTable("aliases", {
  /** As `storedName` has it. */
  name: text("name").primaryKey(),
  projectId: ofProject(),
  baseModelId: uuid("base_model_id")
    .notNull()
    .references(() => baseModels.id),
  /** Null for the base itself. */
  checkpointId: uuid("checkpoint_id").references(() => checkpoints.id),
  /** How often it was pointed somewhere. */
  moves: integer("moves").notNull().default(1),
  createdAt: createdAt(),
  updatedAt: instant("updated_at").notNull().defaultNow(),
});

/** Where an alias pointed, numbered from 1. */
export const aliasMoves = pgTable(
  "alias_moves",
  {
    name: text("name")
      .notNull()
      .references(() => aliases.name, { onDelete: "cascade" }),
    number: integer("number").notNull(),
    baseModelId: uuid("base_model_id")
      .notNull()
      .references(() => baseModels.id),
    checkpointId: uuid("checkpoint_id").references(() => checkpoints.id),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.name, t.number] })],
);

/** Evaluations that somebody asked for: a base or a checkpoint, on a dataset. */
export const modelEvaluations = pgTable(
  "model_evaluations",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: ofProject(),
    idempotencyKey: text("idempotency_key").unique(),
    inputHash: text("input_hash").notNull(),
    baseModelId: uuid("base_model_id")
      .notNull()
      .references(() => baseModels.id),
    checkpointId: uuid("checkpoint_id").references(() => checkpoints.id, { onDelete: "cascade" }),
    datasetId: uuid("dataset_id")
      .notNull()
      .references(() => datasets.id),
    labelWords: jsonb("label_words").$type<readonly string[]>().notNull(),
    calibrationPrompt: text("calibration_prompt"),
    /** As for a run: what is measured besides the loss, and how rows are read. */
    settings: jsonb("settings").$type<Readonly<Record<string, unknown>>>().notNull(),
    status: text("status").$type<CompletionStatus>().notNull().default("QUEUED"),
    wanted: text("wanted").$type<Wanted>().notNull().default("RUN"),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    errorIssues: jsonb("error_issues").$type<readonly InputIssue[]>(),
    rows: integer("rows"),
    loss: doublePrecision("loss"),
    accuracy: doublePrecision("accuracy"),
    f1: doublePrecision("f1"),
    exactMatch: doublePrecision("exact_match"),
    createdAt: createdAt(),
    startedAt: instant("started_at"),
    finishedAt: instant("finished_at"),
    ...expiring(),
  },
  (t) => [
    index("model_evaluations_expires")
      .on(t.expiresAt)
      .where(sql`${t.expiresAt} is not null`),
    index("model_evaluations_project_created").on(t.projectId, t.createdAt, t.id),
    index("model_evaluations_model").on(t.baseModelId, t.checkpointId, t.createdAt),
    index("model_evaluations_checkpoint").on(t.checkpointId),
    index("model_evaluations_dataset").on(t.datasetId),
  ],
);

/** What came of the first rows of an evaluation (EvaluatedRow). */
export const evaluatedRows = pgTable(
  "evaluated_rows",
  {
    evaluationId: uuid("evaluation_id")
      .notNull()
      .references(() => modelEvaluations.id, { onDelete: "cascade" }),
    row: integer("row").notNull(),
    prompt: text("prompt"),
    expected: text("expected"),
    answer: text("answer"),
    right: boolean("right"),
    loss: doublePrecision("loss").notNull(),
  },
  (t) => [primaryKey({ columns: [t.evaluationId, t.row] })],
);

export type Completion = typeof completions.$inferSelect;
export type CompletionPiece = typeof completionPieces.$inferSelect;
export type Alias = typeof aliases.$inferSelect;
export type ModelEvaluation = typeof modelEvaluations.$inferSelect;
