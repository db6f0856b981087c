/**
 * bench load: the time from a new process to a loaded model and to the end of its first step, compared with reading the same
 * bytes. Each round uses new processes; files are in the system's cache after the first round.
 */
import { spawnSync } from "node:child_process";
import type { WeightDtype } from "../engine/devices/device.ts";
import { SteplogError } from "../schema/errors.ts";
import type { Loaded } from "./load-child.ts";
import type { Machine, Sample, Summary } from "./measure.ts";
import { machine, summarise } from "./measure.ts";
import { randomModel } from "./model.ts";
import { programPath } from "../schema/package.ts";

export interface LoadOptions {
  readonly config: string;
  readonly dtype: WeightDtype;
  readonly device: string;
  readonly rounds: number;
  readonly threads?: number;
}

export interface LoadResult {
  readonly bench: "load";
  readonly options: LoadOptions;
  readonly device: string;
  /** Bytes of the weights. */
  readonly bytes: number;
  /** Seconds to read all files into newly allocated memory, in a process that does nothing else. */
  readonly read: Summary;
  /** Seconds to open the folder and load every weight onto an open device. */
  readonly load: Summary;
  /** Median of `load` divided by that of `read`. */
  readonly loadOverRead: number;
  /** Seconds from the start of a process to the loaded model. */
  readonly process: Summary;
  /** Seconds of the first step, with 4 rows of 64 tokens, which is the first to use the weights. */
  readonly firstStep: Summary;
  /** Resident memory in MB, with the model loaded and after the step. */
  readonly memory: { readonly loaded: number; readonly stepped: number };
  readonly machine: Machine;
}

const child = programPath("bench/load-child");

export async function benchLoad(options: LoadOptions): Promise<LoadResult> {
  const { path } = await randomModel(options.config, options.dtype);
  const reads: Sample[] = [];
  const loads: Loaded[] = [];
  const wholes: Sample[] = [];
  // The first round warms the cache and is not counted.
  for (let round = 0; round <= options.rounds; round++) {
    const read = run(["read", path]) as { readonly read: Sample };
    const started = Date.now();
    const loaded = run(["load", path, options.device, String(options.threads ?? 0)]) as Loaded;
    if (round === 0) continue;
    reads.push(read.read);
    loads.push(loaded);
    wholes.push({ seconds: (loaded.loadedAt - started) / 1000, foreignCores: loaded.load.foreignCores });
  }
  const [first] = loads;
  if (!first) throw new SteplogError("INVALID_ARGUMENT", "--rounds must be above 0.");
  const [read, load] = [summarise(reads), summarise(loads.map((one) => one.load))];
  return {
    bench: "load",
    options,
    device: first.device,
    bytes: first.bytes,
    read,
    load,
    loadOverRead: load.median / read.median,
    process: summarise(wholes),
    firstStep: summarise(loads.map((one) => one.step)),
    memory: first.memory,
    machine: machine(),
  };
}

function run(args: readonly string[]): unknown {
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, ...args], {
    encoding: "utf8",
  });
  if (status !== 0) throw new SteplogError("INTERNAL", `The measured process failed: ${stderr.trim()}`);
  return JSON.parse(stdout);
}
