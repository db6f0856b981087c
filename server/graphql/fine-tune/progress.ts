/** Progress of a run. Rates are of the latest steps, since the first ones on a cold worker are slower. */
import type { FineTune } from "../../../schema/tables.ts";
import type { ProjectStore } from "../../../store/store.ts";
import { oncePerRow } from "../../once-per-row.ts";
import { builder, queryCost } from "../builder.ts";

/** Number of steps that rates are averaged over. */
const recentSteps = 50;

export const ProgressRef = builder.objectRef<FineTune>("Progress").implement({
  description: "The progress of a run.",
  fields: (t) => ({
    step: t.exposeInt("stepsDone", { description: "Number of steps done and stored." }),
    steps: t.int({ description: "Total number of steps.", resolve: (run) => run.hyperparameters.steps }),
    fraction: t.float({
      description: "Share of the steps done, 0 to 1.",
      resolve: (run) => run.stepsDone / run.hyperparameters.steps,
    }),
    stepsPerSecond: t.float({
      nullable: true,
      description: `Speed of the latest ${recentSteps} steps; null before the first step.`,
      complexity: queryCost,
      resolve: (run, _args, { store }) => stepsPerSecond(store, run),
    }),
    etaSeconds: t.float({
      nullable: true,
      description:
        "Estimated seconds until the last step; null unless the run is RUNNING and has done a step. Leaves out evaluations, " +
        "checkpoints, and the time that a run waits.",
      deprecationReason: "Use `FineTune.estimatedSecondsLeft`. Deprecated since 0.2.0.",
      complexity: queryCost,
      resolve: async (run, _args, { store }) => {
        const rate = run.status === "RUNNING" ? await stepsPerSecond(store, run) : null;
        return rate === null ? null : (run.hyperparameters.steps - run.stepsDone) / rate;
      },
    }),
    trainedSeconds: t.float({
      description: "Seconds that the steps, evaluations and checkpoints so far took, which maxSeconds bounds.",
      complexity: queryCost,
      resolve: (run, _args, { store }) => store.fineTunes.trainedSeconds(run.id),
    }),
    skippedSteps: t.exposeInt("skippedSteps", {
      description: "Number of steps that did not change the weights because the loss was not finite.",
    }),
    zeroSteps: t.exposeInt("zeroSteps", {
      description:
        "Number of steps that did not change the weights because both sides of the perturbation measured the same. Frequent " +
        "with objectives that count rows, such as ACCURACY.",
    }),
  }),
});

export async function latestLoss(store: ProjectStore, run: FineTune): Promise<number | null> {
  return (await latestSteps(store, run)).findLast((step) => step.loss !== null)?.loss ?? null;
}

async function stepsPerSecond(store: ProjectStore, run: FineTune): Promise<number | null> {
  const steps = await latestSteps(store, run);
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  return seconds > 0 ? steps.length / seconds : null;
}

const latestSteps = oncePerRow((store, { id, stepsDone }: FineTune) =>
  store.fineTunes.metrics(id, { afterStep: Math.max(0, stepsDone - recentSteps), limit: recentSteps }),
);
