/**
 * What this machine keeps to be fast, swept by what the service still names: copies of stored files, and folders of rebuilt
 * checkpoints. Workers do it every hour, `steplog sweep --machine` at once. What is used stays.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "../schema/log.ts";
import type { CopiesReport, Store } from "../store/store.ts";
import { KeptFolders, type KeptReport } from "./serving/kept-folders.ts";

export interface MachineReport {
  readonly copies: CopiesReport;
  readonly rebuilt: KeptReport;
}

interface Machine {
  readonly store: Pick<Store, "sweepCopies" | "checkpointsOfChains">;
  /** Of rebuilt checkpoints, and the most bytes of them. */
  readonly keptDir: string;
  readonly keptBytes: number;
}

export async function sweepMachine(
  { store, keptDir, keptBytes }: Machine,
  options: { readonly dryRun: boolean; readonly freshMs?: number },
): Promise<MachineReport> {
  const known = (places: Parameters<Store["checkpointsOfChains"]>[0]) => store.checkpointsOfChains(places);
  return {
    copies: await store.sweepCopies(options),
    rebuilt: await new KeptFolders(keptDir, keptBytes).sweep({ known, ...options }),
  };
}

const everyMs = 3_600_000;

/** Until the signal. What fails is tried again an hour later. */
export async function sweepMachineRegularly(
  machine: Machine & { readonly signal: AbortSignal; readonly log: Log },
): Promise<void> {
  const { signal, log } = machine;
  for (;;) {
    await delay(everyMs, undefined, { signal, ref: false }).catch(() => {});
    if (signal.aborted) return;
    await sweepMachine(machine, { dryRun: false }).then(
      ({ copies, rebuilt }) => {
        const folders = [...copies.folders, ...rebuilt.swept];
        if (copies.swept.count + folders.length > 0) log.info({ copies: copies.swept, folders }, "Deleted old copies.");
      },
      (error: unknown) => log.warn({ err: error }, "Copies on this machine could not be swept."),
    );
  }
}
