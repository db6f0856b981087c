/** Under which name a worker holds jobs. */
import type { JobKind } from "../../schema/jobs.ts";

/** Requests, of which a worker may hold many, go by another name than its one job, by which the list of workers finds that. */
export function leaseNameOf(kind: JobKind, worker: string): string {
  return kind === "COMPLETE" ? `${worker}/serve` : worker;
}
