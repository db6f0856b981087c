/** Steps of a run: what each measured, charts of them, and the live stream. */
import { z } from "zod";
import type { StepMetric } from "../../../schema/tables.ts";
import { builder } from "../builder.ts";
import { requireFineTune } from "../lookup.ts";
import { FineTuneRef } from "../nodes.ts";

export const StepRef = builder.objectRef<StepMetric>("Step").implement({
  description: "What one step measured.",
  fields: (t) => ({
    step: t.exposeInt("step", { description: "Number of the step, from 1. Steps are in order, with no gap." }),
    loss: t.exposeFloat("loss", {
      nullable: true,
      description:
        "Mean of the measured losses: nats per scored token, or what the run's objective says; null when it was not finite.",
    }),
    projectedGradient: t.exposeFloat("projectedGradient", {
      nullable: true,
      description:
        "(L+ - L-) / (2 epsilon), nats; of several estimates their root mean square; null when it was not finite.",
    }),
    learningRate: t.exposeFloat("learningRate", { description: "Learning rate of this step." }),
    skipped: t.exposeString("skipped", {
      nullable: true,
      description: "Why the step left the weights as they were; null for a step that counted.",
    }),
    seconds: t.exposeFloat("seconds", { description: "Time the step took on the worker, seconds." }),
    at: t.expose("at", { type: "DateTime", description: "When the step was stored." }),
  }),
});

const StepPayload = builder.objectRef<StepMetric>("StepPayload").implement({
  description: "One step, as the stream gives it.",
  fields: (t) => ({
    cursor: t.exposeInt("step", { description: "Give it as `after` to go on behind this step." }),
    step: t.field({ type: StepRef, description: "The step.", resolve: (step) => step }),
  }),
});

builder.subscriptionField("steps", (t) =>
  t.field({
    type: StepPayload,
    description:
      "Every step of a run once and in order: first those already measured, then each as it is stored. Completes when " +
      "the run has ended and all are given.",
    args: {
      fineTuneId: t.arg.globalID({ for: FineTuneRef, required: true, description: "The run." }),
      after: t.arg.int({
        defaultValue: 0,
        description: "Cursor (number) of the last step that you have, 0 or more.",
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
