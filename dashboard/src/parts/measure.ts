/** By what a run judges its checkpoints: the score that its setting bestMetric names, or the loss. */
import { scoresOf } from "../../../schema/best-evaluation.ts";
import type { BestMetric } from "../../../schema/hyperparameters.ts";
import { formatLoss, formatShare } from "../format.ts";

export interface Measured {
  readonly loss: number | null;
  readonly accuracy: number | null;
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

export interface Measure {
  /** As it stands within a sentence. */
  readonly name: "F1" | "accuracy" | "exact match" | "validation loss";
  readonly better: "higher" | "lower";
  /** Null before it is measured. */
  readonly of: (evaluation: Measured) => number | null;
  readonly format: (value: number | null | undefined) => string;
}

const loss: Measure = { name: "validation loss", better: "lower", of: (one) => one.loss, format: formatLoss };
const score = (name: Measure["name"], of: Measure["of"]): Measure => ({
  name,
  better: "higher",
  of,
  format: formatShare,
});
const scores = {
  f1: score("F1", ({ f1 }) => f1),
  accuracy: score("accuracy", ({ accuracy }) => accuracy),
  exactMatch: score("exact match", ({ exactMatch }) => exactMatch),
};

/** The first score of the metric that some of the evaluations have; otherwise the loss. */
export function measureOf(metric: BestMetric, evaluations: readonly Measured[]): Measure {
  return (
    firstMeasured(
      scoresOf[metric].map((name) => scores[name]),
      evaluations,
    ) ?? loss
  );
}

/** What there is to show beside the loss: what the run is judged by, or any score; null where there is none. */
export function scoreOf(metric: BestMetric, evaluations: readonly Measured[]): Measure | null {
  const judged = measureOf(metric, evaluations);
  return judged === loss ? firstMeasured(Object.values(scores), evaluations) : judged;
}

/** From 0 to 1; null where an evaluation has a loss only. */
export const scoreOfOne = (metric: BestMetric, evaluation: Measured): number | null =>
  scoreOf(metric, [evaluation])?.of(evaluation) ?? null;

function firstMeasured(known: readonly Measure[], evaluations: readonly Measured[]): Measure | null {
  return known.find(({ of }) => evaluations.some((one) => of(one) !== null)) ?? null;
}

/** At the start of a sentence or on its own: "Exact match". */
export const titleOf = ({ name }: Measure) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`;

export interface Judged {
  readonly measure: Measure;
  readonly value: number | null;
}

export function judged(metric: BestMetric, evaluation: Measured): Judged {
  const measure = measureOf(metric, [evaluation]);
  return { measure, value: measure.of(evaluation) };
}

/** Those with the best value; none where there is nothing to compare, or where they are judged by different measures. */
export function bestAmong<One>(all: readonly One[], of: (one: One) => Judged | null): ReadonlySet<One> {
  const found = all.flatMap((one) => {
    const { measure, value = null } = of(one) ?? {};
    return measure === undefined || value === null ? [] : [{ one, measure, value }];
  });
  const [measure, ...others] = new Set(found.map((one) => one.measure));
  if (found.length < 2 || others.length > 0) return new Set();
  const values = found.map(({ value }) => value);
  const best = measure?.better === "lower" ? Math.min(...values) : Math.max(...values);
  return new Set(found.flatMap(({ one, value }) => (value === best ? [one] : [])));
}
