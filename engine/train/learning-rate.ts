/** learningRate: AUTO. The estimator has the rule (estimators/auto-rate.ts); here it gets batches to measure. */
import { invariant } from "../../schema/errors.ts";
import type { MethodKind } from "../../schema/hyperparameters.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import type { ForwardModel } from "../model/model.ts";
import type { Objective } from "../objective/objective.ts";
import { estimatorOf } from "./estimators/all.ts";
import type { PickedRate } from "./estimators/auto-rate.ts";
import { batchOf, estimate } from "./mezo.ts";
import type { MezoSettings } from "./settings.ts";

/** Probes use the last of the run's seeds, which no entry of a log reaches. */
const lastEntry = 2 ** 32 - 1;

/** From the ranges that the MeZO paper searched, for models of billions of weights: where AUTO can measure nothing. */
export const usualRate: Readonly<Record<MethodKind, number>> = { FULL: 1e-6, HEAD: 1e-6, LORA: 1e-4, PREFIX: 1e-2 };

/** Null if the first losses say nothing. Weights do not change. */
export function pickLearningRate(
  model: ForwardModel,
  objective: Objective,
  settings: Omit<MezoSettings, "learningRate">,
): Promise<PickedRate | null> {
  const probe = async (i: number) => {
    const seeds = [ruleSeed(settings.seed, lastEntry - i)];
    const [measured] = await estimate(model, objective, batchOf(objective, settings, i), settings, seeds);
    invariant(measured, "one seed gives one estimate");
    return measured;
  };
  return estimatorOf(settings).autoRate(settings, probe);
}
