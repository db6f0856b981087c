/** Reports this worker to the store while it runs, so that people can see it and runs can say what they wait for. */
import { reportMs } from "../schema/limits.ts";
import type { Log } from "../schema/log.ts";
import type { Store, WorkerReport } from "../store/store.ts";

export interface Reporting {
  /** Takes the worker off the list. */
  end(): Promise<void>;
}

/** Reports at once and then every `reportMs`. A failed report is repeated with the next one. */
export function startReporting(store: Store, currentReport: () => WorkerReport, log: Log): Reporting {
  const { id } = currentReport();
  let underway: Promise<void> | null = null;
  const report = () => {
    underway ??= store.workers
      .report(currentReport())
      .catch((error: unknown) => log.warn({ error }, "The worker cannot be reported; trying again."))
      .finally(() => (underway = null));
  };
  report();
  const timer = setInterval(report, reportMs);
  return {
    async end() {
      clearInterval(timer);
      await underway;
      await store.workers.remove(id).catch(() => {});
    },
  };
}
