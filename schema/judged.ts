/** Which of two evaluations is better; the best of a run so far, and how many have come since: what early stopping goes by. */

/** An evaluation of the validation rows; `entries` says of which place in the log. */
export interface Judged {
  readonly entries: number;
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number | null;
  /** Of answers that the model writes; none when left out. */
  readonly f1?: number | null;
}

export class BestSoFar {
  #best: Judged | null = null;
  #since = 0;

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
    const better = this.#best === null || isBetter(next, this.#best);
    if (better) this.#best = next;
    this.#since = better ? 0 : this.#since + 1;
    return better;
  }
}

/** By F1 of answers where there is one, then by accuracy; of equal ones, and without, by loss. A loss that is not a number never wins. */
export function isBetter(a: Judged, b: Judged): boolean {
  if (a.f1 != null && b.f1 != null && a.f1 !== b.f1) return a.f1 > b.f1;
  if (a.accuracy !== null && b.accuracy !== null && a.accuracy !== b.accuracy) return a.accuracy > b.accuracy;
  return a.loss < b.loss;
}
