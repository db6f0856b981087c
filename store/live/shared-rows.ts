/** Numbered rows, such as the steps of a run, for many subscribers: each gets what comes after its own number, once and in order. */
import { invariant } from "../../schema/errors.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { SharedReaders, patiently } from "./shared.ts";
import { type Page, type Source, type Window, grown } from "./window.ts";

/** The newest rows of an id are read once for all that follow it; whoever is further behind reads for itself. */
export class SharedRows<Row> {
  readonly #notifications: Notifications;
  readonly #sourceOf: (id: string) => Source<Row>;
  readonly #readers: SharedReaders<Window<Row>>;
  /** Pages that are being read, by run and number: those who come back together after an outage read the same ones. */
  readonly #pages = new Map<string, Promise<Page<Row>>>();

  constructor(notifications: Notifications, sourceOf: (id: string) => Source<Row>) {
    this.#notifications = notifications;
    this.#sourceOf = sourceOf;
    this.#readers = new SharedReaders<Window<Row>>(notifications, (id) => ({
      read: (before) => grown(sourceOf(id), before),
      isLast: ({ hasEnded }) => hasEnded,
    }));
  }

  /** A subscriber holds its number, and rows only while it reads what is older than the window. */
  async *after(id: string, start: number, over: AbortSignal): AsyncGenerator<Row, void> {
    const { reader, leave } = this.#readers.follow(id);
    try {
      for (let after = start; !over.aborted;) {
        const window = reader.state;
        const place = window ? after + 1 - window.first : 0;
        const row = place < 0 ? undefined : window?.rows[place];
        if (window && place < 0) {
          for await (const older of this.#page(id, after, over)) {
            yield older;
            after += 1;
          }
        } else if (row !== undefined) {
          yield row;
          after += 1;
        } else if (window?.hasEnded) return;
        else await reader.changed(window, over);
      }
    } finally {
      leave();
    }
  }

  async *#page(id: string, after: number, over: AbortSignal): AsyncGenerator<Row, void> {
    const page = await patiently(this.#notifications, over, () => this.#read(id, after));
    if (!page) return;
    const [first] = page.rows;
    invariant(
      first && this.#sourceOf(id).indexOf(first) === after + 1,
      `row ${after + 1} is older than the newest ones`,
    );
    yield* page.rows;
  }

  async #read(id: string, after: number): Promise<Page<Row>> {
    const key = `${id} ${after}`;
    const known = this.#pages.get(key);
    if (known) return known;
    const page = this.#sourceOf(id).read(after);
    this.#pages.set(key, page);
    return page.finally(() => this.#pages.delete(key));
  }
}
