/** Measures a piece of work: its time, how busy other processes kept the machine meanwhile, and memory. */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { mean, sum } from "../engine/numbers/mean.ts";
import { version } from "../schema/package.ts";

/** One run of the work. */
export interface Sample {
  readonly seconds: number;
  /** Cores that other processes used meanwhile, on average; NaN if the system does not report it. */
  readonly foreignCores: number;
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Number of samples. */
  readonly samples: number;
  /** Number of quiet samples. If there are three or more, median, min and max are theirs alone. */
  readonly quiet: number;
}

/** A sample is quiet if other processes used fewer cores than this. */
const quietCores = 0.15;

export async function timed<T>(work: () => Promise<T>): Promise<{ sample: Sample; result: T }> {
  const busy = busySeconds();
  const own = ownSeconds();
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1000;
  const foreign = busySeconds() - busy - (ownSeconds() - own);
  return { sample: { seconds, foreignCores: Math.max(0, foreign - 2 * tickSeconds) / seconds }, result };
}

/** CPU seconds of this process, all threads. */
function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The resolution of Linux's CPU time: less than this cannot be distinguished from zero. */
const tickSeconds = 0.01;

/** CPU seconds of the whole machine, from Linux. */
function busySeconds(): number {
  try {
    const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
      readFileSync("/proc/stat", "utf8").split("\n", 1)[0]?.split(/\s+/u).map(Number) ?? [];
    return (user + nice + system + irq + softirq + steal) * tickSeconds;
  } catch {
    return NaN;
  }
}

/** A run between two measurements of the processor's peak, since a shared machine is not always equally fast. */
export interface BoundedSample {
  readonly sample: Sample;
  /** The mean of the two peaks, in 10^9 floating-point operations per second; NaN if unknown. */
  readonly peak: number;
}

/** Runs the work once and measures the peak before and after it. */
export async function bounded<R extends { readonly sample: Sample }>(
  peak: () => Promise<number>,
  work: () => Promise<R>,
): Promise<R & BoundedSample> {
  const before = await peak();
  const done = await work();
  return { ...done, peak: (before + (await peak())) / 2 };
}

/** The share of the peak that the products reached; the median over the runs. */
export function shareOfPeak(runs: readonly BoundedSample[], gflop: number): number {
  return median(runs.map(({ sample, peak }) => gflop / sample.seconds / peak));
}

export function summarise(samples: readonly Sample[]): Summary {
  const calm = samples.filter(({ foreignCores }) => !(foreignCores >= quietCores));
  const used = (calm.length >= 3 ? calm : samples).map(({ seconds }) => seconds);
  return {
    median: median(used),
    min: Math.min(...used),
    max: Math.max(...used),
    samples: samples.length,
    quiet: calm.length,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}

/** The value that a share of them is below, from 0 to 1; their largest for 1. NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Sample standard deviation; 0 for one value. */
export function deviation(values: readonly number[]): number {
  const middle = mean(values);
  const squares = sum(values, (value) => (value - middle) ** 2);
  return values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1));
}

/** Resident memory of this process in MB (10^6 bytes): now, and the peak since `resetPeak`. NaN without /proc. */
export function memory(): { now: number; peak: number } {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const field = (name: string) => (Number(new RegExp(`${name}:\\s+(\\d+)`, "u").exec(status)?.[1]) * 1024) / 1e6;
    return { now: field("VmRSS"), peak: field("VmHWM") };
  } catch {
    return { now: NaN, peak: NaN };
  }
}

export function resetPeak(): void {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Without it, the peak is that of the whole process.
  }
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly steplog: string;
}

export function machine(): Machine {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    steplog: version,
  };
}
