/**
 * How long a run has trained. Steps, evaluations and checkpoints each take the seconds since the one before, so that nothing
 * falls between them: what passing a step on takes, or requests that are answered in between, counts as the next one's.
 */
export class TrainingTime {
  #total: number;
  #last = performance.now();

  /** @param before seconds that earlier workers trained the run */
  constructor(before: number) {
    this.#total = before;
  }

  /** Seconds of the whole run up to the last lap. */
  get total(): number {
    return this.#total;
  }

  /** Ends a lap. Returns its seconds. */
  lap(): number {
    const now = performance.now();
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    this.#total += seconds;
    return seconds;
  }
}
