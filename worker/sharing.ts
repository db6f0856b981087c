/**
 * What the two lanes of a worker tell each other: the one that does a job at a time, and the one that answers requests. Both
 * run in one process, and between two awaits nothing changes, so a claim is announced before it is made.
 *
 * - Both at once: the usual case. Engine and serving thread take turns (engine/thread/turns.ts), or have their own threads.
 * - A measurement and requests never: requests would slow it down. It is claimed while no request is held, and requests wait
 *   until it is over, which is soon.
 * - On a device that works for one thread only, no job and request at once. Requests come first, but once they have kept the
 *   jobs waiting for `patienceMs`, no more are claimed until a job had its chance.
 */
import type { JobKind, SoleJobKind } from "../schema/jobs.ts";
import { Idleness } from "./idleness.ts";

/** A job, as far as requests are concerned. */
interface SoleJob {
  readonly kind: JobKind;
  /** A lower bound of the memory that it takes. */
  readonly memoryBytes: number;
}

const patienceMs = 60_000;

interface SharingOptions {
  readonly isExclusive: boolean;
  readonly now?: () => number;
  /** Is told of the job and the requests. */
  readonly idleness?: Idleness;
}

export class Sharing {
  readonly #isExclusive: boolean;
  readonly #idleness: Idleness;
  readonly #now: () => number;
  readonly #changed = new Set<() => Promise<void>>();
  /** The kinds of jobs that are being claimed, or the job that is being done. */
  #claiming: readonly JobKind[] = [];
  #job: SoleJob | null = null;
  /** Requests that are held, and whether more are being claimed. */
  #requests = 0;
  #claimsRequests = false;
  /** Since when requests have kept jobs from being claimed; null while they do not. */
  #keptSince: number | null = null;

  constructor({ isExclusive, now = () => performance.now(), idleness = new Idleness(now) }: SharingOptions) {
    this.#isExclusive = isExclusive;
    this.#idleness = idleness;
    this.#now = now;
  }

  /** The job that is being done. */
  get job(): SoleJob | null {
    return this.#job;
  }

  /** Called when a job has been claimed, before it begins, and when it has ended. */
  onChange(listener: () => Promise<void>): void {
    this.#changed.add(listener);
  }

  // The lane of jobs

  /** Of the kinds of jobs those that may be claimed now: to be followed by `claimedJob`. */
  claimJobs(kinds: readonly SoleJobKind[]): readonly SoleJobKind[] {
    const isServing = this.#requests > 0 || this.#claimsRequests;
    const allowed = isServing ? kinds.filter((kind) => !this.#isExclusive && kind !== "MEASURE") : kinds;
    if (!this.#isExclusive || allowed.length > 0) this.#keptSince = null;
    else this.#keptSince ??= this.#now();
    this.#claiming = allowed;
    return allowed;
  }

  /** Null when there was none, and once it has ended. Returns when requests have made room for it. */
  async claimedJob(job: SoleJob | null): Promise<void> {
    this.#claiming = [];
    this.#job = job;
    this.#idleness.set("jobs", job ? 1 : 0);
    await Promise.all([...this.#changed].map((listener) => listener()));
  }

  // The lane of requests

  /** Whether requests may be claimed now; if so, to be followed by `claimedRequests`. */
  claimRequests(): boolean {
    const kinds = this.#job ? [this.#job.kind] : this.#claiming;
    if (kinds.includes("MEASURE") || (this.#isExclusive && kinds.length > 0)) return false;
    if (this.#keptSince !== null && this.#now() - this.#keptSince > patienceMs) return false;
    this.#claimsRequests = true;
    return true;
  }

  claimedRequests(held: number): void {
    this.#claimsRequests = false;
    this.holdRequests(held);
  }

  /** How many requests are held. */
  holdRequests(held: number): void {
    this.#requests = held;
    this.#idleness.set("requests", held);
  }
}
