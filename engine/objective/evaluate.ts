/**
 * Evaluates rows at the stored weights: the loss of the right completion, whether the right candidate is the most likely
 * one, and how good the answers are that the model generates.
 */
import { invariant } from "../../schema/errors.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Row } from "../../dataset/jsonl.ts";
import type { ForwardModel } from "../model/model.ts";
import type { Question } from "./answers.ts";
import { questionOf, scoreAnswers } from "./answers.ts";
import type { Choice, ChoiceSettings } from "./choices.ts";
import { candidateScores, choiceEncoder, errorOf, sequencesOf } from "./choices.ts";

/** Tokens in one pass, to bound its memory. */
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
  /** Share of the rows with candidates whose right one has the best score; null if no row has candidates. */
  readonly accuracy: number | null;
  /** Of the generated answers, 0 to 1; null if none are generated. */
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

export interface EvaluationSettings extends ChoiceSettings {
  /** Maximum length of a generated answer; 0 generates none. */
  readonly answerTokens: number;
}

/** A row as it was read and as the model sees it. */
export interface PreparedRow {
  readonly row: Row;
  readonly encoded: EncodedRow;
}

/** Rows encoded once for all evaluations of a run. */
export interface EvaluationSet {
  /** Rows without candidates. */
  readonly encoded: readonly EncodedRow[];
  readonly choices: readonly Choice[];
  readonly questions: readonly Question[];
  readonly settings: EvaluationSettings;
}

export function prepareEvaluation(rows: readonly PreparedRow[], settings: EvaluationSettings): EvaluationSet {
  const encodeChoice = choiceEncoder(settings);
  const choices = rows.map(({ row }) => encodeChoice(row));
  return {
    encoded: rows.filter((_, index) => choices[index] === null).map(({ encoded }) => encoded),
    choices: choices.filter((choice) => choice !== null),
    questions: settings.answerTokens > 0 ? rows.map(({ row }) => questionOf(row, settings)) : [],
    settings,
  };
}

export async function evaluate(model: ForwardModel, set: EvaluationSet): Promise<Evaluation> {
  const { encoded, choices, questions, settings } = set;
  const { right, accuracy } = await evaluateChoices(model, choices);
  const scores = [...(await scoreRows(model, encoded)), ...right];
  const { tokenizer, answerTokens: maxTokens } = settings;
  const answered =
    questions.length > 0 && tokenizer
      ? await scoreAnswers(model, questions, { maxTokens, decode: (ids) => tokenizer.decode(ids) })
      : { f1: null, exactMatch: null };
  return { rows: scores.length, loss: meanLoss(scores), accuracy, ...answered };
}

/** The loss of the right candidate of each choice, and the share of choices in which it has the best score. */
async function evaluateChoices(model: ForwardModel, choices: readonly Choice[]) {
  const sequences = sequencesOf(choices);
  const losses = await lossesOf(model, sequences);
  const scores = new Map(scoresOf(sequences, losses).map((score, index) => [sequences[index], score]));
  const right = choices.map(({ rows, right: index }) => {
    const score = scores.get(rows[index]);
    invariant(score, "the right candidate is among the candidates");
    return score;
  });
  const errors = candidateScores(choices, sequences, losses).map((one) => errorOf(one.scores, one.right));
  const wrong: number = errors.reduce((sum, error) => sum + error, 0);
  return { right, accuracy: choices.length === 0 ? null : 1 - wrong / choices.length };
}

/** The loss of every row, in order. */
export async function scoreRows(model: ForwardModel, rows: readonly EncodedRow[]): Promise<RowScore[]> {
  return scoresOf(rows, await lossesOf(model, rows));
}

/** The losses of all scored tokens, in order. */
async function lossesOf(model: ForwardModel, rows: readonly EncodedRow[]): Promise<Float64Array> {
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

function scoresOf(rows: readonly EncodedRow[], losses: Float64Array): RowScore[] {
  let at = 0;
  return rows.map(({ targets }) => {
    const sum = losses.subarray(at, at + targets.length).reduce((total, loss) => total + loss, 0);
    at += targets.length;
    return { loss: sum / targets.length, tokens: targets.length };
  });
}

function meanLoss(scores: readonly RowScore[]): number {
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  return scores.reduce((sum, score) => sum + score.loss * score.tokens, 0) / tokens;
}
