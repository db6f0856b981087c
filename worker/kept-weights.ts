/** Deletes weights that were kept when a run gave way, once nobody will go on from them here. */
import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type KeptFolder, type KeptRun, keptRuns } from "../engine/train/kept-weights.ts";
import type { Log } from "../schema/log.ts";
import { isFinal } from "../schema/states.ts";
import { msOfDay } from "../schema/units.ts";
import type { Store } from "../store/store.ts";

interface Options {
  readonly store: Pick<Store, "fineTunes">;
  readonly kept: KeptFolder | null;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const lookMs = 60_000;
/** A run that comes back after a day replays its log. */
const longestMs = msOfDay;

/** Looks at once, and then every minute, until the signal. */
export async function forgetKeptWeights({ store, kept, log, signal }: Options): Promise<void> {
  if (!kept) return;
  while (!signal.aborted) {
    await forgetNow(store, kept).catch((error: unknown) =>
      log.warn({ error }, "Kept weights cannot be looked through."),
    );
    await delay(lookMs, undefined, { signal }).catch(() => {});
  }
}

export async function forgetNow(store: Options["store"], kept: KeptFolder, now = Date.now()): Promise<void> {
  for (const copy of await keptRuns(kept)) {
    // One that is younger may belong to steps that are about to be stored.
    if (now - copy.writtenMs < lookMs) continue;
    if (now - copy.writtenMs > longestMs || !(await isNeeded(store, copy))) await rm(copy.path, { force: true });
  }
}

/** Another worker may have gone on with the run, or it has ended, or was deleted. */
async function isNeeded({ fineTunes }: Options["store"], copy: KeptRun): Promise<boolean> {
  const run = await fineTunes.get(copy.run);
  return run !== null && !isFinal(run.status) && run.entries === copy.entries;
}
