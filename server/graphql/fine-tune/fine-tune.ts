/** Fine-tunes: one run of MeZO over a dataset, from a base model. How one is created is in create-fine-tune.ts. */
import { z } from "zod";
import { hyperparametersSchema } from "../../../schema/hyperparameters.ts";
import { limits } from "../../../schema/limits.ts";
import type { fineTuneStatuses } from "../../../schema/states.ts";
import { builder, queryCost } from "../builder.ts";
import { ChartPointRef } from "./chart.ts";
import { bestOf, EvaluationKindRef, EvaluationRef } from "./evaluation.ts";
import { EventRef } from "./event.ts";
import { errorOf, FineTuneErrorRef } from "./error.ts";
import { HyperparametersRef } from "./hyperparameters.ts";
import { requireFineTune } from "../lookup.ts";
import { BaseModelRef, CheckpointRef, DatasetRef, FineTuneRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";
import { latestLoss, ProgressRef } from "./progress.ts";
import { StepRef } from "./step.ts";

const FineTuneStatus = builder.enumType("FineTuneStatus", {
  description: "How far a run is. The last three are final.",
  values: {
    QUEUED: { description: "Waits for a worker." },
    RUNNING: { description: "A worker trains it, or another is about to go on from its log." },
    SUCCEEDED: { description: "All steps are done." },
    FAILED: { description: "It cannot go on; error says why." },
    CANCELLED: { description: "Ended on request. Steps done until then are kept." },
  } satisfies Record<(typeof fineTuneStatuses)[number], { description: string }>,
});

FineTuneRef.implement({
  description: "A fine-tuning run: a base model, a dataset, settings, and the log of its steps.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name that its author gave it; need not be unique." }),
    status: t.expose("status", { type: FineTuneStatus, description: "How far it is." }),
    cancelRequested: t.exposeBoolean("cancelRequested", {
      description: "Whether it was asked to stop; the worker stops behind its present step.",
    }),
    baseModel: t.field({ type: BaseModelRef, description: "What it starts from.", resolve: (run) => run.baseModelId }),
    from: t.field({
      type: CheckpointRef,
      nullable: true,
      description: "The checkpoint of another run that it goes on from; null for a run from the base model itself.",
      resolve: (run) => run.fromCheckpointId,
    }),
    dataset: t.field({ type: DatasetRef, description: "What it learns from.", resolve: (run) => run.datasetId }),
    validationDataset: t.field({
      type: DatasetRef,
      nullable: true,
      description: "What it is evaluated on; null for a run without evaluations.",
      resolve: (run) => run.validationDatasetId,
    }),
    testDataset: t.field({
      type: DatasetRef,
      nullable: true,
      description: "What its best place is tested on at the end; null for none.",
      resolve: (run) => run.testDatasetId,
    }),
    labelWords: t.stringList({
      description: "Candidate completions among which accuracy is judged; empty when the loss alone is measured.",
      resolve: (run) => [...run.labelWords],
    }),
    calibrationPrompt: t.exposeString("calibrationPrompt", {
      nullable: true,
      description: "The prompt that says nothing, by which candidates' scores are calibrated; null without.",
    }),
    keepWeights: t.exposeBoolean("keepWeights", {
      description: "Whether the last checkpoint's weights are stored as they were trained.",
    }),
    hyperparameters: t.field({
      type: HyperparametersRef,
      description: "Its settings.",
      // What a run was stored without, by a release that did not know it, has its default.
      resolve: (run) => hyperparametersSchema.parse(run.hyperparameters),
    }),
    progress: t.field({
      type: ProgressRef,
      description: "How many steps are done, and how fast.",
      resolve: (run) => run,
    }),
    loss: t.float({
      nullable: true,
      description: "Loss of the latest step that had a finite one, nats per scored token; null before the first.",
      complexity: queryCost,
      resolve: (run, _args, { store }) => latestLoss(store, run),
    }),
    metrics: t.field({
      type: [StepRef],
      description: "Steps with their measurements, in order.",
      complexity: (args) => ({ field: queryCost, multiplier: args.first ?? 100 }),
      args: {
        afterStep: t.arg.int({
          defaultValue: 0,
          description: "Only steps behind this one, 0 or more.",
          validate: z.int().min(0).nullish(),
        }),
        first: t.arg.int({
          defaultValue: 100,
          description: `Most steps to give, 1 to ${limits.chartPoints}.`,
          validate: z.int().min(1).max(limits.chartPoints).nullish(),
        }),
      },
      resolve: (run, args, { store }) =>
        store.fineTunes.metrics(run.id, { afterStep: args.afterStep ?? 0, limit: args.first ?? 100 }),
    }),
    chart: t.field({
      type: [ChartPointRef],
      description: "All steps so far, merged into at most so many points, in order.",
      complexity: (args) => ({ field: queryCost, multiplier: args.points ?? 500 }),
      args: {
        points: t.arg.int({
          defaultValue: 500,
          description: `Most points to give, 1 to ${limits.chartPoints}.`,
          validate: z.int().min(1).max(limits.chartPoints).nullish(),
        }),
      },
      resolve: (run, { points }, { store }) => store.fineTunes.chart(run.id, { points: points ?? 500 }),
    }),
    evaluations: t.field({
      type: [EvaluationRef],
      description: "Measurements on rows that are not learned from, in order of step.",
      complexity: { field: queryCost, multiplier: 10 },
      args: {
        kind: t.arg({
          type: EvaluationKindRef,
          defaultValue: "VALIDATION",
          description: "Those of this kind; of every kind when null.",
        }),
      },
      resolve: async (run, { kind }, { store }) =>
        (await store.fineTunes.evaluations(run.id)).filter((one) => kind == null || one.kind === kind),
    }),
    bestEvaluation: t.field({
      type: EvaluationRef,
      nullable: true,
      description:
        "The best evaluation of the validation rows, by the run's bestMetric; null before the first. " +
        "A run that evaluates while it trains names a checkpoint there.",
      complexity: queryCost,
      resolve: async (run, _args, { store }) =>
        bestOf(await store.fineTunes.evaluations(run.id), hyperparametersSchema.parse(run.hyperparameters).bestMetric),
    }),
    pickedRate: t.exposeFloat("pickedRate", {
      nullable: true,
      description: "The learning rate that AUTO picked; null before, and where a rate was given.",
    }),
    events: t.field({
      type: [EventRef],
      description: "What happened to it, in order.",
      complexity: (args) => ({ field: queryCost, multiplier: args.first ?? 100 }),
      args: {
        after: t.arg.int({
          defaultValue: 0,
          description: "Only events behind the one of this number, 0 or more.",
          validate: z.int().min(0).nullish(),
        }),
        first: t.arg.int({
          defaultValue: 100,
          description: `Most events to give, 1 to ${limits.chartPoints}.`,
          validate: z.int().min(1).max(limits.chartPoints).nullish(),
        }),
      },
      resolve: (run, args, { store }) =>
        store.fineTunes.events(run.id, { after: args.after ?? 0, limit: args.first ?? 100 }),
    }),
    checkpoints: t.connection(
      {
        type: CheckpointRef,
        description: "Named places of its log, the latest first.",
        complexity: pageCost,
        resolve: (run, args, { store }) => pageOf(args, (page) => store.checkpoints.list(run.id, page)),
      },
      { name: "CheckpointConnection" },
      { name: "CheckpointEdge" },
    ),
    error: t.field({
      type: FineTuneErrorRef,
      nullable: true,
      description: "Why it failed; null unless it did.",
      resolve: errorOf,
    }),
    device: t.exposeString("device", {
      nullable: true,
      description: "Compute device of the worker that ran it last, and why that one; null before the first step.",
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was created." }),
    startedAt: t.expose("startedAt", {
      type: "DateTime",
      nullable: true,
      description: "When a worker first took it; null before.",
    }),
    finishedAt: t.expose("finishedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it reached its final status; null before.",
    }),
  }),
});

