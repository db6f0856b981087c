/**
 * learningRate: AUTO. The rate that suits a model, its method, data and noise differs by orders of magnitude, and the
 * scale of the first projected gradients tells it: a step of rate eta along noise with slope g lowers the loss by about
 * eta * g^2. AUTO measures g on the first batches without changing a weight, and takes the rate at which a step lowers the
 * loss by a given part of itself:
 *
 *   eta = part * mean(L) / mean(g^2)        part = 1 %, or 4 / steps in runs of more than 400 steps
 *
 * FZOO divides its slopes by their spread, so its steps are of one length, about eta a weight, whatever the losses: there is
 * nothing to measure, and eta = 3 * epsilon, a little further than where the losses were taken.
 * The numbers come from runs of the demo base (docs/decisions/0010-auto-learning-rate.md).
 */
import { ruleSeed } from "../../schema/step-log.ts";
import type { MezoSettings } from "./mezo.ts";
import { batchOf, estimateAlong } from "./mezo.ts";
import type { Model } from "../model/model.ts";
import type { Task } from "../objective/task.ts";

/** Batches that are measured, each along noise of its own. */
export const probes = 32;
const largestPart = 0.01;
const partOfAllSteps = 4;
const epsilonsOfFzoo = 3;
/** Seeds of the probes are the last of the run's seeds, which no entry of a log reaches. */
const lastEntry = 2 ** 32 - 1;

export interface PickedRate {
  readonly learningRate: number;
  /** For people. */
  readonly why: string;
}

/** Null when no probe had finite losses that differ: then there is nothing to go by. */
export async function pickLearningRate(
  model: Model,
  task: Task,
  settings: Omit<MezoSettings, "learningRate">,
): Promise<PickedRate | null> {
  const { seed, steps, epsilon } = settings;
  if (settings.estimator === "FZOO") {
    const why = `FZOO's steps are of one length whatever the losses, and this is ${epsilonsOfFzoo} times epsilon`;
    return { learningRate: rounded(epsilonsOfFzoo * epsilon), why };
  }
  const losses: number[] = [];
  const squares: number[] = [];
  for (let i = 0; i < probes; i++) {
    const batch = batchOf(task, settings, i);
    const [probe] = await estimateAlong(model, task, batch, settings, [ruleSeed(seed, lastEntry - i)]);
    if (!probe || !Number.isFinite(probe.projectedGradient)) continue;
    losses.push(probe.loss);
    squares.push(probe.projectedGradient ** 2);
  }
  const [loss, square] = [mean(losses), mean(squares)];
  if (!(square > 0)) return null;
  const part = Math.min(largestPart, partOfAllSteps / steps);
  const gradient = Math.sqrt(square).toPrecision(3);
  const why = `the first losses are about ${loss.toPrecision(3)}, the first projected gradients about ${gradient}`;
  return { learningRate: rounded((part * loss) / square), why };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** To two digits: what is known of it, and what people can copy. */
function rounded(rate: number): number {
  return Number(rate.toPrecision(2));
}
