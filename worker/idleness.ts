/**
 * Since when a worker has had nothing to do. Whatever does work says how much of it there is now: the job, requests that are
 * held, and models that are read (`ModelsWatch.reading` of models/registration.ts) or stored (models/sharing.ts).
 */
type Source = "jobs" | "requests" | "models" | "downloads" | "stored models";

export class Idleness {
  readonly #now: () => number;
  readonly #work = new Map<Source, number>();
  /** When the last work ended; null while there is some. */
  #since: number | null;
  #changed = () => {};

  constructor(now = () => performance.now()) {
    this.#now = now;
    this.#since = now();
  }

  /** How much there is of one kind of work. */
  set(source: Source, count: number): void {
    this.#work.set(source, count);
    const isBusy = [...this.#work.values()].some((some) => some > 0);
    if (isBusy) this.#since = null;
    else this.#since ??= this.#now();
    this.#changed();
  }

  /** Returns once there was nothing to do for this long; never after the signal. */
  async lasts(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const look = () => {
        clearTimeout(timer);
        if (this.#since === null || signal.aborted) return;
        const left = this.#since + ms - this.#now();
        if (left <= 0) resolve();
        // Unless something holds the process, it ends.
        else timer = setTimeout(look, Math.min(Math.ceil(left), longestMs)).unref();
      };
      this.#changed = look;
      signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
      look();
    });
  }
}

/** Longer timers overflow. */
const longestMs = 2 ** 31 - 1;
