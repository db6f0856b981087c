/**
 * MeZO (Malladi et al. 2023, "Fine-Tuning Language Models with Just Forward Passes", Algorithm 1) as a sequence of steps,
 * each of which leaves (seed, scalar) entries for the log: one, or n with n-SPSA (its definition 6).
 *
 *   for t = 1 ... T:
 *     sample batch B and seeds s_1 ... s_n
 *     g_i = projected gradient of L(theta; B) along z_i, the noise of s_i     (estimators/)
 *     theta = theta - eta_t / n * sum of g_i z_i                              (Model.update)
 *
 * It differs from the paper's listing in two ways that do not change the estimate: perturbing never touches the stored
 * weights, and the stored scalar is what was applied, learning rate included.
 */
import { maxSkippedInARow } from "../../schema/limits.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { Perturbation } from "../devices/device.ts";
import type { ForwardModel, Model } from "../model/model.ts";
import { sigma } from "../numbers/noise.ts";
import { mean } from "../numbers/mean.ts";
import { perturbationSize, toBfloat16 } from "../numbers/scalar.ts";
import type { Objective } from "../objective/objective.ts";
import { batchIndices } from "./batches.ts";
import { estimatorOf } from "./estimators/all.ts";
import type { Estimate } from "./estimators/estimator.ts";
import { estimatesAt } from "../../schema/estimates.ts";
import { clip, decaysOf, learningRateAt } from "./schedules.ts";
import type { MezoSettings } from "./settings.ts";

/** What a step measured and applied; `step` counts from 1. */
export interface Step {
  readonly step: number;
  /** One for each estimate, all measured at the weights before the step. */
  readonly entries: readonly LogEntry[];
  /** Mean of the estimates' losses, in the unit of the objective; NaN or infinite if that is why the step was skipped. */
  readonly loss: number;
  /** Root mean square if there are several estimates. */
  readonly projectedGradient: number;
  readonly learningRate: number;
  /** Why the step changed nothing, or null. */
  readonly skipped: string | null;
}

/** How far a run has come: entries in its log, and the steps they belong to. */
export interface RunPosition {
  readonly entries: number;
  readonly step: number;
}

export const beginning: RunPosition = { entries: 0, step: 0 };

/**
 * Trains from a position, to which the weights in `model` must belong, to `settings.steps`.
 * @throws LOSS_NOT_FINITE after several skipped steps in a row
 */
export async function* train(
  model: Model,
  objective: Objective,
  settings: MezoSettings,
  from: RunPosition,
): AsyncGenerator<Step> {
  let skippedInARow = 0;
  let position = from;
  while (position.step < settings.steps) {
    const step = await mezoStep(model, objective, settings, position);
    model.update(step.entries);
    yield step;
    position = { entries: position.entries + step.entries.length, step: step.step };
    skippedInARow = step.skipped === null ? 0 : skippedInARow + 1;
    if (skippedInARow >= maxSkippedInARow) throw lossNotFinite(step);
  }
}

/** One iteration of the loop at the head of this file, without the update. */
async function mezoStep(
  model: Model,
  objective: Objective,
  settings: MezoSettings,
  { entries: firstEntry, step: t }: RunPosition,
): Promise<Step> {
  const { noise, seed, logSeed = seed, firstStep = 0 } = settings;
  const batch = batchOf(objective, settings, firstStep + t);
  const seeds = Array.from({ length: estimatesAt(settings, t) }, (_, i) => ruleSeed(logSeed, firstEntry + i));
  const estimates = await estimate(model, objective, batch, settings, seeds);

  const gradients = estimates.map(({ projectedGradient }) => clip(projectedGradient, settings.clipGradient));
  const learningRate = learningRateAt(settings, t);
  const rate = learningRate / estimatorOf(settings).scale(gradients);
  // z = n / sigma, where n are the integers that the update multiplies with.
  const scalars = gradients.map((g) => toBfloat16(g === 0 ? 0 : (rate * g) / estimates.length / sigma[noise]));

  // Clipping makes an infinite gradient finite, but says nothing about the way down.
  const bad = estimates.find((one, i) => !Number.isFinite(one.projectedGradient) || !Number.isFinite(scalars[i]));
  const decays = decaysOf(settings, learningRate, bad !== undefined);
  return {
    step: t + 1,
    entries: seeds.map((one, i) => ({ seed: one, scalar: bad ? 0 : (scalars[i] ?? 0), ...decays(i) })),
    loss: mean(estimates.map(({ loss }) => loss)),
    projectedGradient: rootMeanSquare(estimates.map((one) => one.projectedGradient)),
    learningRate,
    skipped: bad ? bad.measured : null,
  };
}

/** Indices of the rows of step t (from 0): `accumulate` batches, measured one after the other. */
export function batchOf(
  { count }: Objective,
  { batchSize, accumulate = 1, seed }: Pick<MezoSettings, "batchSize" | "accumulate" | "seed">,
  t: number,
): number[] {
  return batchIndices(count, batchSize * accumulate, seed, t);
}

/** Tokens of the rows of a step, from 1, each counted once. @param lengths of all rows */
export function tokensOfStep(
  { objective, lengths }: { readonly objective: Objective; readonly lengths: Uint32Array },
  settings: MezoSettings,
  step: number,
): number {
  const rows = batchOf(objective, settings, (settings.firstStep ?? 0) + step - 1);
  return rows.reduce((sum, row) => sum + (lengths[row] ?? 0), 0);
}

/** An estimate for each seed, of the loss of the given rows, at the model's present weights. */
export function estimate(
  model: ForwardModel,
  objective: Objective,
  rows: readonly number[],
  settings: Pick<MezoSettings, "batchSize" | "epsilon" | "noise" | "estimator">,
  seeds: readonly bigint[],
): Promise<Estimate[]> {
  const { batchSize, noise } = settings;
  const size = perturbationSize(settings.epsilon, noise);
  const measure = async (perturbation: Perturbation | null) =>
    (await rowLosses(model, objective, rows, batchSize, perturbation)).map(mean);
  const losses = {
    epsilon: size * sigma[noise],
    async atWeights() {
      const [loss = NaN] = await measure(null);
      return loss;
    },
    async plusSide(seed: bigint) {
      const [plus = NaN] = await measure({ seed, size, noise, oneSided: true });
      return plus;
    },
    async bothSides(seed: bigint) {
      const [plus = NaN, minus = NaN] = await measure({ seed, size, noise, oneSided: false });
      return [plus, minus] as const;
    },
  };
  return estimatorOf(settings).estimate(losses, seeds);
}

/** Losses of rows on each side, `atOnce` rows to a pass. */
export async function rowLosses(
  model: ForwardModel,
  objective: Objective,
  rows: readonly number[],
  atOnce: number,
  perturbation: Perturbation | null,
): Promise<number[][]> {
  const losses: number[][] = [];
  for (let at = 0; at < rows.length; at += atOnce) {
    const sides = await objective.measure(model, rows.slice(at, at + atOnce), perturbation);
    sides.forEach((values, side) => {
      const all = (losses[side] ??= []);
      for (const value of values) all.push(value);
    });
  }
  return losses;
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
