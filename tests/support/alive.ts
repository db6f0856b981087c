/** Workers that live: one that has said nothing for 6 s is shown as silent, and after 10 s it counts as dead. */
import type { Store } from "../../store/store.ts";

export type Report = Parameters<Store["workers"]["report"]>[0];

/** Says now, and then every second, that a worker is alive and what it can do; until the function is called. */
export async function keepAlive({ workers }: Store, report: Report): Promise<() => void> {
  await workers.report(report);
  const timer = setInterval(() => void workers.report(report).catch(() => undefined), 1_000);
  return () => clearInterval(timer);
}
