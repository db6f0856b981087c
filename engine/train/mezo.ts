/**
 * MeZO (Malladi et al. 2023, "Fine-Tuning Language Models with Just Forward Passes", Algorithm 1), as a list of steps
 * that each leave (seed, scalar) pairs: one, or with n-SPSA (its definition 6) one for each of n estimates.
 *
 * Two differences to the paper's listing, neither of which changes the estimate: the perturbation never touches the
 * stored weights, and what is stored of a step is the scalar that was applied, learning rate included.
 */
import type { Hyperparameters, ScheduleKind } from "../../schema/hyperparameters.ts";
import { maxSkippedInARow } from "../../schema/limits.ts";
import type { LogEntry, StepLogHeader } from "../../schema/step-log.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Perturbation } from "../devices/device.ts";
import type { AdapterHeader } from "../model/adapters/adapter.ts";
import type { Model } from "../model/model.ts";
import type { Noise } from "../numbers/noise.ts";
import type { Task } from "../objective/task.ts";
import { tokenTask } from "../objective/task.ts";
import { sigma } from "../numbers/noise.ts";
import { batchPlaces } from "./batches.ts";
import { perturbationSize, toBfloat16 } from "../numbers/scalar.ts";

/** A step as it was measured; `step` counts from 1. */
export interface Step {
  readonly step: number;
  /** One for each estimate, all measured at the weights before the step. */
  readonly entries: readonly LogEntry[];
  /** Mean of the losses of both sides, nats per scored token; NaN or infinite when skipped for it. */
  readonly loss: number;
  /** Of several estimates their root mean square. */
  readonly projectedGradient: number;
  readonly learningRate: number;
  /** Why nothing was learned from the step, or null. */
  readonly skipped: string | null;
}

/** The hyperparameters that the algorithm reads; what may be left out is off then. */
export type MezoSettings = Pick<Hyperparameters, "steps" | "batchSize" | "epsilon" | "weightDecay" | "seed"> &
  Partial<
    Pick<
      Hyperparameters,
      "schedule" | "warmupSteps" | "clipGradient" | "accumulate" | "estimator" | "estimates" | "estimatesAtEnd"
    >
  > & {
    readonly noise: Noise;
    readonly learningRate: number;
    /** Run seed of the log, where the run goes on from another's: the noise is of that, the order of rows of `seed`. */
    readonly logSeed?: number;
    /** Steps of runs before, behind which this one goes on with the rows; 0 when left out. */
    readonly firstStep?: number;
  };

/** Where a run stands: entries in its log, and steps that they are of. */
export interface Place {
  readonly entries: number;
  readonly step: number;
}

export const beginning: Place = { entries: 0, step: 0 };

/**
 * Trains from `from` (the weights must be there) to `settings.steps`.
 * Require: parameters theta (in `model`), loss L (of the rows' tokens, unless a task says what is lowered), step budget T, perturbation scale epsilon, batch size B, rate eta.
 * @throws LOSS_NOT_FINITE after several skipped steps in a row
 */
export async function* train(
  model: Model,
  lowered: readonly EncodedRow[] | Task,
  settings: MezoSettings,
  from: Place,
): AsyncGenerator<Step> {
  const task = "measure" in lowered ? lowered : tokenTask(lowered);
  let skippedInARow = 0;
  let place = from;
  while (place.step < settings.steps) {
    const step = await mezoStep(model, task, settings, place);
    model.update(step.entries);
    yield step;
    place = { entries: place.entries + step.entries.length, step: step.step };
    skippedInARow = step.skipped === null ? 0 : skippedInARow + 1;
    if (skippedInARow >= maxSkippedInARow) throw lossNotFinite(step);
  }
}

