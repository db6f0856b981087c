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
}

export interface Skipped {
  readonly status: "skipped";
  readonly why: string;
}

export interface Circumstances {
  /** Whether the device opened, in the first stage. */
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
  if (!opened) return skipped("The device did not open.");
  if (secondsLeft < leastSeconds) return skipped("No time was left.");
  if (needs / 1e6 > freeMb) return skipped(`It needs about ${mb(needs / 1e6)}, and ${mb(freeMb)} are free.`);
  const watch = gpu && watchMemory();
  const began = performance.now();
  const ending = await stage.run(Math.min(limit, secondsLeft));
  const seconds = (performance.now() - began) / 1000;
  const gpuMemory = watch ? { gpuMemory: watch.stop() } : {};
  return { name, result: null, ...ending, seconds, ...gpuMemory };
}

const mb = (value: number): string => `${Math.round(value)} MB`;
