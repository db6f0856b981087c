/**
 * Delivers what the outbox holds (store/webhooks/outbox.ts). Every gateway has a sender; each takes what no other has. A few
 * attempts are under way at once, fewer of one endpoint, so that a slow one does not hold up the others.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { ClaimedDelivery, Outbox } from "../../store/store.ts";
import type { Poster } from "./post.ts";

const atOnce = 16;
const atOnceOfOne = 4;
/** After a failure of the store. */
const pauseMs = 2_000;
/** How long attempts may go on when the gateway stops. */
const drainMs = 2_000;

interface SenderOptions {
  readonly outbox: Outbox;
  readonly poster: Poster;
  readonly log: Logger;
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #closing = new AbortController();
  readonly #stopping = new AbortController();
  /** Attempts under way, with their endpoints. */
  readonly #attempts = new Map<Promise<void>, string>();
  readonly #running: Promise<void>;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** What is under way may end for a moment; the rest is broken off, and due again at once. */
  async close(): Promise<void> {
    this.#closing.abort();
    const drained = setTimeout(() => this.#stopping.abort(), drainMs);
    await this.#running;
    await Promise.all(this.#attempts.keys());
    clearTimeout(drained);
    await this.#options.poster.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const news = this.#options.outbox.news(signal);
    let change = news.change();
    while (!signal.aborted) {
      await this.#start();
      // One waiter at a time: the news is a flag, and looking lowers it.
      const heard = change.then(() => "news");
      if ((await Promise.race([heard, ...this.#attempts.keys()])) === "news") change = news.change();
    }
    news.close();
  }

  /** Begins as many attempts as there are due, and room for. */
  async #start(): Promise<void> {
    const { outbox, log } = this.#options;
    try {
      while (this.#attempts.size < atOnce && !this.#closing.signal.aborted) {
        const claimed = await outbox.claim(this.#busy());
        if (!claimed) return;
        this.#attempt(claimed);
      }
    } catch (error) {
      log.warn({ err: error }, "the store did not say what is to be delivered to webhooks");
      await delay(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  /** Endpoints that have as many attempts as they may. */
  #busy(): string[] {
    const counts = new Map<string, number>();
    for (const id of this.#attempts.values()) counts.set(id, (counts.get(id) ?? 0) + 1);
    return [...counts].flatMap(([id, count]) => (count >= atOnceOfOne ? [id] : []));
  }

  #attempt(claimed: ClaimedDelivery): void {
    const attempt = this.#deliver(claimed).finally(() => this.#attempts.delete(attempt));
    this.#attempts.set(attempt, claimed.endpointId);
  }

  async #deliver(claimed: ClaimedDelivery): Promise<void> {
    const { outbox, poster, log } = this.#options;
    const { endpointId, type, number } = claimed;
    try {
      const outcome = await poster.post(claimed, this.#stopping.signal);
      const disabled = await outbox.finish(claimed, outcome);
      // Without what was answered, which its owner reads in the log of the webhook.
      const { result, responseCode, seconds } = outcome;
      if (result !== "DELIVERED")
        log.info({ endpointId, type, number, result, responseCode, seconds }, "a webhook was not delivered");
      if (disabled !== null) log.warn({ endpointId, reason: disabled }, "a webhook was disabled");
    } catch (error) {
      // It will be made again once it counts as lost.
      log.warn({ err: error, endpointId, type, number }, "the outcome of a webhook's delivery was not stored");
    }
  }
}
