/** Numbered rows, such as the steps of a run, for many subscribers: each gets what comes after its own number, once and in order. */
import { invariant } from "../../schema/errors.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { type Follower, SharedReaders, patiently } from "./shared.ts";
import { type Page, type Rows, type Source, type Window, grown } from "./window.ts";

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
  after(id: string, start: number, over: AbortSignal): Rows<Row> {
    return new RowsAfter(start, {
      follow: () => this.#readers.follow(id, over),
      older: (after) => this.#older(id, after, over),
      over,
    });
  }

  /** The page after a row that is older than the window; null at the signal. */
  async #older(id: string, after: number, over: AbortSignal): Promise<Rest<Row> | null> {
    const page = await patiently(this.#notifications, over, () => this.#read(id, after));
    if (!page) return null;
    const [first] = page.rows;
    invariant(
      first && this.#sourceOf(id).indexOf(first) === after + 1,
      `row ${after + 1} is older than the newest ones`,
    );
    return { first: after + 1, rows: page.rows };
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

/** Rows `first`, `first` + 1, ... */
type Rest<Row> = Pick<Window<Row>, "first" | "rows">;

interface Following<Row> {
  readonly follow: () => Follower<Window<Row>>;
  readonly older: (after: number) => Promise<Rest<Row> | null>;
  readonly over: AbortSignal;
}

/** By hand: generators in generators would make several promises of each row more, a thousand times at each step of a run. */
class RowsAfter<Row> implements Rows<Row> {
  readonly #following: Following<Row>;
  #follower: Follower<Window<Row>> | null = null;
  #after: number;
  #page: Rest<Row> | null = null;
  #isOver = false;

  constructor(after: number, following: Following<Row>) {
    this.#after = after;
    this.#following = following;
  }

  async next(): Promise<IteratorResult<Row, void>> {
    try {
      while (!this.#isOver && !this.#following.over.aborted) {
        this.#follower ??= this.#following.follow();
        const window = this.#follower.state;
        const row = this.#take(window);
        if (row !== undefined) return { value: row, done: false };
        if (window !== null && this.#after + 1 < window.first) this.#page = await this.#following.older(this.#after);
        else if (window?.hasEnded === true) break;
        else await this.#follower.changed(window);
      }
    } catch (error) {
      this.#end();
      throw error;
    }
    return this.#end();
  }

  /** Does not end a next() that is waiting: the signal does. */
  async return(): Promise<IteratorResult<Row, void>> {
    return this.#end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(window: Window<Row> | null): Row | undefined {
    const older = rowAfter(this.#page, this.#after);
    if (older === undefined) this.#page = null;
    const row = older ?? rowAfter(window, this.#after);
    if (row !== undefined) this.#after += 1;
    return row;
  }

  #end(): IteratorReturnResult<void> {
    this.#isOver = true;
    this.#page = null;
    this.#follower?.leave();
    return { value: undefined, done: true };
  }
}

function rowAfter<Row>(rest: Rest<Row> | null, after: number): Row | undefined {
  return rest?.rows[after + 1 - rest.first];
}
