/**
 * What the two lanes of a worker tell each other: the one that does a job at a time, and the one that answers requests. Both
 * run in one process, and between two awaits nothing changes, so a claim is announced before it is made.
 *
 * - Both at once: the usual case. Engine and serving thread take turns (engine/thread/turns.ts), or have their own threads.
 * - A measurement and requests never: requests would slow it down. It is claimed while no request is held, and requests wait
 *   until it is over, which is soon.
 */
import type { JobKind, SoleJobKind } from "../schema/jobs.ts";
import { Idleness } from "./idleness.ts";

/** A job, as far as requests are concerned. */
interface SoleJob {
  readonly kind: JobKind;
  /** A lower bound of the memory that it takes. */
  readonly memoryBytes: number;
}

export class Sharing {
  readonly #idleness: Idleness;
  readonly #changed = new Set<() => void>();
  /** The kinds of jobs that are being claimed, or the job that is being done. */
  #claiming: readonly JobKind[] = [];
  #job: SoleJob | null = null;
  /** Requests that are held, and whether more are being claimed. */
  #requests = 0;
  #claimsRequests = false;

  /** @param idleness is told of the job and the requests */
  constructor(idleness = new Idleness()) {
    this.#idleness = idleness;
  }

  /** The job that is being done. */
  get job(): SoleJob | null {
    return this.#job;
  }

  /** Called when a job has been claimed, before it begins, and when it has ended. */
  onChange(listener: () => void): void {
    this.#changed.add(listener);
  }

  // The lane of jobs

  /** Of the kinds of jobs those that may be claimed now: to be followed by `claimedJob`. */
  claimJobs(kinds: readonly SoleJobKind[]): readonly SoleJobKind[] {
    const isServing = this.#requests > 0 || this.#claimsRequests;
    const allowed = isServing ? kinds.filter((kind) => kind !== "MEASURE") : kinds;
    this.#claiming = allowed;
    return allowed;
  }

  /** Null when there was none, and once it has ended. */
  claimedJob(job: SoleJob | null): void {
    this.#claiming = [];
    this.#job = job;
    this.#idleness.set("jobs", job ? 1 : 0);
    for (const listener of this.#changed) listener();
  }

  // The lane of requests

  /** Whether requests may be claimed now; if so, to be followed by `claimedRequests`. */
  claimRequests(): boolean {
    const kinds = this.#job ? [this.#job.kind] : this.#claiming;
    if (kinds.includes("MEASURE")) return false;
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
