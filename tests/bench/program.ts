/** The program of the benchmarks, in a process of its own. */
import { spawnSync } from "node:child_process";
import { programPath } from "../../schema/package.ts";

/** @param folder for what it makes */
export function bench(args: readonly string[], folder: string) {
  const env = { ...process.env, STEPLOG_BENCH_DIR: folder };
  return spawnSync(process.execPath, [programPath("bench/main"), ...args], { encoding: "utf8", env });
}
