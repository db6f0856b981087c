/** The sweep that a worker makes beside its reports, which do not wait for it. */
import type { Log } from "../../schema/log.ts";
import type { Blobs } from "../blobs/blobs.ts";
import type { Database } from "../postgres/database.ts";
import { sweepIfDue } from "./sweep.ts";

/** How often a process looks whether a sweep is due. */
const lookMs = 60_000;

export interface Sweeping {
  /** Called with every report. */
  begin(): void;
  /** Once it no longer uses the database. */
  ended(): Promise<void>;
}

export function sweepingOf(database: Database, blobs: Blobs, over: AbortSignal, log: Log | undefined): Sweeping {
  let looked = Number.NEGATIVE_INFINITY;
  let current: Promise<void> = Promise.resolve();
  const once = async (): Promise<void> => {
    const report = await sweepIfDue(database, blobs, over);
    if (report && report.swept.count > 0) log?.info(report, "Deleted stored files that nothing names.");
  };
  return {
    begin() {
      if (over.aborted || performance.now() - looked < lookMs) return;
      looked = performance.now();
      // One after the other. What fails is tried again by the next one, an hour later.
      current = current.then(once).catch((error: unknown) => {
        if (!over.aborted) log?.warn({ err: error }, "Stored files could not be swept.");
      });
    },
    ended: () => current,
  };
}
