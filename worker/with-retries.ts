/** Writes of a worker while Postgres is away for a moment. */
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../schema/errors.ts";
import { leaseMs } from "../schema/limits.ts";

const retryMs = 250;

/** Retries while Postgres is unreachable and the lease may still be ours. */
export async function withRetries<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + leaseMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const temporary = error instanceof SteplogError ? error.code === "UNAVAILABLE" : true;
      if (!temporary || performance.now() > deadline) throw error;
      await delay(retryMs);
    }
  }
}
