/** What changes from step to step: the learning rate (and schema/estimates.ts); and the limits of an update. Steps t count from 0. */
import type { ScheduleKind } from "../../schema/hyperparameters.ts";
import type { MezoSettings } from "./settings.ts";

/** Part of the learning rate that each schedule leaves, given the share of the steps after the warm-up that is done. */
const remaining: Readonly<Record<ScheduleKind, (done: number) => number>> = {
  CONSTANT: () => 1,
  LINEAR: (done) => 1 - done,
  COSINE: (done) => (1 + Math.cos(Math.PI * done)) / 2,
};

/** eta of step t: rises linearly during the warm-up, then follows the schedule. It is above 0 in every step. */
export function learningRateAt(settings: MezoSettings, t: number): number {
  const { learningRate, steps, schedule = "CONSTANT", warmupSteps = 0 } = settings;
  if (t < warmupSteps) return (learningRate * (t + 1)) / warmupSteps;
  const done = (t - warmupSteps) / (steps - warmupSteps);
  return learningRate * remaining[schedule](done);
}

/** Clips a projected gradient to plus or minus the limit; 0 is no limit. */
export function clip(gradient: number, limit = 0): number {
  return limit === 0 ? gradient : Math.min(Math.max(gradient, -limit), limit);
}

/**
 * Decoupled weight decay: the factor that each entry of a step multiplies the weights by. The first entry has it all, the
 * others 1; a skipped step has 1 in all. Without weight decay entries have none.
 */
export function decaysOf({ weightDecay }: MezoSettings, learningRate: number, skipped: boolean) {
  const factor = skipped ? 1 : Math.fround(1 - learningRate * weightDecay);
  return (entry: number): { decay?: number } => (weightDecay === 0 ? {} : { decay: entry === 0 ? factor : 1 });
}
