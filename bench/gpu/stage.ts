/** A stage of bench/gpu.sh, and how it is run: within its limit and the whole run's, and only where it can end well. */
import { watchMemory } from "./nvidia.ts";
import type { Gpu, StageReport } from "./result.ts";
import type { Ending } from "./run.ts";

export interface Stage {
  readonly name: string;
  /** Seconds. */
  readonly limit: number;
  /** Bytes of memory that must be free. */
  readonly needs?: number;
  run(seconds: number): Promise<Ending | Skipped>;
  /** Why what it measured makes it a failure, if it does. */
  fault?(result: unknown, gpu: Gpu | null): string | null;
}

export interface Skipped {
  readonly status: "skipped";
  readonly why: string;
}

export interface Circumstances {
  /** Whether the device opened as it should, in the first stage. */
  readonly opened: boolean;
  readonly gpu: Gpu | null;
  readonly secondsLeft: number;
  readonly freeMb: number;
}

/** A stage that takes less has found nothing. */
const leastSeconds = 5;

export async function runStage(
  stage: Stage,
  { opened, gpu, secondsLeft, freeMb }: Circumstances,
): Promise<StageReport> {
  const { name, limit, needs = 0 } = stage;
  const skipped = (why: string): StageReport => ({ name, status: "skipped", why, seconds: 0, result: null });
  if (!opened) return skipped("The device did not open as it should.");
  if (secondsLeft < leastSeconds) return skipped("No time was left.");
  if (needs / 1e6 > freeMb) return skipped(`It needs about ${mb(needs / 1e6)}, and ${mb(freeMb)} are free.`);
  const watch = gpu && watchMemory();
  const began = performance.now();
  const ending = judged(stage, await stage.run(Math.min(limit, secondsLeft)), gpu);
  const seconds = (performance.now() - began) / 1000;
  const gpuMemory = watch ? { gpuMemory: watch.stop() } : {};
  return { name, result: null, ...ending, seconds, ...gpuMemory };
}

/** A stage that ended with a fault has failed, and keeps what it measured. */
function judged(stage: Stage, ending: Ending | Skipped, gpu: Gpu | null): Ending | Skipped {
  const why = ending.status === "ok" ? (stage.fault?.(ending.result, gpu) ?? null) : null;
  return why === null ? ending : { ...ending, status: "failed", why };
}

const mb = (value: number): string => `${Math.round(value)} MB`;
