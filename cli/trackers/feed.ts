/** Feeds trackers. One that fails is told and left out; neither the run nor the command's exit code hears of it. */
import { type OpenTracker, type Point, type Tracker, missing } from "./tracker.ts";

/** How long points are collected before they are written. */
const flushMs = 500;

export class TrackerFeed {
  readonly #warn: (message: string) => void;
  #trackers: Tracker[] = [];
  #points: Point[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** What was added once, as JSON. */
  readonly #once = new Set<string>();

  private constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  static async open(openers: readonly OpenTracker[], warn: (message: string) => void): Promise<TrackerFeed> {
    const feed = new TrackerFeed(warn);
    for (const opener of openers) {
      try {
        feed.#trackers.push(await opener());
      } catch (error) {
        warn(`A tracker cannot be used, and the run goes on without it: ${inWords(error)}`);
      }
    }
    return feed;
  }

  add(point: Point): void {
    if (this.#trackers.length === 0) return;
    this.#points.push(point);
    this.#timer ??= setTimeout(() => this.#flush(), flushMs);
  }

  get isFed(): boolean {
    return this.#trackers.length > 0;
  }

  /** Unless the same was added so before: evaluations are read again and again while a run goes on. */
  addOnce(point: Point): void {
    const text = JSON.stringify(point);
    if (this.#once.has(text)) return;
    this.#once.add(text);
    this.add(point);
  }

  /** @param status of the run, once it has ended */
  async close(status: string | null): Promise<void> {
    this.#flush();
    await this.#writing;
    await this.#each((tracker) => tracker.close(status));
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const points = this.#points;
    this.#points = [];
    this.#writing = this.#writing.then(() =>
      this.#each(async (tracker) => {
        const fresh = missing(points, tracker.last);
        if (fresh.length > 0) await tracker.write(fresh);
      }),
    );
  }

  async #each(work: (tracker: Tracker) => Promise<void>): Promise<void> {
    for (const tracker of this.#trackers) {
      try {
        await work(tracker);
      } catch (error) {
        this.#trackers = this.#trackers.filter((one) => one !== tracker);
        this.#warn(`${tracker.name} fails, and the run goes on without it: ${inWords(error)}`);
      }
    }
  }
}

function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
