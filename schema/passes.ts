/**
 * How many forward passes the steps of a run take, by its settings: what runs with different estimators are compared by. It
 * is what engine/estimate counts, where the objective needs no answers; to generate one takes a pass for each of its tokens.
 */
import { estimatesAt } from "./estimates.ts";
import type { Hyperparameters } from "./hyperparameter-table.ts";

type Settings = Pick<Hyperparameters, "steps" | "accumulate" | "estimator" | "estimates" | "estimatesAtEnd">;

/** Of each step, the passes of it and of all before it; the first entry, 0, is that of no step. */
export function passesByStep(settings: Settings): Float64Array {
  const sums = new Float64Array(settings.steps + 1);
  for (let t = 0; t < settings.steps; t += 1) sums[t + 1] = (sums[t] ?? 0) + passesOf(settings, t);
  return sums;
}

/** Those of all steps of a run that does not end early. */
export function passesOfRun(settings: Settings): number {
  if (settings.estimatesAtEnd === 0) return settings.steps * passesOf(settings, 0);
  return passesByStep(settings)[settings.steps] ?? 0;
}

/** Of step t, from 0. Two-sided estimates measure both sides of the weights; the others share the loss at the weights. */
function passesOf(settings: Settings, t: number): number {
  const estimates = estimatesAt(settings, t);
  return settings.accumulate * (settings.estimator === "SPSA" ? 2 * estimates : estimates + 1);
}
