/** Classification: which of a row's candidate completions does the model find most likely? */
import { invariant } from "../../schema/errors.ts";
import type { ModelKind } from "../../schema/model-kind.ts";
import type { EncodedRow, ModelBounds } from "../../dataset/encode.ts";
import { encodeText, promptCut } from "../../dataset/encode.ts";
import type { Row } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import type { Objective } from "./objective.ts";
import { pick } from "./objective.ts";

/** A row as a choice between candidates. */
export interface Choice {
  /** The prompt with each candidate. */
  readonly rows: readonly EncodedRow[];
  /** Index of the right candidate. */
  readonly right: number;
  /** The calibration prompt with each candidate; null without calibration. */
  readonly neutral: readonly EncodedRow[] | null;
}

/** Where candidates come from, and how they are encoded. */
export interface ChoiceSettings {
  /** Null if the model folder has no tokenizer; its rows are tokens then, which have no candidates. */
  readonly tokenizer: Tokenizer | null;
  readonly kind: ModelKind;
  /** Candidates of rows that list none. */
  readonly labelWords: readonly string[];
  /** A prompt without content, to calibrate the candidates' scores; null for no calibration. */
  readonly calibrationPrompt: string | null;
  /** What rows must fit into, if prompts may be cut. */
  readonly bounds?: ModelBounds;
}

/** A function that encodes rows as choices; it returns null for a row without candidates when there are no label words. */
export function choiceEncoder({ tokenizer, kind, labelWords, calibrationPrompt, bounds }: ChoiceSettings) {
  const neutral = new Map<string, EncodedRow>();
  const neutralOf = (candidate: string): EncodedRow => {
    invariant(tokenizer && calibrationPrompt !== null, "a calibration has a prompt");
    const known = neutral.get(candidate) ?? encodeText(tokenizer, calibrationPrompt, candidate, kind);
    neutral.set(candidate, known);
    return known;
  };
  return (row: Row): Choice | null => {
    if (!("completion" in row) || !tokenizer) return null;
    const { prompt, completion, candidates = labelWords } = row;
    if (candidates.length === 0) return null;
    const cut = bounds ? promptCut(tokenizer, row, bounds, labelWords) : null;
    return {
      rows: candidates.map((candidate) => encodeText(tokenizer, prompt, candidate, kind, cut)),
      right: candidates.indexOf(completion),
      neutral: calibrationPrompt === null ? null : candidates.map(neutralOf),
    };
  };
}

/**
 * CLASSIFICATION minimises the cross-entropy of the right candidate under a softmax over the candidates' scores; ACCURACY
 * minimises the share of wrong choices (1 for a row whose right candidate does not have the best score, else 0). Scores that
 * are not finite have no value, so that the step is skipped with either.
 */
export function choiceObjective(choices: readonly Choice[], kind: "CLASSIFICATION" | "ACCURACY"): Objective {
  const valueOf = kind === "ACCURACY" ? finiteErrorOf : crossEntropy;
  return {
    count: choices.length,
    ...(kind === "ACCURACY" && { smooth: choiceObjective(choices, "CLASSIFICATION") }),
    async measure(model, indices, perturbation) {
      const picked = pick(choices, indices);
      const sequences = sequencesOf(picked);
      const sides = await model.sideLosses(sequences, perturbation);
      return sides.map((losses) =>
        Float64Array.from(candidateScores(picked, sequences, losses), ({ scores, right }) => valueOf(scores, right)),
      );
    },
  };
}

/** All sequences that the choices need, each once: calibration sequences are shared. */
export function sequencesOf(choices: readonly Choice[]): EncodedRow[] {
  return [...new Set(choices.flatMap(({ rows, neutral }) => [...rows, ...(neutral ?? [])]))];
}

/**
 * The scores of each choice's candidates, given the losses of all scored tokens of `sequences`. A score is the mean
 * log-likelihood of the candidate's tokens; with calibration, how much likelier the prompt makes it than the calibration
 * prompt does (domain conditional PMI, Holtzman et al. 2021, as in MeZO's code).
 */
export function candidateScores(choices: readonly Choice[], sequences: readonly EncodedRow[], losses: Float64Array) {
  const means = new Map<EncodedRow, number>();
  let at = 0;
  for (const sequence of sequences) {
    const own = losses.subarray(at, at + sequence.targets.length);
    means.set(sequence, own.reduce((sum, loss) => sum + loss, 0) / own.length);
    at += own.length;
  }
  const mean = (sequence: EncodedRow | undefined) => (sequence && means.get(sequence)) ?? 0;
  return choices.map(({ rows, right, neutral }) => ({
    scores: rows.map((row, i) => mean(neutral?.[i]) - mean(row)),
    right,
  }));
}

/** 0 if the right candidate alone has the best score, else 1. */
export function errorOf(scores: readonly number[], right: number): number {
  const rightScore = scores[right] ?? NaN;
  return scores.every((score, index) => index === right || rightScore > score) ? 0 : 1;
}

function finiteErrorOf(scores: readonly number[], right: number): number {
  return scores.every(Number.isFinite) ? errorOf(scores, right) : NaN;
}

function crossEntropy(scores: readonly number[], right: number): number {
  const peak = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const sum = scores.reduce((total, score) => total + Math.exp(score - peak), 0);
  return Math.log(sum) + peak - (scores[right] ?? NaN);
}
