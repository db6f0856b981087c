/**
 * API keys as this gateway knows them. What the store has said of a key is kept until keys may have changed: so a request seldom
 * asks the store, and a key that was revoked ends here at once, with whatever is open under it.
 */
import type { Logger } from "pino";
import type { Viewer } from "../schema/projects.ts";
import type { Keys } from "../store/store.ts";

/** Answers that are kept: somebody may try many keys. */
const mostKnown = 10_000;

export class KeyRing {
  readonly #keys: Keys;
  readonly #log: Logger;
  readonly #over = new AbortController();
  readonly #open = new Map<symbol, { readonly key: string; readonly end: () => void }>();
  #known = new Map<string, Promise<Viewer | null>>();
  #hasKeys = false;

  constructor(keys: Keys, log: Logger) {
    this.#keys = keys;
    this.#log = log;
    void this.#watch();
  }

  close(): void {
    this.#over.abort();
  }

  /** Whether there are keys, so that every request needs one. Only a yes is cached: the first key must take effect at once. */
  async any(): Promise<boolean> {
    if (!this.#hasKeys) this.#hasKeys = await this.#keys.any();
    return this.#hasKeys;
  }

  viewerOf(key: string): Promise<Viewer | null> {
    const known = this.#known.get(key);
    if (known) return known;
    if (this.#known.size >= mostKnown) this.#known.clear();
    const asked = this.#keys.viewerOf(key).catch((error: unknown) => {
      this.#known.delete(key);
      throw error;
    });
    this.#known.set(key, asked);
    return asked;
  }

  /** Ends what is open under a key once that has ended. Returns what to call when it has closed by itself. */
  onEnd(key: string, end: () => void): () => void {
    const id = Symbol("open");
    this.#open.set(id, { key, end });
    // It may have ended since the request was let in, and the news have come before this was open.
    void this.#endEnded(key, () => this.#open.has(id) && end());
    return () => this.#open.delete(id);
  }

  async #watch(): Promise<void> {
    try {
      for await (const _ of this.#keys.changes(this.#over.signal)) {
        this.#known = new Map();
        this.#hasKeys = false;
        await this.#endOpen();
      }
    } catch (error) {
      this.#log.error({ err: error }, "changes of API keys are not watched any more");
    }
  }

  /** While Postgres does not answer, what is open stays open. */
  async #endOpen(): Promise<void> {
    for (const { key, end } of this.#open.values()) await this.#endEnded(key, end);
  }

  async #endEnded(key: string, end: () => void): Promise<void> {
    const viewer = await this.viewerOf(key).catch(() => "unknown");
    if (viewer === null) end();
  }
}
