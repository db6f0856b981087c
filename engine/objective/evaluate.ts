/**
 * Measuring rows without noise: the loss of what is right, whether the right candidate is the likeliest, and how good the
 * answers are that the model writes by itself.
 */
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { Objective } from "../../schema/objective.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import { encodeText } from "../../dataset/encode.ts";
import type { Row } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import type { Question } from "./answers.ts";
import { judgeAnswers } from "./answers.ts";
import type { Model } from "../model/model.ts";
import type { Choice } from "./task.ts";
import { chosenScores, errorOf, sequencesOf } from "./task.ts";

/** Tokens measured in one pass, to bound its memory. */
const passTokens = 2_048;

export interface RowScore {
  /** Mean over the scored tokens, nats. */
  readonly loss: number;
  readonly tokens: number;
}

export interface Evaluation {
  readonly rows: number;
  /** Mean over all scored tokens, nats. */
  readonly loss: number;
  /** Share of the rows with candidates whose right one has the best score; null when no row has candidates. */
  readonly accuracy: number | null;
  /** Of the answers that the model writes, 0 to 1; null where it writes none. */
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

/** Scores every row, in order. */
export async function scoreRows(model: Model, rows: readonly EncodedRow[]): Promise<RowScore[]> {
  const losses = await lossesOf(model, rows);
  let at = 0;
  return rows.map(({ targets }) => {
    const sum = losses.subarray(at, at + targets.length).reduce((total, loss) => total + loss, 0);
    at += targets.length;
    return { loss: sum / targets.length, tokens: targets.length };
  });
}

/** The losses of all scored tokens, in order. */
async function lossesOf(model: Model, rows: readonly EncodedRow[]): Promise<Float64Array> {
  const all = new Float64Array(rows.reduce((tokens, { targets }) => tokens + targets.length, 0));
  let at = 0;
  for (const group of groupByTokens(rows)) {
    const losses = await model.losses(group);
    all.set(losses, at);
    at += losses.length;
  }
  return all;
}

function groupByTokens(rows: readonly EncodedRow[]): EncodedRow[][] {
  const groups: EncodedRow[][] = [];
  let tokens = Infinity;
  for (const row of rows) {
    if (tokens + row.ids.length > passTokens) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)?.push(row);
    tokens += row.ids.length;
  }
  return groups;
}

/** How rows are judged. */
export interface Judging {
  /** Null for a model folder without one, whose rows are tokens. */
  readonly tokenizer: Tokenizer | null;
  readonly objective: Objective;
  /** Candidates of rows that bring none. */
  readonly labelWords: readonly string[];
  /** A prompt that says nothing, by which candidates' scores are calibrated; null without. */
  readonly calibrationPrompt: string | null;
  /** Most tokens of an answer; 0: the model writes none. */
  readonly answerTokens: number;
}

export interface PreparedRow {
  readonly row: Row;
  readonly encoded: EncodedRow;
}

/** Rows prepared for `evaluate` once, as every evaluation of a run measures the same. */
export interface ValidationSet {
  /** Rows without candidates. */
  readonly encoded: readonly EncodedRow[];
  readonly choices: readonly Choice[];
  readonly questions: readonly Question[];
  readonly judging: Judging;
}

export function prepareValidation(rows: readonly PreparedRow[], judging: Judging): ValidationSet {
  const choose = chooser(judging);
  const choices = rows.map(({ row }) => choose(row));
  return {
    encoded: rows.filter((_, index) => choices[index] === null).map(({ encoded }) => encoded),
    choices: choices.filter((choice) => choice !== null),
    questions: judging.answerTokens > 0 ? rows.map(({ row }) => questionOf(row, judging)) : [],
    judging,
  };
}

/** Rows as choices between their candidates, or the label words; null for a row without either. */
export function chooser({ tokenizer, labelWords, objective, calibrationPrompt }: Judging): (row: Row) => Choice | null {
  const neutral = new Map<string, EncodedRow>();
  const neutralOf = (candidate: string): EncodedRow => {
    invariant(tokenizer && calibrationPrompt !== null, "a calibration has a prompt");
    const known = neutral.get(candidate) ?? encodeText(tokenizer, calibrationPrompt, candidate, objective);
    neutral.set(candidate, known);
    return known;
  };
  return (row) => {
    if (!("completion" in row) || !tokenizer) return null;
    const { prompt, completion, candidates = labelWords } = row;
    if (candidates.length === 0) return null;
    return {
      rows: candidates.map((candidate) => encodeText(tokenizer, prompt, candidate, objective)),
      right: candidates.indexOf(completion),
      neutral: calibrationPrompt === null ? null : candidates.map(neutralOf),
    };
  };
}

/** @throws INVALID_ARGUMENT for a row that is not text */
export function questionOf(row: Row, { tokenizer }: Judging): Question {
  if ("completion" in row && tokenizer) {
    const prompt = Int32Array.from(tokenizer.encodeStart(row.prompt));
    return { prompt, answers: row.answers ?? [row.completion] };
  }
  const message = "answers are written to rows of prompt and completion; these are conversations or tokens";
  throw new SteplogError("INVALID_ARGUMENT", `${message}. Leave answerTokens out.`, [
    { field: "hyperparameters.answerTokens", message },
  ]);
}

export async function evaluate(model: Model, set: ValidationSet): Promise<Evaluation> {
  const { encoded, choices, questions, judging } = set;
  const { right, accuracy } = await evaluateChoices(model, choices);
  const scores = [...(await scoreRows(model, encoded)), ...right];
  const { tokenizer, answerTokens: maxTokens } = judging;
  const judged =
    questions.length > 0 && tokenizer
      ? await judgeAnswers(model, questions, { maxTokens, decode: (ids) => tokenizer.decode(ids) })
      : { f1: null, exactMatch: null };
  return { rows: scores.length, loss: meanLoss(scores), accuracy, ...judged };
}

async function evaluateChoices(model: Model, choices: readonly Choice[]) {
  const sequences = sequencesOf(choices);
  const losses = await lossesOf(model, sequences);
  const scores = new Map<EncodedRow, RowScore>();
  let at = 0;
  for (const sequence of sequences) {
    const tokens = sequence.targets.length;
    const sum = losses.subarray(at, at + tokens).reduce((total, loss) => total + loss, 0);
    scores.set(sequence, { loss: sum / tokens, tokens });
    at += tokens;
  }
  const right = choices.map(({ rows, right: index }) => {
    const wanted = rows[index];
    const score = wanted && scores.get(wanted);
    invariant(score, "the right candidate is among the candidates");
    return score;
  });
  const errors = chosenScores(choices, sequences, losses).map((one) => errorOf(one.scores, one.right));
  const wrong: number = errors.reduce((sum, error) => sum + error, 0);
  return { right, accuracy: choices.length === 0 ? null : 1 - wrong / choices.length };
}

function meanLoss(scores: readonly RowScore[]): number {
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  return scores.reduce((sum, score) => sum + score.loss * score.tokens, 0) / tokens;
}
