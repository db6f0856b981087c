/**
 * Evaluates rows at the stored weights: the loss of the right completion, whether the right candidate is the most likely
 * one, and how good the answers are that the model generates.
 */
import { invariant } from "../../schema/errors.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Row } from "../../dataset/jsonl.ts";
import type { ForwardModel } from "../model/model.ts";
import type { Question, ScoredAnswer } from "./answers.ts";
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

/** What the model makes of one row. */
export interface RowResult {
  /** Of the right completion: mean over its tokens, nats. */
  readonly loss: number;
  /** The likeliest candidate, or what the model writes if it is to; null without either. */
  readonly answer: string | null;
  /** Whether the answer is right; null without one. */
  readonly right: boolean | null;
}

/** Rows encoded once for all evaluations of a run. */
export interface EvaluationSet {
  /** The rows as they were read, in the order of the dataset. */
  readonly rows: readonly Row[];
  /** Of each row, whether it is one of `choices`; the others are in `encoded`. */
  readonly isChoice: readonly boolean[];
  /** Rows without candidates. */
  readonly encoded: readonly EncodedRow[];
  readonly choices: readonly Choice[];
  /** Of each choice, what there is to choose from. */
  readonly candidates: readonly (readonly string[])[];
  readonly questions: readonly Question[];
  readonly settings: EvaluationSettings;
}

export function prepareEvaluation(rows: readonly PreparedRow[], settings: EvaluationSettings): EvaluationSet {
  const encodeChoice = choiceEncoder(settings);
  const choices = rows.map(({ row }) => encodeChoice(row));
  return {
    rows: rows.map(({ row }) => row),
    isChoice: choices.map((choice) => choice !== null),
    encoded: rows.filter((_, index) => choices[index] === null).map(({ encoded }) => encoded),
    choices: choices.filter((choice) => choice !== null),
    candidates: rows.flatMap(({ row }, index) => (choices[index] === null ? [] : [candidatesOf(row, settings)])),
    questions: settings.answerTokens > 0 ? rows.map(({ row }) => questionOf(row, settings)) : [],
    settings,
  };
}

/** The first rows of a set, as many as `count`. */
export function firstOfSet(set: EvaluationSet, count: number): EvaluationSet {
  const isChoice = set.isChoice.slice(0, count);
  const choices = isChoice.filter(Boolean).length;
  return {
    ...set,
    rows: set.rows.slice(0, count),
    isChoice,
    encoded: set.encoded.slice(0, isChoice.length - choices),
    choices: set.choices.slice(0, choices),
    candidates: set.candidates.slice(0, choices),
    questions: set.questions.slice(0, count),
  };
}

function candidatesOf(row: Row, { labelWords }: EvaluationSettings): readonly string[] {
  return ("candidates" in row ? row.candidates : undefined) ?? labelWords;
}

export async function evaluate(model: ForwardModel, set: EvaluationSet): Promise<Evaluation> {
  return (await evaluateRows(model, set)).evaluation;
}

/**
 * The same, with what came of each row, in the order of the dataset.
 * @param wrote called for each token that the model writes
 */
export async function evaluateRows(model: ForwardModel, set: EvaluationSet, wrote?: () => void) {
  const { encoded, questions, settings } = set;
  const { right, chosen, accuracy } = await evaluateChoices(model, set);
  const plain = await scoreRows(model, encoded);
  const scores = [...plain, ...right];
  const { tokenizer, answerTokens: maxTokens } = settings;
  const answers =
    questions.length > 0 && tokenizer
      ? await scoreAnswers(model, questions, { maxTokens, decode: (ids) => tokenizer.decode(ids), wrote })
      : null;
  const evaluation: Evaluation = {
    rows: scores.length,
    loss: meanLoss(scores),
    accuracy,
    f1: answers && mean(answers.map(({ f1 }) => f1)),
    exactMatch: answers && mean(answers.map(({ exactMatch }) => exactMatch)),
  };
  return { evaluation, results: inOrder(set, { plain, right, chosen, answers }) };
}

interface Outcomes {
  readonly plain: readonly RowScore[];
  readonly right: readonly RowScore[];
  readonly chosen: readonly Pick<RowResult, "answer" | "right">[];
  readonly answers: readonly ScoredAnswer[] | null;
}

/** What the model writes is its answer, rather than what it would choose. */
function inOrder({ isChoice }: EvaluationSet, { plain, right, chosen, answers }: Outcomes): RowResult[] {
  let [plains, choices] = [0, 0];
  return isChoice.map((isOne, row) => {
    const at = isOne ? (choices += 1) - 1 : (plains += 1) - 1;
    const score = isOne ? right[at] : plain[at];
    invariant(score, "every row has a score");
    const written = answers?.[row];
    const answer = written
      ? { answer: written.text, right: written.exactMatch === 1 }
      : ((isOne ? chosen[at] : undefined) ?? { answer: null, right: null });
    return { loss: score.loss, ...answer };
  });
}

/** The loss of the right candidate of each choice, the candidate with the best score, and how often that is the right one. */
async function evaluateChoices(model: ForwardModel, { choices, candidates }: EvaluationSet) {
  const sequences = sequencesOf(choices);
  const losses = await lossesOf(model, sequences);
  const scores = new Map(scoresOf(sequences, losses).map((score, index) => [sequences[index], score]));
  const right = choices.map(({ rows, right: index }) => {
    const score = scores.get(rows[index]);
    invariant(score, "the right candidate is among the candidates");
    return score;
  });
  const scored = candidateScores(choices, sequences, losses);
  const errors = scored.map((one) => errorOf(one.scores, one.right));
  const wrong: number = errors.reduce((sum, error) => sum + error, 0);
  const chosen = scored.map(({ scores: of }, index) => ({
    answer: candidates[index]?.[bestOf(of)] ?? null,
    right: errors[index] === 0,
  }));
  return { right, chosen, accuracy: choices.length === 0 ? null : 1 - wrong / choices.length };
}

/** Index of the greatest number; -1 if none is finite. */
function bestOf(scores: readonly number[]): number {
  const most = scores.reduce((greatest, score) => (score > greatest ? score : greatest), -Infinity);
  return Number.isFinite(most) ? scores.indexOf(most) : -1;
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

const mean = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

function meanLoss(scores: readonly RowScore[]): number {
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  return scores.reduce((sum, score) => sum + score.loss * score.tokens, 0) / tokens;
}
