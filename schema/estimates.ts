/** How many estimates the steps of a run have. */
import type { Hyperparameters } from "./hyperparameters.ts";

type Settings = Pick<Hyperparameters, "steps"> & Partial<Pick<Hyperparameters, "estimates" | "estimatesAtEnd">>;

/** n of step t, counted from 0: changes linearly from `estimates` to `estimatesAtEnd`, unless that is 0. */
export function estimatesAt({ steps, estimates = 1, estimatesAtEnd = 0 }: Settings, t: number): number {
  if (estimatesAtEnd === 0 || steps === 1) return estimates;
  return Math.round(estimates + ((estimatesAtEnd - estimates) * t) / (steps - 1));
}

/** The sum of n over the steps from `t` on. */
export function estimatesFrom(settings: Settings, t: number): number {
  const left = Math.max(0, settings.steps - t);
  if (!settings.estimatesAtEnd) return left * estimatesAt(settings, t);
  return Array.from({ length: left }, (_, index) => estimatesAt(settings, t + index)).reduce((sum, n) => sum + n, 0);
}
