/**
 * learningRate: AUTO. Which rate suits a model, its method, data and noise differs by orders of magnitude, and the scale of
 * the first projected gradients g tells it: a step of rate eta lowers the loss by about eta * g^2. The first rule measures
 * g on the first batches, and takes the rate at which a step lowers the loss by a given part of itself:
 *
 *   eta = part * mean(L) / mean(g^2)        part = 1 %, or 4 / steps in runs of more than 400 steps
 *
 * An estimator that divides its gradients by their spread makes steps of one length, about eta a weight, whatever the
 * losses. The second rule measures nothing: eta = 3 * epsilon, a little more than the distance at which the losses were
 * measured. The constants come from runs of the demo model (docs/decisions/0010-auto-learning-rate.md).
 */
import { hyperparameterTable } from "../../../schema/hyperparameter-table.ts";
import { mean } from "../../numbers/mean.ts";

export interface PickedRate {
  readonly learningRate: number;
  /** For people: how it was chosen. */
  readonly why: string;
}

/** A loss and a projected gradient, measured on one of the first batches along its own noise; no weight changes. */
interface Probe {
  readonly loss: number;
  readonly projectedGradient: number;
}

/** Null if nothing can be chosen: no probe has finite losses that differ, or all losses are 0. */
export type AutoRate = (
  settings: { readonly steps: number; readonly epsilon: number },
  probe: (batch: number) => Promise<Probe>,
) => Promise<PickedRate | null>;

/** Batches that are measured. */
export const probes = 32;
const largestPart = 0.01;
const partOfAllSteps = 4;
const epsilons = 3;

export const rateFromFirstGradients: AutoRate = async ({ steps }, probe) => {
  const losses: number[] = [];
  const squares: number[] = [];
  for (let i = 0; i < probes; i++) {
    const { loss, projectedGradient } = await probe(i);
    if (!Number.isFinite(projectedGradient)) continue;
    losses.push(loss);
    squares.push(projectedGradient ** 2);
  }
  const [loss, square] = [mean(losses), mean(squares)];
  if (!(square > 0)) return null;
  const part = Math.min(largestPart, partOfAllSteps / steps);
  const learningRate = allowed((part * loss) / square);
  if (!(learningRate > 0)) return null;
  const gradient = Math.sqrt(square).toPrecision(3);
  const why = `the first losses are about ${loss.toPrecision(3)}, the first projected gradients about ${gradient}`;
  return { learningRate, why };
};

export const rateFromEpsilon: AutoRate = ({ epsilon }) => {
  const why = `it is ${epsilons} times epsilon, since this estimator's steps have one length whatever the losses`;
  return Promise.resolve({ learningRate: allowed(epsilons * epsilon), why });
};

/** To two digits: no more is known, and people can copy it. Within the range of given rates, since a fork gives it. */
function allowed(rate: number): number {
  return Math.min(Number(rate.toPrecision(2)), hyperparameterTable.learningRate.max);
}
