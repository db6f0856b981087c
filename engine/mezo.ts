/**
 * MeZO (Malladi et al. 2023, "Fine-Tuning Language Models with Just Forward Passes", Algorithm 1), as a list of steps
 * that each leave one (seed, scalar) pair.
 *
 * Two differences to the paper's listing, neither of which changes the estimate: the perturbation never touches the
 * stored weights, and what is stored of a step is the scalar that was applied, learning rate included.
 */
import type { Hyperparameters, ScheduleKind } from "../schema/hyperparameters.ts";
import { maxSkippedInARow } from "../schema/limits.ts";
import type { LogEntry, StepLogHeader } from "../schema/step-log.ts";
import { ruleSeed } from "../schema/step-log.ts";
import { SteplogError } from "../schema/errors.ts";
import type { EncodedRow } from "../dataset/encode.ts";
import type { LoraHeader } from "./model/lora.ts";
import type { Model } from "./model/model.ts";
import type { Noise } from "./noise.ts";
import { sigma } from "./noise.ts";
import { batchRows } from "./order.ts";
import { perturbationSize, toBfloat16 } from "./scalar.ts";

/** A step as it was measured; `step` counts from 1 and is the number of entries after it. */
export interface Step {
  readonly step: number;
  readonly entry: LogEntry;
  /** Mean of the two losses, nats per scored token; NaN or infinite when skipped for it. */
  readonly loss: number;
  readonly projectedGradient: number;
  readonly learningRate: number;
  /** Why nothing was learned from the step, or null. */
  readonly skipped: string | null;
}

/** The hyperparameters that the algorithm reads; what may be left out is off then. */
export type MezoSettings = Pick<
  Hyperparameters,
  "steps" | "batchSize" | "learningRate" | "epsilon" | "weightDecay" | "seed"
> &
  Partial<Pick<Hyperparameters, "schedule" | "warmupSteps" | "clipGradient">> & { readonly noise: Noise };

/**
 * Trains from entry `from` (0 for a new run; the weights must be at that entry) to `settings.steps`.
 * Require: parameters theta (in `model`), loss L, step budget T, perturbation scale epsilon, batch size B, rate eta.
 * @throws LOSS_NOT_FINITE after several skipped steps in a row
 */
export async function* train(
  model: Model,
  rows: readonly EncodedRow[],
  settings: MezoSettings,
  from: number,
): AsyncGenerator<Step> {
  let skippedInARow = 0;
  for (let t = from; t < settings.steps; t++) {
    const batch = batchRows(rows, settings.batchSize, settings.seed, t);
    const step = await mezoStep(model, batch, settings, t);
    model.update([step.entry]);
    yield step;
    skippedInARow = step.skipped === null ? 0 : skippedInARow + 1;
    if (skippedInARow >= maxSkippedInARow) throw lossNotFinite(step);
  }
}

/** Measures one step: the scalar that moves theta by -eta * g * z along the noise z of its seed. */
async function mezoStep(model: Model, batch: readonly EncodedRow[], settings: MezoSettings, t: number): Promise<Step> {
  const { noise } = settings;
  const learningRate = learningRateAt(settings, t);
  const seed = ruleSeed(settings.seed, t);
  const size = perturbationSize(settings.epsilon, noise);

  const losses = await model.perturbedLosses(batch, { seed, size, noise });
  const plus = mean(losses.plus);
  const minus = mean(losses.minus);
  const projectedGradient = (plus - minus) / (2 * size * sigma[noise]);
  const scalar = toBfloat16((learningRate * clipped(projectedGradient, settings.clipGradient)) / sigma[noise]);

  const skipped = Number.isFinite(scalar) ? null : `loss ${plus} on the plus side, ${minus} on the minus side`;
  const entry = { seed, scalar: skipped === null ? scalar : 0, ...decayOf(settings, learningRate, skipped !== null) };
  return { step: t + 1, entry, loss: (plus + minus) / 2, projectedGradient, learningRate, skipped };
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

/** Decoupled weight decay: the factor of a step, 1 when it is skipped; none for a run without decay. */
function decayOf({ weightDecay }: MezoSettings, learningRate: number, skipped: boolean): { decay?: number } {
  if (weightDecay === 0) return {};
  return { decay: skipped ? 1 : Math.fround(1 - learningRate * weightDecay) };
}

function mean(losses: Float64Array): number {
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function lossNotFinite(step: Step): SteplogError {
  const advice = "Lower the learning rate or epsilon, or look for NaN in the base model's weights.";
  return new SteplogError(
    "LOSS_NOT_FINITE",
    `${maxSkippedInARow} steps in a row were skipped, the last at step ${step.step}: ${step.skipped}. ${advice}`,
  );
}

/** The header that a new run's log begins with; `lora` where an adapter is trained. */
export function logHeader(base: string, model: Model, settings: MezoSettings, lora?: LoraHeader): StepLogHeader {
  const { steps, batchSize, learningRate, epsilon, weightDecay, schedule, warmupSteps, clipGradient } = settings;
  return {
    format: 1,
    base,
    trainable: [...model.trainable],
    noise: settings.noise,
    ...(lora && { lora }),
    seed: settings.seed,
    hyperparameters: {
      steps,
      batchSize,
      learningRate,
      epsilon,
      weightDecay,
      ...(schedule && schedule !== "CONSTANT" && { schedule }),
      ...(warmupSteps && { warmupSteps }),
      ...(clipGradient && { clipGradient }),
    },
  };
}
