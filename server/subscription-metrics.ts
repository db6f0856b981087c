/** What Prometheus reads of subscriptions, counted around the feeds, which know nothing of it. */
import { Gauge, Histogram, type Registry } from "prom-client";
import type { ProjectStore, Rows, Store } from "../store/store.ts";

export class SubscriptionMetrics {
  readonly #open: Gauge<"feed">;
  readonly #lag: Histogram<"feed">;

  constructor(registers: Registry[]) {
    this.#open = new Gauge({
      name: "steplog_subscriptions",
      help: "Subscriptions and streamed answers that are open, by what they follow.",
      labelNames: ["feed"],
      registers,
    });
    this.#lag = new Histogram({
      name: "steplog_subscription_lag_seconds",
      help: "From when Postgres stored a row until a subscriber took it, of rows that are newer than the subscription.",
      labelNames: ["feed"],
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
      registers,
    });
  }

  /** The store, whose feeds are counted. */
  watched(store: Store): Store {
    return {
      ...store,
      ping: () => store.ping(),
      of: (...whose) => {
        const mine = store.of(...whose);
        return { ...mine, feed: this.#watchedFeed(mine.feed) };
      },
    };
  }

  #watchedFeed(feed: ProjectStore["feed"]): ProjectStore["feed"] {
    const at = (row: { readonly at: Date }) => row.at;
    return {
      steps: (id, options) => this.#counted("steps", feed.steps(id, options), at),
      events: (id, options) => this.#counted("events", feed.events(id, options), at),
      pieces: (id, options) => this.#counted("pieces", feed.pieces(id, options), at),
      // A row of a run does not say when it changed.
      status: (id, options) => this.#counted("status", feed.status(id, options), () => null),
    };
  }

  /** Open from the first pull to the end, or until the subscriber leaves. */
  #counted<Row>(feed: string, rows: Rows<Row>, at: (row: Row) => Date | null): Rows<Row> {
    const began = Date.now();
    let isOpen: boolean | null = null;
    const open = () => {
      if (isOpen !== null) return;
      isOpen = true;
      this.#open.inc({ feed });
    };
    const close = () => {
      if (isOpen === true) this.#open.dec({ feed });
      isOpen = false;
    };
    const taken = (result: IteratorResult<Row, void>) => {
      if (result.done === true) {
        close();
        return result;
      }
      const stored = at(result.value)?.getTime() ?? 0;
      if (stored > began) this.#lag.observe({ feed }, Math.max(0, Date.now() - stored) / 1_000);
      return result;
    };
    const failed = (error: unknown) => {
      close();
      throw error;
    };
    return {
      next() {
        open();
        return rows.next().then(taken, failed);
      },
      return() {
        close();
        return rows.return();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}