/** Measures one step: the scalars that move theta by -eta / n * sum of g_i * z_i, z_i the noise of each one's seed. */
async function mezoStep(
  model: Model,
  task: Task,
  settings: MezoSettings,
  { entries: first, step: t }: Place,
): Promise<Step> {
  const { noise, seed, logSeed = seed, firstStep = 0 } = settings;
  const learningRate = learningRateAt(settings, t);
  const batch = batchOf(task, settings, firstStep + t);
  const seeds = Array.from({ length: estimatesAt(settings, t) }, (_, i) => ruleSeed(logSeed, first + i));
  const estimates = await estimateAlong(model, task, batch, settings, seeds);
  const slopes = estimates.map(({ projectedGradient }) => clipped(projectedGradient, settings.clipGradient));
  const rate = learningRate / scaleOf(settings, slopes);
  const scalars = slopes.map((slope) => toBfloat16(slope === 0 ? 0 : (rate * slope) / estimates.length / sigma[noise]));
  const bad = estimates[scalars.findIndex((scalar) => !Number.isFinite(scalar))];
  const decays = decaysOf(settings, learningRate, bad !== undefined);
  return {
    step: t + 1,
    entries: seeds.map((one, i) => ({ seed: one, scalar: bad ? 0 : (scalars[i] ?? 0), ...decays(i) })),
    loss: mean(estimates.map(({ loss }) => loss)),
    projectedGradient: rootMeanSquare(estimates.map((one) => one.projectedGradient)),
    learningRate,
    skipped: bad ? bad.seen : null,
  };
}

/**
 * What the slopes are divided by: 1, or for FZOO (arXiv 2506.09034, algorithm 1) their standard deviation, which is the spread
 * of the losses over epsilon. Slopes that are all the same say nothing of the noise: they are left out, as if it were infinite.
 */
function scaleOf({ estimator }: MezoSettings, slopes: readonly number[]): number {
  if (estimator !== "FZOO") return 1;
  const middle = mean(slopes);
  const squares = slopes.reduce((sum, slope) => sum + (slope - middle) ** 2, 0);
  return squares === 0 ? Infinity : Math.sqrt(squares / (slopes.length - 1));
}

export interface Estimate {
  /** Mean of the two measured losses; of a one-sided estimate, the loss without noise. */
  readonly loss: number;
  readonly projectedGradient: number;
  /** The measured losses, for people. */
  readonly seen: string;
}

/**
 * The slopes of the loss along the noise of each seed: two-sided, (L+ - L-) / 2 epsilon (SPSA: Spall 1992; MeZO, definition 1);
 * or one-sided, (L+ - L) / epsilon, where all of them share L.
 */
export async function estimateAlong(
  model: Model,
  task: Task,
  batch: readonly number[],
  { batchSize, epsilon, noise, estimator }: Pick<MezoSettings, "batchSize" | "epsilon" | "noise" | "estimator">,
  seeds: readonly bigint[],
): Promise<Estimate[]> {
  const size = perturbationSize(epsilon, noise);
  const width = size * sigma[noise];
  const measure = (perturbation: Perturbation | null) => lossesOf(model, task, batch, batchSize, perturbation);
  const oneSided = estimator === "ONE_SIDED" || estimator === "FZOO";
  const [still = NaN] = oneSided ? await measure(null) : [];
  const estimates: Estimate[] = [];
  for (const seed of seeds) {
    const [plus = NaN, minus = NaN] = await measure({ seed, size, noise, oneSided });
    estimates.push(
      oneSided
        ? { loss: still, projectedGradient: (plus - still) / width, seen: `loss ${plus} under noise, ${still} without` }
        : {
            loss: (plus + minus) / 2,
            projectedGradient: (plus - minus) / (2 * width),
            seen: `loss ${plus} on the plus side, ${minus} on the minus side`,
          },
    );
  }
  return estimates;
}

/** Mean losses of a batch on each side, measured `atOnce` rows at a time. */
async function lossesOf(
  model: Model,
  task: Task,
  batch: readonly number[],
  atOnce: number,
  perturbation: Perturbation | null,
): Promise<number[]> {
  const losses: number[][] = [];
  for (let at = 0; at < batch.length; at += atOnce) {
    const sides = await task.measure(model, batch.slice(at, at + atOnce), perturbation);
    sides.forEach((values, side) => (losses[side] ??= []).push(...values));
  }
  return losses.map(mean);
}

