/** Which of two evaluations is better; the best of a run so far, and how many have come since: what early stopping goes by. */

import type { BestMetric } from "./hyperparameters.ts";

/** An evaluation of the validation rows; `entries` says of which place in the log. */
export interface Judged {
  readonly entries: number;
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number | null;
  /** These two are of answers that the model writes; none when left out. */
  readonly f1?: number | null;
  readonly exactMatch?: number | null;
}

export class BestSoFar {
  readonly #metric: BestMetric;
  #best: Judged | null = null;
  #since = 0;

  constructor(metric: BestMetric = "AUTO") {
    this.#metric = metric;
  }

  /** Null before the first evaluation. */
  get best(): Judged | null {
    return this.#best;
  }

  /** Evaluations since the best one. */
  get since(): number {
    return this.#since;
  }

  /** Takes the next evaluation; whether it is the best now. */
  add(next: Judged): boolean {
    const better = this.#best === null || isBetter(next, this.#best, this.#metric);
    if (better) this.#best = next;
    this.#since = better ? 0 : this.#since + 1;
    return better;
  }
}

/** The shares that a metric goes by, in this order. */
const sharesOf: Readonly<Record<BestMetric, readonly ("f1" | "accuracy" | "exactMatch")[]>> = {
  AUTO: ["f1", "accuracy"],
  LOSS: [],
  ACCURACY: ["accuracy"],
  F1: ["f1"],
  EXACT_MATCH: ["exactMatch"],
};

/** By the metric's shares where there are any; of equal ones, and without, by loss. A loss that is not a number never wins. */
export function isBetter(a: Judged, b: Judged, metric: BestMetric = "AUTO"): boolean {
  for (const name of sharesOf[metric]) {
    const [one, other] = [a[name] ?? null, b[name] ?? null];
    if (one !== null && other !== null && one !== other) return one > other;
  }
  return a.loss < b.loss;
}
