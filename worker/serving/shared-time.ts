/**
 * The time of a worker, shared by the requests that it answers at once: of a second with four of them, each has a quarter. So
 * what requests take adds up to what the worker took, however many there are.
 */
export class SharedTime {
  readonly #nowMs: () => number;
  #sharing = 0;
  /** As of when `#eachMs` is, and what a request would have that had shared from the first moment on. */
  #asOf = 0;
  #eachMs = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** For one that begins now. Returns what ends it, and tells its seconds, then and whenever it is asked again. */
  begin(): () => number {
    const from = this.#count(1);
    let seconds: number | null = null;
    return () => (seconds ??= (this.#count(-1) - from) / 1_000);
  }

  /** Returns `#eachMs` as of now, from when on there are so many more. */
  #count(more: 1 | -1): number {
    const now = this.#nowMs();
    if (this.#sharing > 0) this.#eachMs += (now - this.#asOf) / this.#sharing;
    this.#asOf = now;
    this.#sharing += more;
    return this.#eachMs;
  }
}
