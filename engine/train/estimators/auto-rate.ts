/**
 * learningRate: AUTO. A step walks along noise that says little about the loss, and the noise of all steps adds up: to
 *
 *   eta * rms(g) * sqrt(sum over steps t of f_t^2 / n_t)
 *
 * a weight, where g are the projected gradients as they are applied, f_t is what the schedule leaves of eta, and n_t the
 * number of estimates. AUTO takes the eta at which that walk is some linear radii long (linear-radius.ts): shorter ones
 * learn less than they could, much longer ones ruin the model. docs/decisions/0039-auto-from-a-radius.md has measurements.
 */
import type { MethodKind } from "../../../schema/hyperparameters.ts";
import { hyperparameterTable } from "../../../schema/hyperparameter-table.ts";
import { mean } from "../../numbers/mean.ts";
import { estimatesAt } from "../../../schema/estimates.ts";
import { learningRateAt } from "../schedules.ts";
import type { MezoSettings } from "../settings.ts";
import type { Estimator } from "./estimator.ts";

export interface PickedRate {
  readonly learningRate: number;
  /** For people: how it was chosen. */
  readonly why: string;
}

/** Length of a run's walk in linear radii. A prefix is few weights, which have a long way to go. */
const radii: Readonly<Record<MethodKind, number>> = { FULL: 3, HEAD: 3, LORA: 3, PREFIX: 16 };

/** The rate of a prefix whose gradients have one size, in units of epsilon: its radius differs too much between batches. */
const epsilonsOfPrefix = 3;

/** Gradients that are applied as they are shrink as the loss falls, so that the walk is shorter than the first ones foretell. */
const timesAsFar = 2;

export function radiiOf(method: MethodKind, { normalises }: Pick<Estimator, "normalises">): number {
  return normalises ? radii[method] : timesAsFar * radii[method];
}

/** Null where the rate follows from measurements. */
export function fixedRate(
  { epsilon }: Pick<MezoSettings, "epsilon">,
  method: MethodKind,
  { normalises }: Pick<Estimator, "normalises">,
): PickedRate | null {
  if (method !== "PREFIX" || !normalises) return null;
  const why = `it is ${epsilonsOfPrefix} times epsilon, which suits a prefix with this estimator`;
  return { learningRate: allowed(epsilonsOfPrefix * epsilon), why };
}

/** Null if the gradients say nothing: none is finite, or all are 0. */
export function rateOfWalk(
  settings: Omit<MezoSettings, "learningRate">,
  length: number,
  gradients: readonly number[],
): number | null {
  const finite = gradients.filter(Number.isFinite);
  const gradient = Math.sqrt(mean(finite.map((one) => one * one)));
  if (!(gradient > 0)) return null;
  return allowed(length / (gradient * Math.sqrt(weightOfSteps(settings))));
}

/** The sum over all steps in the file's head. */
function weightOfSteps(settings: Omit<MezoSettings, "learningRate">): number {
  const whole = { ...settings, learningRate: 1 };
  let sum = 0;
  for (let t = 0; t < settings.steps; t++) sum += learningRateAt(whole, t) ** 2 / estimatesAt(whole, t);
  return sum;
}

/** To two digits: no more is known, and people can copy it. Within the range of given rates, since a fork gives it. */
function allowed(rate: number): number {
  return Math.min(Number(rate.toPrecision(2)), hyperparameterTable.learningRate.max);
}
