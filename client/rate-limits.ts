/**
 * A rate limit that is used up refuses a request before anything of it is done, so that the same request may come again
 * whatever it does: after as many seconds as the service says, and for no longer than the client's user has patience.
 */
import { SteplogError, passing } from "../schema/errors.ts";
import { pause } from "./pause.ts";

export interface RateLimitOptions {
  /**
   * How long a request may wait in all because a rate limit is used up, milliseconds; 120000 when left out. One that would
   * wait for longer, and with 0 any, fails as RATE_LIMITED, with `retryAfterS`.
   */
  readonly rateLimitPatienceMs?: number;
  /** Called before the client waits, once for all requests that wait together, with the seconds. */
  readonly onRateLimit?: (seconds: number) => void;
}

/** Two windows of the service's limits: others may have used up the one that has just begun. */
const usualPatienceMs = 120_000;
/** Requests that are refused within this time of each other wait together. */
const togetherMs = 1_500;

export class RateLimitWaits {
  readonly #patienceMs: number;
  readonly #onWait: (seconds: number) => void;
  /** When the wait that the user was last told of ends. */
  #toldUntil = -Infinity;

  constructor({ rateLimitPatienceMs = usualPatienceMs, onRateLimit = () => {} }: RateLimitOptions) {
    this.#patienceMs = rateLimitPatienceMs;
    this.#onWait = onRateLimit;
  }

  /**
   * What `work` gives once no rate limit refuses it. When the signal aborts, it is done once more, and looks at the signal.
   * @throws SteplogError RATE_LIMITED beyond the patience, or when it cannot be done again; and what `work` throws
   */
  async outlast<T>(work: () => Promise<T>, canRepeat = true, signal?: AbortSignal): Promise<T> {
    let waitedMs = 0;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof SteplogError && error.code === "RATE_LIMITED") || !canRepeat) throw error;
        const seconds = error.retryAfterS ?? passing.RATE_LIMITED ?? 60;
        waitedMs += 1_000 * seconds;
        if (waitedMs > this.#patienceMs) throw error;
        this.#tell(seconds);
        await pause(1_000 * seconds, signal);
      }
    }
  }

  #tell(seconds: number): void {
    const until = performance.now() + 1_000 * seconds;
    if (until > this.#toldUntil + togetherMs) this.#onWait(seconds);
    this.#toldUntil = Math.max(until, this.#toldUntil);
  }
}
