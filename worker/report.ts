/** Reports this worker to the store while it runs, so that people can see it and runs can say what they wait for. */
import { reportMs } from "../schema/limits.ts";
import type { Log } from "../schema/log.ts";
import type { Store, WorkerReport } from "../store/store.ts";

export interface Reporting {
  /** Returns once the store knows all that the worker can do now. @throws UNAVAILABLE */
  upToDate(): Promise<void>;
  /** Takes the worker off the list, or lists it as asleep. */
  end(how?: { readonly asleep: boolean }): Promise<void>;
}

/** Reports at once and then every `reportMs`. A failed report is repeated with the next one. */
export function startReporting(store: Store, currentReport: () => WorkerReport, log: Log): Reporting {
  const { id } = currentReport();
  let known = "";
  let latest = Promise.resolve();
  const send = async () => {
    const report = currentReport();
    await store.workers.report(report);
    known = abilityOf(report);
  };
  /** One after the other, so that an older report never replaces a newer one. */
  const sendNext = () => {
    const sent = latest.then(send);
    latest = sent.catch(() => {});
    return sent;
  };
  const regular = () => {
    sendNext().catch((error: unknown) => log.warn({ error }, "The worker cannot be reported; trying again."));
  };
  regular();
  const timer = setInterval(regular, reportMs);
  return {
    async upToDate() {
      await latest;
      while (abilityOf(currentReport()) !== known) await sendNext();
    },
    async end({ asleep } = { asleep: false }) {
      clearInterval(timer);
      await latest;
      await (asleep ? store.workers.fallAsleep(id) : store.workers.remove(id)).catch(() => {});
    },
  };
}

/** What changes with every request is told with the next regular report. */
function abilityOf({ serving, ...report }: WorkerReport): string {
  return JSON.stringify({ ...report, serving: serving?.memoryBytes });
}
