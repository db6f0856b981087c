/** Evaluations of a base or a checkpoint that somebody asks for, with the metrics that a run has. */
import { z } from "zod";
import { type Truncation, hyperparameterTable } from "./hyperparameter-table.ts";
import type { PrecisionKind } from "./hyperparameters.ts";

const { answerTokens, truncate, precision } = hyperparameterTable;
const truncations = Object.keys(truncate.values) as [Truncation, ...Truncation[]];
const precisions = Object.keys(precision.values) as [PrecisionKind, ...PrecisionKind[]];

/** How rows are read and what is measured, as the settings of a run of these names say it. */
export const evaluationRulesSchema = z.strictObject({
  answerTokens: z.int().min(answerTokens.min).max(answerTokens.max).default(answerTokens.default),
  truncate: z.enum(truncations).default(truncate.default),
  precision: z.enum(precisions).default("FLOAT32"),
});
export type EvaluationRules = z.output<typeof evaluationRulesSchema>;

export interface Measured {
  readonly rows: number;
  /** Mean over all scored tokens, nats. */
  readonly loss: number;
  /** Of rows with candidates, 0 to 1; null without. */
  readonly accuracy: number | null;
  /** Of generated answers, 0 to 1; null if none are generated. */
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

/** What came of one row. */
export interface EvaluatedRow {
  /** Its place in the dataset, counted from 0. */
  readonly row: number;
  /** The end of its prompt, or of its last message of a user; null for a row of tokens. */
  readonly prompt: string | null;
  /** What it should be answered with. */
  readonly expected: string | null;
  /** The candidate that the model finds likeliest, or what it wrote; null if neither was asked. */
  readonly answer: string | null;
  /** Null without an answer. */
  readonly right: boolean | null;
  /** Of the expected completion, nats per token. */
  readonly loss: number;
}

/** Rows of an evaluation whose results are kept, from the first. */
export const keptRows = 1_000;
/** UTF-16 units of a text of them. */
export const keptCharacters = 400;
