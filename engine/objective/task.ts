/**
 * What a run lowers. MeZO needs two numbers of a batch and no gradient, so it may be any: the loss of the tokens that are
 * scored, the loss of a classification over candidates, or a count of errors, which has no gradient at all (MeZO, section 3.3).
 */
import { invariant } from "../../schema/errors.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Perturbation } from "../devices/device.ts";
import type { Model } from "../model/model.ts";

export interface Task {
  /** Rows that batches are drawn from. */
  readonly count: number;
  /** Of the rows at `places`, the values whose mean is lowered, on each side of a pass (Model.sideLosses). */
  measure(model: Model, places: readonly number[], perturbation: Perturbation | null): Promise<readonly Float64Array[]>;
}

/** The mean loss over the scored tokens of a batch, nats: language modelling. */
export function tokenTask(rows: readonly EncodedRow[]): Task {
  return {
    count: rows.length,
    measure: (model, places, perturbation) => model.sideLosses(pick(rows, places), perturbation),
  };
}

/** A row as a choice: a sequence for each candidate, and which of them is right. */
export interface Choice {
  readonly rows: readonly EncodedRow[];
  readonly right: number;
  /** The candidates behind a prompt that says nothing, for calibration; null without. */
  readonly neutral: readonly EncodedRow[] | null;
}

/**
 * The cross-entropy of the right candidate under a softmax over the candidates' scores ("CLASSIFICATION"), or 1 for a row
 * whose right candidate is not the best one and else 0 ("ACCURACY"). A score is the mean log-likelihood of a candidate's tokens.
 */
export function choiceTask(choices: readonly Choice[], kind: "CLASSIFICATION" | "ACCURACY"): Task {
  const valueOf = kind === "ACCURACY" ? errorOf : crossEntropy;
  return {
    count: choices.length,
    async measure(model, places, perturbation) {
      const chosen = pick(choices, places);
      const sequences = sequencesOf(chosen);
      const sides = await model.sideLosses(sequences, perturbation);
      return sides.map((losses) =>
        Float64Array.from(chosenScores(chosen, sequences, losses), ({ scores, right }) => valueOf(scores, right)),
      );
    },
  };
}

/** Every sequence that the choices need, once: prompts that say nothing are shared. */
export function sequencesOf(choices: readonly Choice[]): EncodedRow[] {
  return [...new Set(choices.flatMap(({ rows, neutral }) => [...rows, ...(neutral ?? [])]))];
}

/**
 * The candidates' scores of each choice, from the losses of all scored tokens of `sequences`. Calibrated, a score is how much
 * likelier the prompt makes the candidate (Holtzman et al. 2021, domain conditional PMI, which MeZO's code takes).
 */
export function chosenScores(choices: readonly Choice[], sequences: readonly EncodedRow[], losses: Float64Array) {
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

/** 0 when the right candidate alone has the best score, else 1. */
export function errorOf(scores: readonly number[], right: number): number {
  const wanted = scores[right] ?? NaN;
  return scores.every((score, index) => index === right || wanted > score) ? 0 : 1;
}

function crossEntropy(scores: readonly number[], right: number): number {
  const peak = Math.max(...scores);
  const sum = scores.reduce((total, score) => total + Math.exp(score - peak), 0);
  return Math.log(sum) + peak - (scores[right] ?? NaN);
}

function pick<T>(rows: readonly T[], places: readonly number[]): T[] {
  return places.map((place) => {
    const row = rows[place];
    invariant(row !== undefined, "a batch is of rows that there are");
    return row;
  });
}
