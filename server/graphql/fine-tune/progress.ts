/** How far a run is. Rates are of the latest steps, since the first ones on a cold worker are slower. */
import type { FineTune, StepMetric } from "../../../schema/tables.ts";
import type { Store } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";

/** Steps over which rates are taken. */
const recentSteps = 50;

export const ProgressRef = builder.objectRef<FineTune>("Progress").implement({
  description: "How far a run is.",
  fields: (t) => ({
    step: t.exposeInt("stepsDone", { description: "Steps done and stored." }),
    steps: t.int({ description: "Steps in all.", resolve: (run) => run.hyperparameters.steps }),
    fraction: t.float({
      description: "Share of the steps that are done, 0 to 1.",
      resolve: (run) => run.stepsDone / run.hyperparameters.steps,
    }),
    stepsPerSecond: t.float({
      nullable: true,
      description: `Rate on the worker over the latest ${recentSteps} steps; null before the first.`,
      complexity: queryCost,
      resolve: (run, _args, { store }) => stepsPerSecond(store, run),
    }),
    etaSeconds: t.float({
      nullable: true,
      description: "Seconds until the last step at this rate; null unless the run is running.",
      complexity: queryCost,
      resolve: async (run, _args, { store }) => {
        const rate = run.status === "RUNNING" ? await stepsPerSecond(store, run) : null;
        return rate === null ? null : (run.hyperparameters.steps - run.stepsDone) / rate;
      },
    }),
    skippedSteps: t.exposeInt("skippedSteps", {
      description: "Steps whose loss was not finite, which left the weights as they were.",
    }),
    zeroSteps: t.exposeInt("zeroSteps", {
      description:
        "Steps that measured no difference between the two sides, so that the weights stayed as they were. Frequent where " +
        "what is measured is a count, as accuracy is.",
    }),
  }),
});

export async function latestLoss(store: Store, run: FineTune): Promise<number | null> {
  return (await latest(store, run)).findLast((step) => step.loss !== null)?.loss ?? null;
}

async function stepsPerSecond(store: Store, run: FineTune): Promise<number | null> {
  const steps = await latest(store, run);
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  return seconds > 0 ? steps.length / seconds : null;
}

/** Several fields of one row want the same steps: they are read once a row. */
const readOnce = new WeakMap<FineTune, Promise<StepMetric[]>>();

function latest(store: Store, run: FineTune): Promise<StepMetric[]> {
  const afterStep = Math.max(0, run.stepsDone - recentSteps);
  const steps = readOnce.get(run) ?? store.fineTunes.metrics(run.id, { afterStep, limit: recentSteps });
  readOnce.set(run, steps);
  return steps;
}
