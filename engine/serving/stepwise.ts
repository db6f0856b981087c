/** Work that takes long, such as loading a model, in parts between which others have their turn. */

/** A part that takes longer, such as reading a file to hash it, goes on while others have theirs. */
const patienceMs = 50;

export class Stepwise {
  readonly #work: (pause: () => Promise<void>) => Promise<void>;
  #part: Promise<void> | null = null;
  #resume: (() => void) | null = null;
  #reached = () => {};
  #ended = false;

  /** `work` waits for `pause` between its parts. It never rejects. */
  constructor(work: (pause: () => Promise<void>) => Promise<void>) {
    this.#work = work;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Up to the next pause, or the end, or until others should have their turn. */
  async step(): Promise<void> {
    if (this.#ended) return;
    this.#part ??= this.#next().then(() => void (this.#part = null));
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
    await Promise.race([this.#part, patience]);
    clearTimeout(timer);
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#reached = resolve;
      if (this.#resume) this.#resume();
      else this.#start();
    });
  }

  #start(): void {
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
