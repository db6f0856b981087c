/** Which of two evaluations is better, and the best one of a run so far: early stopping and checkpoints depend on it. */

import type { BestMetric } from "./hyperparameters.ts";
import type { EvaluationKind } from "./states.ts";

/** An evaluation, and after which step and which entry of the log it was made. */
export interface StepEvaluation {
  readonly entries: number;
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number | null;
  /** Scores of generated answers; null or left out when none were generated. */
  readonly f1?: number | null;
  readonly exactMatch?: number | null;
}

export class BestSoFar {
  readonly #metric: BestMetric;
  #best: StepEvaluation | null = null;
  #since = 0;

  constructor(metric: BestMetric = "AUTO") {
    this.#metric = metric;
  }

  /** Null before the first evaluation. */
  get best(): StepEvaluation | null {
    return this.#best;
  }

  /** Number of evaluations since the best one. */
  get since(): number {
    return this.#since;
  }

  /** Adds the next evaluation. Returns whether it is the best so far. */
  add(next: StepEvaluation): boolean {
    const better = this.#best === null || isBetter(next, this.#best, this.#metric);
    if (better) this.#best = next;
    this.#since = better ? 0 : this.#since + 1;
    return better;
  }
}

/** The best of the validation rows; null without one. */
export function bestOf<One extends StepEvaluation & { readonly kind: EvaluationKind }>(
  evaluations: readonly One[],
  metric: BestMetric,
): One | null {
  return evaluations
    .filter(({ kind }) => kind === "VALIDATION")
    .reduce<One | null>((best, next) => (best === null || isBetter(next, best, metric) ? next : best), null);
}

type Score = "f1" | "accuracy" | "exactMatch";

/** The scores that each metric compares, in this order. */
export const scoresOf: Readonly<Record<BestMetric, readonly Score[]>> = {
  AUTO: ["f1", "accuracy"],
  LOSS: [],
  ACCURACY: ["accuracy"],
  F1: ["f1"],
  EXACT_MATCH: ["exactMatch"],
};

const scoreNames = { f1: "F1", accuracy: "accuracy", exactMatch: "exact match" } as const;

/** The score by which the metric compares an evaluation first; null if that is the loss. */
export function scoreOf(
  evaluation: StepEvaluation,
  metric: BestMetric,
): { readonly name: (typeof scoreNames)[Score]; readonly value: number } | null {
  for (const score of scoresOf[metric]) {
    const value = evaluation[score] ?? null;
    if (value !== null) return { name: scoreNames[score], value };
  }
  return null;
}

/**
 * Compares the metric's scores if both evaluations have them, then the losses. One whose loss is not finite, because the
 * run has diverged, is never better, and worse than any other.
 */
export function isBetter(a: StepEvaluation, b: StepEvaluation, metric: BestMetric = "AUTO"): boolean {
  const [finite, otherFinite] = [a, b].map(({ loss }) => Number.isFinite(loss));
  if (!finite || !otherFinite) return finite === true;
  for (const name of scoresOf[metric]) {
    const [one, other] = [a[name] ?? null, b[name] ?? null];
    if (one !== null && other !== null && one !== other) return one > other;
  }
  return a.loss < b.loss;
}
