/** Waiting for a Postgres that does not answer. */
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../schema/errors.ts";
import type { Log } from "../schema/log.ts";

const retryMs = 1_000;

/**
 * Repeats a call for as long as it is UNAVAILABLE.
 * @throws other errors of the call; UNAVAILABLE once the signal is aborted
 */
export async function whenAvailable<Result>(
  call: () => Promise<Result>,
  { log, signal }: { readonly log: Log; readonly signal?: AbortSignal | undefined },
): Promise<Result> {
  for (;;) {
    try {
      return await orAborted(call(), signal);
    } catch (error) {
      const isTemporary = error instanceof SteplogError && error.code === "UNAVAILABLE";
      if (!isTemporary || signal?.aborted) throw error;
      log.warn({}, `${error.message} Trying again.`);
      await delay(retryMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** A connection attempt may take many seconds, which nobody waits for after the signal. */
async function orAborted<Result>(result: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return result;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new SteplogError("UNAVAILABLE", "Stopped while waiting for Postgres."));
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
