/**
 * Requests that somebody waits for at this gateway. The store is told every few seconds, for all of them at once: when a gateway
 * dies, what it waited for ends by itself. What nobody answers in time ends from here too, and what has expired is deleted, so
 * that neither depends on a worker.
 */
import { setInterval } from "node:timers";
import type { Logger } from "pino";
import { attendMs } from "../schema/limits.ts";
import type { Store } from "../store/store.ts";

/** How often what has expired is deleted where nobody waits for anything. */
const forgetEveryMs = 30_000;

export class Attention {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #ids = new Set<string>();
  readonly #sweeper: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, log: Logger, everyMs = forgetEveryMs) {
    this.#store = store;
    this.#log = log;
    this.#sweeper = setInterval(() => this.#forget(), everyMs).unref();
  }

  /** From now on somebody waits, until the function that it returns is called. */
  join(id: string): () => void {
    this.#ids.add(id);
    this.#timer ??= setInterval(() => this.#tell(), attendMs.renew).unref();
    return () => {
      this.#ids.delete(id);
      if (this.#ids.size === 0) this.#rest();
    };
  }

  close(): void {
    this.#rest();
    clearInterval(this.#sweeper);
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    // While Postgres does not answer, requests may end, as if nobody waited.
    this.#store.completions.attend([...this.#ids]).catch((error: unknown) => {
      this.#log.warn({ err: error }, "the store was not told who waits for answers");
    });
    this.#forget();
  }

  /** Workers do it too, where there are any. */
  #forget(): void {
    this.#store.completions.forget().catch((error: unknown) => {
      this.#log.warn({ err: error }, "what is past its time was not ended or deleted");
    });
  }
}
