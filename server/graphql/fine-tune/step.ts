/** Steps of a run: their measurements, and the live stream. */
import { z } from "zod";
import type { StepMetric } from "../../../schema/tables.ts";
import { builder } from "../builder.ts";
import { requireFineTune } from "../lookup.ts";
import { onlyRow } from "../../shared-results.ts";
import { FineTuneRef } from "../nodes.ts";

export const StepRef = builder.objectRef<StepMetric>("Step").implement({
  description: "The measurements of one step.",
  fields: (t) => ({
    step: t.exposeInt("step", { description: "Number of the step, counted from 1 without gaps." }),
    loss: t.exposeFloat("loss", {
      nullable: true,
      description:
        "Mean of the measured losses, in nats per scored token or as the run's objective defines it. Null if it was not finite.",
    }),
    projectedGradient: t.exposeFloat("projectedGradient", {
      nullable: true,
      description:
        "(L+ - L-) / (2 epsilon), in nats; the root mean square if there are several estimates. Null if it was not finite.",
    }),
    learningRate: t.exposeFloat("learningRate", { description: "Learning rate of this step." }),
    skipped: t.exposeString("skipped", {
      nullable: true,
      description: "Why the step did not change the weights; null if it did.",
    }),
    seconds: t.exposeFloat("seconds", { description: "Duration of the step on the worker, in seconds." }),
    at: t.expose("at", { type: "DateTime", description: "When the step was stored." }),
  }),
});

const StepPayload = builder.objectRef<StepMetric>("StepPayload").implement({
  description: "One step of the stream.",
  fields: (t) => ({
    cursor: t.exposeInt("step", { description: "Pass it as `after` to continue after this step." }),
    step: t.field({ type: StepRef, description: "The step.", resolve: (step) => step }),
  }),
});

builder.subscriptionField("steps", (t) =>
  t.field({
    type: StepPayload,
    extensions: onlyRow,
    description:
      "Every step of a run, once and in order: first those already stored, then each new one. Completes after the last " +
      "step of a run that has ended.",
    args: {
      fineTuneId: t.arg.globalID({ for: FineTuneRef, required: true, description: "The run." }),
      after: t.arg.int({
        defaultValue: 0,
        description: "Number of the last step that you have; 0 starts from the first.",
        validate: z.int().min(0).nullish(),
      }),
    },
    subscribe: async (_root, { fineTuneId, after }, { store }) => {
      const { id } = await requireFineTune(store, fineTuneId.id, "fineTuneId");
      return store.feed.steps(id, { afterStep: after ?? 0 });
    },
    resolve: (step) => step,
  }),
);
