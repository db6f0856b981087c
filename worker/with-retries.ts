/** Writes of a worker while Postgres, or the storage, is away for a moment. */
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../schema/errors.ts";
import { leaseMs } from "../schema/limits.ts";

const retryMs = 250;

/** Retries what fails for a while; as long as the lease may still be ours, unless told otherwise. */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { patienceMs = leaseMs, signal }: { readonly patienceMs?: number; readonly signal?: AbortSignal } = {},
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const temporary = error instanceof SteplogError ? error.code === "UNAVAILABLE" : true;
      if (!temporary || performance.now() > deadline || signal?.aborted) throw error;
      await delay(retryMs, undefined, { signal }).catch(() => {});
    }
  }
}
