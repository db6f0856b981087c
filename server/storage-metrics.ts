/** Whether files could be stored, as Prometheus reads it of a gateway. */
import { setTimeout as delay } from "node:timers/promises";
import { Gauge, type Registry } from "prom-client";
import type { Store } from "../store/store.ts";

/** Scrapes within this time have one answer. */
const keepMs = 15_000;
/** A scrape waits for no longer: what has not answered by then is taken for one that does not. */
const patienceMs = 3_000;

export function addStorage({ blobs }: Pick<Store, "blobs">, registers: Registry[]): void {
  let [asked, answer] = [Number.NEGATIVE_INFINITY, Promise.resolve(false)];
  const up = new Gauge({
    name: "steplog_storage_up",
    help: "Whether a file could be stored in the storage folder or bucket.",
    registers,
    async collect() {
      if (performance.now() - asked > keepMs) {
        asked = performance.now();
        answer = blobs.probe().then(
          () => true,
          () => false,
        );
      }
      up.set((await Promise.race([answer, delay(patienceMs, false, { ref: false })])) ? 1 : 0);
    },
  });
}
