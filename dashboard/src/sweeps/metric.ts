/** By what the runs of a sweep are compared: the best evaluation of validation rows, by its score, or by its loss where none has
    a score. Without validation rows there is the loss of training only. */
import { scoresOf } from "../../../schema/best-evaluation.ts";
import { formatLoss, formatShare } from "../format.ts";
import type { SweptRunFragment } from "./operations.ts";

export type SweptRun = SweptRunFragment;

export interface Metric {
  readonly title: string;
  readonly better: "higher" | "lower";
  /** Null before it is measured. */
  readonly of: (run: SweptRun) => number | null;
  readonly format: (value: number | null) => string;
}

const score: Metric = {
  title: "Best score",
  better: "higher",
  of: ({ bestEvaluation: best, hyperparameters }) => {
    const names = scoresOf[hyperparameters.bestMetric];
    return best && (names.map((name) => best[name]).find((value) => value !== null) ?? null);
  },
  format: formatShare,
};
const loss: Metric = {
  title: "Best loss",
  better: "lower",
  of: ({ bestEvaluation }) => bestEvaluation?.loss ?? null,
  format: formatLoss,
};
const trainingLoss: Metric = {
  title: "Training loss",
  better: "lower",
  of: (run) => run.loss,
  format: formatLoss,
};

export function metricOf(runs: readonly SweptRun[]): Metric {
  const found = [score, loss].find((metric) => runs.some((run) => metric.of(run) !== null));
  return found ?? (runs.some((run) => run.loss !== null) ? trainingLoss : loss);
}

export const isOfValidation = ({ title }: Metric) => title !== trainingLoss.title;

/** Runs that are measured first, the best of them at the start; the others stay in their order. */
export function byMetric(runs: readonly SweptRun[], { of, better }: Metric): SweptRun[] {
  const worth = (run: SweptRun) => {
    const value = of(run);
    return value === null ? -Infinity : better === "higher" ? value : -value;
  };
  return runs.toSorted((a, b) => {
    const [one, other] = [worth(a), worth(b)];
    return one === other ? 0 : other - one;
  });
}
