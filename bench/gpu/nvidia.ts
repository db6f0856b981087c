/** What nvidia-smi says of the first GPU. */
import { spawn } from "node:child_process";
import { totalmem } from "node:os";
import { createInterface } from "node:readline";
import { mebibyte, queryGpus } from "../../engine/devices/tensorflow/nvidia.ts";
import type { Gpu } from "./result.ts";

/** null where there is no nvidia-smi, or no GPU. */
export function findGpu(): Gpu | null {
  const fields = firstOf("name,driver_version,compute_cap,memory.total");
  if (fields === null) return null;
  const [name = "", driver = "", computeCapability = "", memory] = fields;
  return { name, driver, computeCapability, memoryMb: megabytes(memory) };
}

/** MB that a model may take: what is free on the GPU, or the machine's memory where there is none. */
export function freeMemoryMb(gpu: Gpu | null): number {
  if (gpu === null) return totalmem() / 1e6;
  const [free = "0"] = firstOf("memory.free") ?? [];
  return megabytes(free);
}

const firstOf = (fields: string) => queryGpus(fields)?.[0] ?? null;
const megabytes = (mebibytes: string | undefined) => (Number(mebibytes) * mebibyte) / 1e6;

export interface MemoryWatch {
  /** Ends it: MB used before, and at the peak of the samples. */
  stop(): { before: number; peak: number };
}

/** Samples the GPU's memory ten times a second, all programs together: in a container nvidia-smi cannot tell them apart. */
export function watchMemory(): MemoryWatch {
  const before = megabytes(firstOf("memory.used")?.[0]);
  const child = spawn("nvidia-smi", ["--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "100"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  child.on("error", () => {});
  let peak = before;
  createInterface(child.stdout).on("line", (line) => (peak = Math.max(peak, megabytes(line))));
  return {
    stop() {
      // One that did not start has no id, and the signal would go to this process's own group.
      if (child.pid !== undefined) child.kill("SIGKILL");
      return { before, peak };
    },
  };
}