/** The places of the rows of a batch. */
export function batchOf(
  { count }: Task,
  { batchSize, accumulate = 1, seed }: Pick<MezoSettings, "batchSize" | "accumulate" | "seed">,
  t: number,
): number[] {
  return batchPlaces(count, batchSize * accumulate, seed, t);
}

/** n of step t (from 0). */
export function estimatesAt({ steps, estimates = 1, estimatesAtEnd = 0 }: MezoSettings, t: number): number {
  if (estimatesAtEnd === 0 || steps === 1) return estimates;
  return Math.round(estimates + ((estimatesAtEnd - estimates) * t) / (steps - 1));
}

/** The rate of step t (from 0): eta of Algorithm 1, by the schedule. No step has a rate of 0. */
export function learningRateAt(settings: MezoSettings, t: number): number {
  const { learningRate, steps, schedule = "CONSTANT", warmupSteps = 0 } = settings;
  if (t < warmupSteps) return (learningRate * (t + 1)) / warmupSteps;
  const done = (t - warmupSteps) / (steps - warmupSteps);
  return learningRate * left[schedule](done);
}

/** What a schedule leaves of the rate, by the share of the steps behind the warm-up that is done. */
const left: Readonly<Record<ScheduleKind, (done: number) => number>> = {
  CONSTANT: () => 1,
  LINEAR: (done) => 1 - done,
  COSINE: (done) => (1 + Math.cos(Math.PI * done)) / 2,
};

function clipped(gradient: number, limit = 0): number {
  return limit === 0 ? gradient : Math.min(Math.max(gradient, -limit), limit);
}

/** Decoupled weight decay: the factor of a step's first entry, 1 of the others and of a skipped step; none without decay. */
function decaysOf({ weightDecay }: MezoSettings, learningRate: number, skipped: boolean) {
  const factor = skipped ? 1 : Math.fround(1 - learningRate * weightDecay);
  return (entry: number): { decay?: number } => (weightDecay === 0 ? {} : { decay: entry === 0 ? factor : 1 });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function rootMeanSquare(values: readonly number[]): number {
  const [only] = values;
  return values.length === 1 && only !== undefined ? only : Math.sqrt(mean(values.map((value) => value * value)));
}

function lossNotFinite(step: Step): SteplogError {
  const advice = "Lower the learning rate or epsilon, or look for NaN in the base model's weights.";
  return new SteplogError(
    "LOSS_NOT_FINITE",
    `${maxSkippedInARow} steps in a row were skipped, the last at step ${step.step}: ${step.skipped}. ${advice}`,
  );
}

/** The header that a new run's log begins with; `adapter` says how one began, where one is trained. */
export function logHeader(
  base: string,
  model: Model,
  settings: MezoSettings,
  adapter: AdapterHeader = {},
): StepLogHeader {
  const { steps, batchSize, learningRate, epsilon, weightDecay } = settings;
  return {
    format: 1,
    base,
    trainable: [...model.trainable],
    noise: settings.noise,
    ...adapter,
    seed: settings.seed,
    hyperparameters: { steps, batchSize, learningRate, epsilon, weightDecay, ...unusual(settings) },
  };
}

/** Those of the further hyperparameters that differ from what they are when left out. */
function unusual(settings: MezoSettings): Record<string, string | number> {
  const usual = {
    schedule: "CONSTANT",
    warmupSteps: 0,
    clipGradient: 0,
    accumulate: 1,
    estimator: "SPSA",
    estimates: 1,
    estimatesAtEnd: 0,
  };
  const given = Object.keys(usual).map((name) => [name, settings[name as keyof typeof usual]] as const);
  return Object.fromEntries(
    given.flatMap(([name, value]) =>
      value === undefined || value === usual[name as keyof typeof usual] ? [] : [[name, value]],
    ),
  );
}
