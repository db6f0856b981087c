/**
 * bench scaling: the same work on one thread, on all threads, and on as many single-thread devices at once, in turn. The last
 * shows the limit set by shared memory, caches and heat when the work itself shares nothing.
 */
import { availableParallelism } from "node:os";
import type { Device } from "../engine/devices/device.ts";
import { SteplogError } from "../schema/errors.ts";
import { openDevice } from "./device.ts";
import type { Machine, Sample, Summary } from "./measure.ts";
import { machine, median, summarise, timed } from "./measure.ts";
import type { ReplayOptions } from "./replay.ts";
import { preparedReplay } from "./replay.ts";
import type { StepOptions } from "./step.ts";
import { preparedSteps } from "./step.ts";

export interface ScalingOptions
  extends Omit<StepOptions, "steps" | "labels">, Omit<ReplayOptions, "runs" | keyof StepOptions> {
  readonly subject: "step" | "replay";
  readonly rounds: number;
}

export interface ScalingResult {
  readonly bench: "scaling";
  readonly options: ScalingOptions;
  readonly device: string;
  readonly threads: number;
  /** Seconds of the work on one thread, on all threads, and of one copy of the work per thread, all at once. */
  readonly one: Summary;
  readonly all: Summary;
  readonly sideBySide: Summary;
  /** Speed of all threads relative to one; the median over the rounds. */
  readonly speedup: number;
  /** Total speed of the single-thread devices relative to one alone; the median over the rounds. */
  readonly sideBySideGain: number;
  readonly machine: Machine;
}

export async function benchScaling(options: ScalingOptions): Promise<ScalingResult> {
  const threads = options.threads ?? availableParallelism();
  // A single-thread device computes on a thread of libuv's pool.
  const pool = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4);
  if (threads > pool) {
    const advice = `set UV_THREADPOOL_SIZE=${threads}, or give a lower --threads`;
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${threads} devices at once need ${threads} threads in Node's pool: ${advice}.`,
    );
  }
  const whole = await openDevice({ ...options, threads });
  const alone = await Promise.all(Array.from({ length: threads }, () => openDevice({ ...options, threads: 1 })));
  // In sequence, since the first one makes the model's folder.
  const works: (() => Promise<void>)[] = [];
  for (const device of alone) works.push(await prepared(device, options));
  const together = await prepared(whole, options);

  const samples: { one: Sample; all: Sample; sideBySide: Sample }[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const { sample: one } = await timed(async () => works[0]?.());
    const { sample: all } = await timed(together);
    const { sample: sideBySide } = await timed(() => Promise.all(works.map((work) => work())));
    samples.push({ one, all, sideBySide });
  }
  const result: ScalingResult = {
    bench: "scaling",
    options,
    device: `${whole.name}: ${whole.description}`,
    threads,
    one: summarise(samples.map(({ one }) => one)),
    all: summarise(samples.map(({ all }) => all)),
    sideBySide: summarise(samples.map(({ sideBySide }) => sideBySide)),
    speedup: median(samples.map(({ one, all }) => one.seconds / all.seconds)),
    sideBySideGain: median(samples.map(({ one, sideBySide }) => (threads * one.seconds) / sideBySide.seconds)),
    machine: machine(),
  };
  for (const device of [...alone, whole]) device.dispose();
  return result;
}

/** The work, run once so that later runs do not include setup. */
async function prepared(device: Device, options: ScalingOptions): Promise<() => Promise<void>> {
  const work =
    options.subject === "replay" ? await preparedReplay(device, options) : await preparedSteps(device, options);
  await work();
  return work;
}
