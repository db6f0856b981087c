/**
 * One LISTEN connection per process, shared by everything that waits for news.
 *
 * A notification says only that a run or a completion changed, or that there is work of some kind. It is kept as a flag, never queued, so
 * a subscriber that stops reading costs one flag and does not slow the others. Notifications can be lost (connection lost,
 * not yet listening): every flag is raised once LISTEN is back, and as a last resort each waiter looks every few seconds.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { connectionOptions } from "./connection.ts";
import { channels } from "./notify.ts";
import type { JobKind } from "../../schema/jobs.ts";
import type { Log } from "../../schema/log.ts";
import type { DatabaseAddress } from "./url.ts";

/** How long a waiter waits without news before it looks anyway. */
const silenceMs = 5_000;
const reconnectMs = [50, 250, 1_000, 2_000] as const;

export interface Notifications {
  /** News of a run or a completion. The signal counts as news too, so that a waiter sees it at once. */
  subscribe(id: string, signal: AbortSignal): Subscription;
  /** A number that rises with each announcement of work of such kinds. */
  jobNews(kinds: readonly JobKind[]): number;
  waitForJobNews(options: {
    kinds: readonly JobKind[];
    after: number;
    timeoutMs: number;
    signal?: AbortSignal | undefined;
  }): Promise<void>;
  readonly closed: boolean;
  close(): Promise<void>;
}

export interface Subscription {
  /** Returns when something may have changed since it last returned; at once the first time. */
  change(): Promise<void>;
  close(): void;
}

/** The flag of one waiter: raised by news, lowered when the waiter looks. */
class Flag {
  #raised: boolean;
  #wake: (() => void) | null = null;

  constructor(raised: boolean) {
    this.#raised = raised;
  }

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Waits until it is raised or the time is over. */
  async lower(timeoutMs: number): Promise<void> {
    if (!this.#raised) await this.#raisedWithin(timeoutMs);
    this.#raised = false;
  }

  async #raisedWithin(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}

/**
 * Requests come often, and each is waited for: whoever takes none must not look for work at each of them, and have the lane of
 * requests wait until it has looked.
 */
type Topic = "requests" | "jobs";

const topics: readonly Topic[] = ["requests", "jobs"];

function topicsOf(kinds: readonly JobKind[]): readonly Topic[] {
  return topics.filter((topic) => kinds.some((kind) => (kind === "COMPLETE") === (topic === "requests")));
}

/** An earlier release names no kind. */
function topicsIn(payload: string): readonly Topic[] {
  if (payload === "") return topics;
  return payload === "COMPLETE" ? ["requests"] : ["jobs"];
}

export function openNotifications(address: DatabaseAddress, log: Log | undefined): Notifications {
  const watchers = new Map<string, Set<Flag>>();
  const workers = new Map<Flag, readonly Topic[]>();
  const closing = new AbortController();
  const news: Record<Topic, number> = { requests: 0, jobs: 0 };
  let listening: Promise<void> | null = null;

  const workHere = (about: readonly Topic[]): void => {
    for (const topic of about) news[topic] += 1;
    for (const [flag, wanted] of workers) if (wanted.some((topic) => about.includes(topic))) flag.raise();
  };
  const newsOf = (wanted: readonly Topic[]): number => wanted.reduce((sum, topic) => sum + news[topic], 0);
  const everything = (): void => {
    workHere(topics);
    for (const flags of watchers.values()) for (const flag of flags) flag.raise();
  };
  const heard = (channel: string, payload: string): void => {
    if (channel === channels.jobs) workHere(topicsIn(payload));
    else for (const flag of watchers.get(payload) ?? []) flag.raise();
  };
  /** Only once somebody waits: a command that only reads needs no second connection. */
  const listen = (): void => {
    listening ??= listenUntil(closing.signal, address, { heard, everything, log });
  };

  return {
    jobNews: (kinds) => newsOf(topicsOf(kinds)),
    subscribe(id, signal) {
      listen();
      const flag = new Flag(true);
      const flags = watchers.get(id) ?? new Set();
      watchers.set(id, flags.add(flag));
      const raise = (): void => flag.raise();
      signal.addEventListener("abort", raise);
      return {
        change: () => flag.lower(silenceMs),
        close() {
          signal.removeEventListener("abort", raise);
          flags.delete(flag);
          if (flags.size === 0 && watchers.get(id) === flags) watchers.delete(id);
        },
      };
    },
    async waitForJobNews({ kinds, after, timeoutMs, signal }) {
      listen();
      const wanted = topicsOf(kinds);
      const flag = new Flag(newsOf(wanted) !== after || closing.signal.aborted || (signal?.aborted ?? false));
      const raise = (): void => flag.raise();
      workers.set(flag, wanted);
      signal?.addEventListener("abort", raise);
      await flag.lower(timeoutMs);
      signal?.removeEventListener("abort", raise);
      workers.delete(flag);
    },
    get closed() {
      return closing.signal.aborted;
    },
    async close() {
      closing.abort();
      everything();
      await listening;
    },
  };
}

interface Listener {
  heard(channel: string, payload: string): void;
  everything(): void;
  readonly log: Log | undefined;
}

/** Keeps one connection listening until the signal, and replaces it when it is lost. */
async function listenUntil(closing: AbortSignal, address: DatabaseAddress, listener: Listener): Promise<void> {
  for (let failures = 0; !closing.aborted;) {
    const established = await listenOnce(closing, address, listener);
    if (closing.aborted) return;
    failures = established ? 0 : failures + 1;
    const pause = reconnectMs[Math.min(failures, reconnectMs.length - 1)];
    await delay(pause, undefined, { signal: closing }).catch(() => {});
  }
}

/** Listens until the connection is lost or the signal; true when it had been established. */
async function listenOnce(closing: AbortSignal, address: DatabaseAddress, listener: Listener): Promise<boolean> {
  const over = new AbortController();
  const end = (): void => over.abort();
  // onnotify is the hook below postgres.js' listen(), which would give up when one attempt to reconnect fails.
  const lasting = { max: 1, idle_timeout: 0, max_lifetime: null };
  const options = {
    ...connectionOptions(address),
    ...lasting,
    onclose: end,
    onnotify: (channel: string, payload: string) => listener.heard(channel, payload),
  };
  const client = postgres(options);
  closing.addEventListener("abort", end);
  try {
    await client.unsafe(`listen ${channels.fineTunes}; listen ${channels.jobs}`);
    listener.everything();
    if (!over.signal.aborted && !closing.aborted) await once(over.signal, "abort");
    if (!closing.aborted)
      listener.log?.warn({}, "Lost the connection that listens for notifications; opening a new one.");
    return true;
  } catch (error) {
    if (!closing.aborted)
      listener.log?.warn({ error: String(error) }, "Cannot listen for notifications; trying again.");
    return false;
  } finally {
    closing.removeEventListener("abort", end);
    await client.end({ timeout: 0 }).catch(() => {});
  }
}
