/**
 * One reader of something that changes, for everybody who follows it: at each change it reads once, however many they are. It
 * reads while somebody follows, and never waits for them; whoever is slower than the changes sees the latest state only, and
 * finds out what it has missed itself.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../../schema/errors.ts";
import { asStoreError, isUnavailable } from "../postgres/failures.ts";
import type { Notifications } from "../postgres/notifications.ts";

/** Pause before a read is repeated while Postgres does not answer. */
const retryMs = 1_000;

/** @param before what was read last; null at the first read. Returns the same object when nothing has changed. */
export type Read<State> = (before: State | null) => Promise<State>;

class SharedReader<State> {
  readonly #read: Read<State>;
  readonly #followers = new Set<() => void>();
  readonly #over = new AbortController();
  #state: State | null = null;
  #failure: Error | null = null;

  constructor(notifications: Notifications, id: string, { read, isLast }: Reading<State>) {
    this.#read = read;
    void this.#run(notifications, id, isLast);
  }

  /** The latest state; null until the first was read. @throws SteplogError what the reader failed with */
  get state(): State | null {
    if (this.#failure !== null) throw this.#failure;
    return this.#state;
  }

  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** @param wake is called after each change, and when the reader has failed */
  follow(wake: () => void): void {
    this.#followers.add(wake);
  }

  /** @returns whether nobody follows any more, so that it has ended */
  leave(wake: () => void): boolean {
    this.#followers.delete(wake);
    if (this.#followers.size === 0) this.#over.abort();
    return this.#followers.size === 0;
  }

  async #run(notifications: Notifications, id: string, isLast: (state: State) => boolean): Promise<void> {
    const over = this.#over.signal;
    const subscription = notifications.subscribe(id, over);
    try {
      while (!over.aborted) {
        await subscription.change();
        const state = await patiently(notifications, over, () => this.#read(this.#state));
        if (state === null || state === this.#state) continue;
        this.#state = state;
        this.#wake();
        if (isLast(state)) return;
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#wake();
    } finally {
      subscription.close();
    }
  }

  #wake(): void {
    for (const wake of this.#followers) wake();
  }
}

interface Reading<State> {
  readonly read: Read<State>;
  /** Whether nothing will change after this state. */
  readonly isLast: (state: State) => boolean;
}

/** One of those who follow a reader. What it waits with is made once, and a change costs it one promise. */
export class Follower<State> {
  readonly #reader: SharedReader<State>;
  readonly #over: AbortSignal;
  readonly #left: () => void;
  #news: Promise<void> | null = null;
  #tell: (() => void) | null = null;
  #hasLeft = false;

  /** @param left is called once, when it was the last one and has left */
  constructor(reader: SharedReader<State>, over: AbortSignal, left: () => void) {
    this.#reader = reader;
    this.#over = over;
    this.#left = left;
    reader.follow(this.#wake);
    over.addEventListener("abort", this.#wake);
  }

  /** As of the reader. @throws SteplogError */
  get state(): State | null {
    return this.#reader.state;
  }

  /** Fulfilled when the state is another than this one, or at the signal. @throws SteplogError as `state` */
  changed(from: State | null): Promise<void> {
    if (this.#over.aborted || this.state !== from) return Promise.resolve();
    return (this.#news ??= new Promise((resolve) => (this.#tell = resolve)));
  }

  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#over.removeEventListener("abort", this.#wake);
    if (this.#reader.leave(this.#wake)) this.#left();
  }

  readonly #wake = (): void => {
    this.#tell?.();
    this.#news = null;
    this.#tell = null;
  };
}

/** The readers that somebody follows, by id. */
export class SharedReaders<State> {
  readonly #notifications: Notifications;
  readonly #reading: (id: string) => Reading<State>;
  readonly #readers = new Map<string, SharedReader<State>>();

  constructor(notifications: Notifications, reading: (id: string) => Reading<State>) {
    this.#notifications = notifications;
    this.#reading = reading;
  }

  /** Whoever follows a reader leaves it in the end. */
  follow(id: string, over: AbortSignal): Follower<State> {
    const known = this.#readers.get(id);
    const reader = known?.hasFailed === false ? known : new SharedReader(this.#notifications, id, this.#reading(id));
    this.#readers.set(id, reader);
    return new Follower(reader, over, () => {
      if (this.#readers.get(id) === reader) this.#readers.delete(id);
    });
  }
}

/**
 * A subscription survives a restart of Postgres: it retries until Postgres answers or the signal, which gives null.
 * @throws UNAVAILABLE once this process stops
 */
export async function patiently<Result>(
  notifications: Notifications,
  over: AbortSignal,
  read: () => Promise<Result>,
): Promise<Result | null> {
  while (!over.aborted) {
    if (notifications.closed)
      throw new SteplogError("UNAVAILABLE", "This process is stopping. Subscribe again after the last item you have.");
    try {
      return await read();
    } catch (error) {
      if (!isUnavailable(error)) throw asStoreError(error);
      await delay(retryMs, undefined, { signal: over }).catch(() => {});
    }
  }
  return null;
}
