/** What nvidia-smi says of the GPUs. */
import { spawnSync } from "node:child_process";

/** nvidia-smi counts in MiB. */
export const mebibyte = 2 ** 20;

/**
 * @param fields such as "name,memory.total"
 * @returns of each GPU its fields; null where there is no nvidia-smi, or no GPU
 */
export function queryGpus(fields: string): string[][] | null {
  const options = [`--query-gpu=${fields}`, "--format=csv,noheader,nounits"];
  const { status, stdout } = spawnSync("nvidia-smi", options, { encoding: "utf8" });
  if (status !== 0 || stdout.trim() === "") return null;
  const lines = stdout.trim().split("\n");
  return lines.map((line) => line.split(",").map((field) => field.trim()));
}

/** Bytes of memory of the smallest GPU: which one TensorFlow takes is not told. Undefined where nvidia-smi does not know. */
export function gpuMemoryBytes(): number | undefined {
  const sizes = (queryGpus("memory.total") ?? []).map(([size]) => Number(size) * mebibyte).filter(Number.isFinite);
  return sizes.length === 0 ? undefined : Math.min(...sizes);
}
