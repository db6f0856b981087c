/**
 * What one tracker is sent, in order. What it may have missed waits until it works again: it is then opened anew, says what it
 * has, and gets the rest, so that nothing is doubled or out of order. A failure that cannot pass ends it.
 */
import { pause } from "../../client/pause.ts";
import { fileReason } from "../../schema/file-errors.ts";
import { counted } from "../../schema/units.ts";
import { type OpenTracker, type Point, type Tracker, mayPass, missing } from "./tracker.ts";

/** How long points are collected before they are written. */
const flushMs = 500;
/** Between attempts, doubled with each failure. */
const [leastPauseMs, longestPauseMs] = [250, 30_000];

interface Ending {
  readonly status: string | null;
  /** By the clock of `performance`. */
  readonly until: number;
}

export class TrackerLane {
  readonly #opener: OpenTracker;
  readonly #warn: (message: string) => void;
  /** What it has not acknowledged, the oldest first. */
  #points: Point[] = [];
  #tracker: Tracker | null = null;
  /** While it fails. */
  #failure: unknown = null;
  #isLost = false;
  #ending: Ending | null = null;
  #isClosed = false;
  #working: Promise<void> | null = null;
  /** Ends the pause before the next attempt, or the next flush. */
  #hurry = new AbortController();

  constructor(opener: OpenTracker, warn: (message: string) => void) {
    this.#opener = opener;
    this.#warn = warn;
    this.#working = this.#work(0);
  }

  add(point: Point): void {
    this.#points.push(point);
    this.#working ??= this.#work(flushMs);
  }

  /** Null once everything is written, and the end is told. */
  async close(status: string | null, patienceMs: number): Promise<string | null> {
    this.#ending = { status, until: performance.now() + patienceMs };
    this.#hurry.abort();
    await this.#working;
    if (!this.#isClosed && this.#failure === null) await this.#work(0);
    return this.#isClosed ? null : this.#lacking();
  }

  /** Until nothing is left to write, or it is hopeless. */
  async #work(firstPauseMs: number): Promise<void> {
    await pause(firstPauseMs, this.#hurry.signal);
    for (let failures = 0; !this.#isLost && (await this.#fails());) {
      failures += 1;
      const pauseMs = Math.min(leastPauseMs * 2 ** (failures - 1), longestPauseMs);
      const leftMs = (this.#ending?.until ?? Infinity) - performance.now();
      if (leftMs <= 0) break;
      if (this.#ending) this.#hurry = new AbortController();
      await pause(Math.min(pauseMs, leftMs), this.#hurry.signal);
    }
    // Added in the very moment of the last look.
    const isLeft = this.#points.length > 0 && !this.#isLost && !this.#ending;
    this.#working = isLeft ? this.#work(flushMs) : null;
  }

  async #fails(): Promise<boolean> {
    try {
      await this.#deliver();
      if (this.#failure !== null) this.#warn(`${this.#opener.name} works again, and has what it lacked.`);
      this.#failure = null;
      return false;
    } catch (error) {
      this.#isLost = !mayPass(error);
      const next = this.#isLost ? "is left out" : "is tried again";
      if (this.#failure === null || this.#isLost)
        this.#warn(`${this.#opener.name} fails and ${next}; the run goes on: ${fileReason(error)}`);
      this.#failure = error;
      // A part of it may have been written.
      await this.#tracker?.close(null).catch(() => {});
      this.#tracker = null;
      return true;
    }
  }

  async #deliver(): Promise<void> {
    this.#tracker ??= await this.#opener.open();
    while (this.#points.length > 0) {
      const points = [...this.#points];
      const fresh = missing(points, this.#tracker.last);
      if (fresh.length > 0) await this.#tracker.write(fresh);
      this.#points.splice(0, points.length);
    }
    if (!this.#ending || this.#isClosed) return;
    await this.#tracker.close(this.#ending.status);
    this.#isClosed = true;
  }

  #lacking(): string {
    const steps = this.#points.map(({ step }) => step).toSorted((one, other) => one - other);
    const range = `of steps ${steps[0]} to ${steps.at(-1)}`;
    const what = steps.length === 0 ? "the end of the run" : `${counted(steps.length, "measurement")} ${range}`;
    return `${this.#opener.name} lacks ${what}: ${fileReason(this.#failure)}`;
  }
}
