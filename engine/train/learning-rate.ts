/** learningRate: AUTO, which measures batches before the first step. Its rule is in estimators/auto-rate.ts. */
import { invariant } from "../../schema/errors.ts";
import type { MethodKind } from "../../schema/hyperparameters.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import type { ForwardModel } from "../model/model.ts";
import { perturbationSize } from "../numbers/scalar.ts";
import type { Objective } from "../objective/objective.ts";
import { estimatorOf } from "./estimators/all.ts";
import type { PickedRate } from "./estimators/auto-rate.ts";
import { fixedRate, radiiOf, rateOfWalk } from "./estimators/auto-rate.ts";
import type { RowLosses } from "./estimators/linear-radius.ts";
import { linearRadius } from "./estimators/linear-radius.ts";
import { batchOf, estimate, rowLosses } from "./mezo.ts";
import type { MezoSettings } from "./settings.ts";

/** Probes use the last of the run's seeds, which no entry of a log reaches. */
const lastEntry = 2 ** 32 - 1;

/** Batches whose gradients are measured, for an estimator that applies them as they are. */
export const probes = 16;

/** From the ranges that the MeZO paper searched, for models of billions of weights: where AUTO can measure nothing. */
export const usualRate: Readonly<Record<MethodKind, number>> = { FULL: 1e-6, HEAD: 1e-6, LORA: 1e-4, PREFIX: 1e-2 };

type Settings = Omit<MezoSettings, "learningRate">;

/** Null if the first losses say nothing. Weights do not change. */
export async function pickLearningRate(
  model: ForwardModel,
  objective: Objective,
  settings: Settings,
  method: MethodKind,
): Promise<PickedRate | null> {
  const fixed = fixedRate(settings, method, estimatorOf(settings));
  if (fixed) return fixed;
  const gradients = await firstGradients(model, objective, settings);
  const losses = probedLosses(model, objective.smooth ?? objective, settings);
  const radius = await linearRadius(losses, settings.epsilon);
  if (radius === null) return null;
  const radii = radiiOf(method, estimatorOf(settings));
  const learningRate = rateOfWalk(settings, radii * radius, gradients);
  if (learningRate === null) return null;
  const why = `the noise of all steps should then add up to ${radii} times ${radius.toPrecision(3)} a weight, the distance within which losses along noise are close to linear`;
  return { learningRate, why };
}

/** As a step would apply them. */
async function firstGradients(model: ForwardModel, objective: Objective, settings: Settings): Promise<number[]> {
  if (estimatorOf(settings).normalises) return [1];
  const gradients: number[] = [];
  for (let i = 0; i < probes; i++) {
    const seeds = [probeSeed(settings, i)];
    const [measured] = await estimate(model, objective, batchOf(objective, settings, i), settings, seeds);
    invariant(measured, "one seed gives one estimate");
    gradients.push(measured.projectedGradient);
  }
  return gradients;
}

function probedLosses(model: ForwardModel, objective: Objective, settings: Settings): RowLosses {
  const { noise, batchSize } = settings;
  const rows = (i: number) => batchOf(objective, settings, i);
  return {
    async atWeights(i) {
      const [losses = []] = await rowLosses(model, objective, rows(i), batchSize, null);
      return losses;
    },
    async bothSides(i, distance) {
      const size = perturbationSize(distance, noise);
      const perturbation = { seed: probeSeed(settings, i), size, noise, oneSided: false };
      const [plus = [], minus = []] = await rowLosses(model, objective, rows(i), batchSize, perturbation);
      return [plus, minus];
    },
  };
}

function probeSeed({ seed }: Settings, i: number): bigint {
  return ruleSeed(seed, lastEntry - i);
}
