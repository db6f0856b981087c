/**
 * bench scaling: the same work on one thread, on all threads, and by as many devices of one thread at once as there are
 * threads, in turn. The last says what cores that share memory, caches and heat do when their work shares nothing.
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
  /** Seconds of the work on one thread, on all, and of as many works on one thread each, at once, as there are threads. */
  readonly one: Summary;
  readonly all: Summary;
  readonly sideBySide: Summary;
  /** How many times as fast all threads are as one; the median of the rounds. */
  readonly speedup: number;
  /** How many times as much devices of one thread get done at once as one alone; the median of the rounds. */
  readonly sideBySideGain: number;
  readonly machine: Machine;
}

export async function benchScaling(options: ScalingOptions): Promise<ScalingResult> {
  const threads = options.threads ?? availableParallelism();
  // A device of one thread computes on a thread of libuv's pool.
  const pool = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4);
  if (threads > pool) {
    const advice = `set UV_THREADPOOL_SIZE=${threads}, or give fewer --threads`;
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${threads} devices at once need as many threads of Node's pool: ${advice}.`,
    );
  }
  const whole = await openDevice({ ...options, threads });
  const alone = await Promise.all(Array.from({ length: threads }, () => openDevice({ ...options, threads: 1 })));
  // One after the other: the first makes the model's folder.
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

/** The work, ready to be repeated: what only a first time does is done. */
async function prepared(device: Device, options: ScalingOptions): Promise<() => Promise<void>> {
  const work =
    options.subject === "replay" ? await preparedReplay(device, options) : await preparedSteps(device, options);
  await work();
  return work;
}
