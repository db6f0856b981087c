/** What nvidia-smi says of the first GPU. */
import { spawn, spawnSync } from "node:child_process";
import { totalmem } from "node:os";
import { createInterface } from "node:readline";
import type { Gpu } from "./result.ts";

/** nvidia-smi counts in MiB. */
const mebibyte = 2 ** 20 / 1e6;

/** null where there is no nvidia-smi, or no GPU. */
export function findGpu(): Gpu | null {
  const fields = query("name,driver_version,compute_cap,memory.total");
  if (fields === null) return null;
  const [name = "", driver = "", computeCapability = "", memory = ""] = fields;
  return { name, driver, computeCapability, memoryMb: Number(memory) * mebibyte };
}

/** MB that a model may take: what is free on the GPU, or the machine's memory where there is none. */
export function freeMemoryMb(gpu: Gpu | null): number {
  if (gpu === null) return totalmem() / 1e6;
  const [free = "0"] = query("memory.free") ?? [];
  return Number(free) * mebibyte;
}

function query(fields: string): string[] | null {
  const { status, stdout } = spawnSync("nvidia-smi", [`--query-gpu=${fields}`, ...format], { encoding: "utf8" });
  const line = status === 0 ? stdout.trim().split("\n", 1)[0] : undefined;
  return line === undefined || line === "" ? null : line.split(",").map((field) => field.trim());
}

const format = ["--format=csv,noheader,nounits"];

export interface MemoryWatch {
  /** Ends it: MB used before, and at the peak of the samples. */
  stop(): { before: number; peak: number };
}

/** Samples the GPU's memory ten times a second, all programs together: in a container nvidia-smi cannot tell them apart. */
export function watchMemory(): MemoryWatch {
  const before = Number(query("memory.used")?.[0] ?? NaN) * mebibyte;
  const child = spawn("nvidia-smi", ["--query-gpu=memory.used", ...format, "-lms", "100"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  child.on("error", () => {});
  let peak = before;
  createInterface(child.stdout).on("line", (line) => (peak = Math.max(peak, Number(line) * mebibyte)));
  return {
    stop() {
      child.kill("SIGKILL");
      return { before, peak };
    },
  };
}
