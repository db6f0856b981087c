/** Work that takes long, such as loading a model, in steps between which others have their turn. */
export class Stepwise {
  readonly #work: (pause: () => Promise<void>) => Promise<void>;
  #started = false;
  #resume = () => {};
  #reached = () => {};
  #ended = false;

  /** `work` waits for `pause` between its parts. It never rejects. */
  constructor(work: (pause: () => Promise<void>) => Promise<void>) {
    this.#work = work;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Up to the next pause, or the end. */
  step(): Promise<void> {
    return new Promise((resolve) => {
      this.#reached = resolve;
      if (this.#started) this.#resume();
      else this.#start();
    });
  }

  #start(): void {
    this.#started = true;
    const pause = () =>
      new Promise<void>((resolve) => {
        this.#resume = resolve;
        this.#reached();
      });
    void this.#work(pause).then(() => {
      this.#ended = true;
      this.#reached();
    });
  }
}
