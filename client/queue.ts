/** Items pushed by callbacks, read by one async iteration. */
export class Queue<T> {
  readonly #items: T[] = [];
  #wake: () => void = () => {};
  #done = false;
  #work: Promise<void> = Promise.resolve();

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /** Ends the iteration, after what is queued, when `work` is done or fails. */
  closeAfter(work: Promise<void>): void {
    this.#work = work;
    void work
      .catch(() => {})
      .finally(() => {
        this.#done = true;
        this.#wake();
      });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      yield* this.#items.splice(0);
      if (this.#items.length > 0) continue;
      if (this.#done) break;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    await this.#work;
  }
}
