/** bench step: MeZO steps as in training, compared with forward passes of the same rows on the same device. */
import type { Device, Precision, WeightDtype } from "../engine/devices/device.ts";
import type { Step } from "../engine/train/mezo.ts";
import type { MezoSettings } from "../engine/train/settings.ts";
import { tokenLoss } from "../engine/objective/objective.ts";
import { beginning, train } from "../engine/train/mezo.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { parameterCount } from "../engine/model/files/folder.ts";
import type { Model } from "../engine/model/model.ts";
import { loadModel } from "../engine/model/model.ts";
import type { Noise } from "../engine/numbers/noise.ts";
import { openDevice, peakOf, timingsOf } from "./device.ts";
import type { BoundedSample, Machine, Sample, Summary } from "./measure.ts";
import { bounded, machine, memory, resetPeak, shareOfPeak, summarise, timed } from "./measure.ts";
import { randomModel, randomRows } from "./model.ts";
import { workOf } from "./work.ts";

export interface StepOptions {
  readonly config: string;
  readonly batch: number;
  readonly tokens: number;
  readonly dtype: WeightDtype;
  readonly multiply: Precision;
  readonly noise: Noise;
  readonly device: string;
  readonly steps: number;
  /** Scored tokens at the end of each row. */
  readonly labels: number | "all";
  readonly threads?: number;
}

export interface StepResult {
  readonly bench: "step";
  readonly options: StepOptions;
  readonly device: string;
  readonly parameters: number;
  /** Seconds per step, without the first one, which includes setup. */
  readonly step: Summary;
  readonly firstStep: number;
  readonly load: number;
  /** Seconds of an unperturbed forward pass over the batch. */
  readonly forward: Summary;
  /** Time of a step divided by that of two forward passes, the minimum for MeZO. */
  readonly stepOverForwards: number;
  readonly tokensPerSecond: number;
  /** 10^9 floating-point operations in the products of a step, both sides (bench/work.ts). */
  readonly gflop: number;
  readonly gflopPerSecond: number;
  /** Share of the processor's peak, measured before and after each step; NaN if the device does not measure it. */
  readonly shareOfPeak: number;
  /** Seconds of the parts of a step as the device reports them; null if it does not. */
  readonly parts: Readonly<Record<string, number>> | null;
  /** MB: the process with its device, with the weights loaded, and at the peak of the steps; and the weights as stored. */
  readonly memory: { readonly bare: number; readonly loaded: number; readonly peak: number; readonly weights: number };
  readonly lastLoss: number;
  readonly machine: Machine;
}

export async function benchStep(options: StepOptions): Promise<StepResult> {
  const folder = await randomModel(options.config, options.dtype);
  const device = await openDevice(options);
  const result = await measureSteps(device, folder, options);
  device.dispose();
  return result;
}

/** The same on an open device, with a folder that need not be on disk if the device does not read it. */
export async function measureSteps(device: Device, folder: ModelFolder, options: StepOptions): Promise<StepResult> {
  const bare = memory().now;
  const { result: model, sample: load } = await timed(() =>
    loadModel(folder, device, options.noise, { precision: options.multiply }),
  );
  const loaded = memory().now;

  const rows = rowsOf(model, options);
  const batch = rows.slice(0, options.batch);
  const forwards = await forwardPasses(model, batch, options.steps);
  resetPeak();
  const steps = await mezoSteps(model, device, rows, options);
  const { peak } = memory();
  forwards.push(...(await forwardPasses(model, batch, options.steps)));

  const work = await workOf(folder, batch);
  const [step, forward] = [summarise(steps.runs.map(({ sample }) => sample)), summarise(forwards)];
  const gflop = (2 * work.flops) / 1e9;
  const parameters = parameterCount(folder);
  return {
    bench: "step",
    options,
    device: `${device.name}: ${device.description}`,
    parameters,
    step,
    firstStep: steps.first,
    load: load.seconds,
    forward,
    stepOverForwards: step.median / (2 * forward.median),
    tokensPerSecond: (options.batch * options.tokens) / step.median,
    gflop,
    gflopPerSecond: gflop / step.median,
    shareOfPeak: shareOfPeak(steps.runs, gflop),
    parts: steps.parts,
    memory: { bare, loaded, peak, weights: (parameters * (options.dtype === "F32" ? 4 : 2)) / 1e6 },
    lastLoss: steps.lastLoss,
    machine: machine(),
  };
}

/** A function that runs the next step on its own model. */
export async function preparedSteps(
  device: Device,
  options: Omit<StepOptions, "steps" | "labels">,
): Promise<() => Promise<void>> {
  const folder = await randomModel(options.config, options.dtype);
  const model = await loadModel(folder, device, options.noise, { precision: options.multiply });
  const next = stepsOf(model, rowsOf(model, { ...options, labels: 8 }), options);
  return async () => {
    await next();
  };
}

/** Enough rows for batches to differ from step to step. */
function rowsOf(model: Model, { batch, tokens, labels }: Pick<StepOptions, "batch" | "tokens" | "labels">) {
  const scored = labels === "all" ? tokens : labels;
  return randomRows(model.folder.architecture.vocabulary, 4 * batch, tokens, scored);
}

async function forwardPasses(model: Model, batch: ReturnType<typeof rowsOf>, count: number): Promise<Sample[]> {
  // The first pass includes setup and applies delayed updates.
  await model.losses(batch);
  const samples: Sample[] = [];
  for (let k = 0; k < Math.ceil(count / 2); k++) samples.push((await timed(() => model.losses(batch))).sample);
  return samples;
}

/** A function that runs the next step of a long training. */
function stepsOf(
  model: Model,
  rows: ReturnType<typeof rowsOf>,
  options: Pick<StepOptions, "batch" | "noise">,
): () => Promise<Step> {
  const settings: MezoSettings = {
    steps: 1_000_000,
    batchSize: options.batch,
    learningRate: 1e-6,
    epsilon: 1e-3,
    weightDecay: 0,
    noise: options.noise,
    seed: 1,
  };
  const steps = train(model, tokenLoss(rows), settings, beginning);
  return async () => {
    const { value } = (await steps.next()) as IteratorResult<Step, Step>;
    return value;
  };
}

async function mezoSteps(model: Model, device: Device, rows: ReturnType<typeof rowsOf>, options: StepOptions) {
  const next = stepsOf(model, rows, options);
  const { sample: first } = await timed(next);
  await timingsOf(device);
  const runs: BoundedSample[] = [];
  let lastLoss = NaN;
  for (let k = 0; k < options.steps; k++) {
    const run = await bounded(
      () => peakOf(device, options.multiply),
      () => timed(next),
    );
    runs.push(run);
    lastLoss = run.result.loss;
  }
  const total = await timingsOf(device);
  const parts = total && Object.fromEntries(Object.entries(total).map(([part, sum]) => [part, sum / options.steps]));
  return { first: first.seconds, runs, lastLoss, parts };
}