builder.queryField("fineTune", (t) =>
  t.field({
    type: FineTuneRef,
    nullable: true,
    description: "The fine-tune of this id; null when there is none.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: FineTuneRef, required: true, description: "Id of a fine-tune." }) },
    resolve: (_root, { id }, { store }) => store.fineTunes.get(id.id),
  }),
);

builder.queryField("fineTunes", (t) =>
  t.connection(
    {
      type: FineTuneRef,
      description: "The fine-tunes, the newest first.",
      complexity: pageCost,
      args: { status: t.arg({ type: FineTuneStatus, description: "Only those of this status." }) },
      resolve: (_root, { status, ...args }, { store }) =>
        pageOf(args, (page) => store.fineTunes.list({ ...page, status: status ?? undefined })),
    },
    { name: "FineTuneConnection" },
    { name: "FineTuneEdge" },
  ),
);

builder.mutationField("cancelFineTune", (t) =>
  t.field({
    type: FineTuneRef,
    description:
      "Stops a run: at once when it is queued, behind its present step when it is running. Cancelling twice changes " +
      "nothing; one that has succeeded or failed is INVALID_STATE.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: FineTuneRef, required: true, description: "Id of a fine-tune." }) },
    resolve: async (_root, { id }, { store }) => {
      await requireFineTune(store, id.id, "id");
      return store.fineTunes.cancel(id.id);
    },
  }),
);

builder.subscriptionField("fineTuneStatus", (t) =>
  t.field({
    type: FineTuneRef,
    description:
      "The run as it is now, and again after each change of status or progress; changes that come fast are merged. " +
      "Completes behind the final status. Subscribing again resumes it.",
    args: { fineTuneId: t.arg.globalID({ for: FineTuneRef, required: true, description: "The run." }) },
    subscribe: async (_root, { fineTuneId }, { store }) => {
      const { id } = await requireFineTune(store, fineTuneId.id, "fineTuneId");
      return store.feed.status(id);
    },
    resolve: (fineTune) => fineTune,
  }),
);
