/** Feeds trackers, each by itself: one that fails ends neither the run nor the others. */
import { TrackerLane } from "./lane.ts";
import type { OpenTracker, Point } from "./tracker.ts";

export class TrackerFeed {
  readonly #lanes: readonly TrackerLane[];
  /** What was added once, as JSON. */
  readonly #once = new Set<string>();

  /** @param warn tells people of a tracker that fails, and of one that works again */
  constructor(openers: readonly OpenTracker[], warn: (message: string) => void) {
    this.#lanes = openers.map((opener) => new TrackerLane(opener, warn));
  }

  get isFed(): boolean {
    return this.#lanes.length > 0;
  }

  add(point: Point): void {
    for (const lane of this.#lanes) lane.add(point);
  }

  /** Unless the same was added so before: evaluations are read again and again while a run goes on. */
  addOnce(point: Point): void {
    const text = JSON.stringify(point);
    if (this.#once.has(text)) return;
    this.#once.add(text);
    this.add(point);
  }

  /**
   * @param status of the run, once it has ended
   * @param patienceMs how long trackers that fail are tried still
   * @returns what each of those that lack something lacks, and why
   */
  async close(status: string | null, patienceMs = 60_000): Promise<readonly string[]> {
    const lacking = await Promise.all(this.#lanes.map((lane) => lane.close(status, patienceMs)));
    return lacking.filter((one) => one !== null);
  }
}
