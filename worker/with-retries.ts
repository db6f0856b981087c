/** Writes of a worker while Postgres, or the storage, is away for a moment. */
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../schema/errors.ts";
import { leaseMs } from "../schema/limits.ts";

const retryMs = 250;

interface RetryOptions {
  readonly patienceMs?: number;
  readonly signal?: AbortSignal;
  /** Is told why, the first time. */
  readonly onWait?: (error: unknown) => Promise<void>;
}

/** Retries what fails for a while; as long as the lease may still be ours, unless told otherwise. */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { patienceMs = leaseMs, signal, onWait }: RetryOptions = {},
): Promise<T> {
  let waits = false;
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const temporary = error instanceof SteplogError ? error.code === "UNAVAILABLE" : true;
      if (!temporary || performance.now() > deadline || signal?.aborted) throw error;
      if (!waits) void onWait?.(error);
      waits = true;
      await delay(retryMs, undefined, { signal }).catch(() => {});
    }
  }
}
