/** Whose turn it is: each that has work takes a step, one after the other, so that none waits for more than a step of each. */
export interface Stepped {
  step(): Promise<void>;
}

export class Scheduler {
  /** In the order in which they had their last turn. */
  #served: Stepped[] = [];

  /** A step of whoever has waited longest; of several that never had a turn, the first. */
  async step(working: readonly Stepped[]): Promise<void> {
    const [next] = working.toSorted((a, b) => this.#served.indexOf(a) - this.#served.indexOf(b));
    if (!next) return;
    this.#served = [...this.#served.filter((one) => one !== next && working.includes(one)), next];
    await next.step();
  }
}
