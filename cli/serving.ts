/** How a worker of this machine answers requests, from its configuration. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { ThreadDevice } from "../engine/thread/messages.ts";
import { turnWords } from "../engine/thread/turns.ts";
import { SteplogError } from "../schema/errors.ts";
import type { ServingSettings } from "../worker/serving/lane.ts";
import type { ServiceConfig } from "./config.ts";

/** Unless told, requests have this part of the memory. */
const memoryShare = 1 / 4;

/**
 * Threads of jobs and of requests. Both have all of them, unless some are set aside.
 * @throws INVALID_ARGUMENT when none is left for jobs
 */
export function shareThreads({ threads, serve }: Pick<ServiceConfig, "threads" | "serve">) {
  if (serve.mode !== "both" || serve.threads === 0) return { threads, servingThreads: threads };
  const all = threads === 0 ? availableParallelism() : threads;
  if (serve.threads < all) return { threads: all - serve.threads, servingThreads: serve.threads };
  const advice = "Set fewer aside, or 0 to take turns.";
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `STEPLOG_SERVE_THREADS is ${serve.threads}, and the worker has ${all} threads: none is left to train. ${advice}`,
  );
}

/** Where rebuilt checkpoints are kept. */
export const keptDirOf = (dataDir: string): string => join(dataDir, "serving");

/**
 * Null for a worker that only does jobs.
 * @param memoryBytes for weights, of jobs and of requests
 */
export function servingSettings(
  { serve, dataDir }: Pick<ServiceConfig, "serve" | "dataDir">,
  device: ThreadDevice,
  memoryBytes: number,
): ServingSettings | null {
  if (serve.mode === "training") return null;
  const takesTurns = serve.mode === "both" && serve.threads === 0;
  return {
    device,
    precision: serve.precision,
    budgetBytes: Math.floor(serve.memoryBytes ?? memoryBytes * memoryShare),
    sequences: serve.sequences,
    turns: takesTurns ? turnWords() : null,
    share: serve.share,
    keptDir: keptDirOf(dataDir),
    keptBytes: serve.diskBytes,
  };
}
