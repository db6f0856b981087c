/** Fine-tunes: runs of MeZO. create-fine-tune.ts creates them; fork.ts continues and forks them. */
import { z } from "zod";
import { settingsOf } from "../../../schema/hyperparameters.ts";
import { limits } from "../../../schema/limits.ts";
import type { fineTuneStatuses } from "../../../schema/states.ts";
import { isFinal } from "../../../schema/states.ts";
import type { ChartRequest } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import { builder, queryCost } from "../builder.ts";
import { ChartPointRef } from "./chart.ts";
import { EvaluationKindRef, EvaluationRef } from "./evaluation.ts";
import { RunMemoryRef } from "./memory.ts";
import { EventRef } from "./event.ts";
import { errorOf, FineTuneErrorRef } from "./error.ts";
import { HyperparametersRef } from "./hyperparameters.ts";
import { requireFineTune } from "../lookup.ts";
import { BaseModelRef, CheckpointRef, DatasetRef, FineTuneRef } from "../nodes.ts";
import { finiteOrNull } from "../finite.ts";
import { pageCost, pageOf } from "../page.ts";
import { latestLoss, ProgressRef } from "./progress.ts";
import { bestCheckpoint, bestEvaluation, evaluationsOf } from "../../targets.ts";
import { StepRef } from "./step.ts";

export const FineTuneStatus = builder.enumType("FineTuneStatus", {
  description: "The status of a run. SUCCEEDED, FAILED and CANCELLED are final.",
  values: {
    QUEUED: { description: "Waiting for a worker." },
    RUNNING: { description: "Being trained, or about to be continued by another worker." },
    PAUSED: { description: "Stopped on request until it is resumed. No worker has it." },
    SUCCEEDED: {
      description:
        "Completed: all steps are done, or it stopped early, by patience or maxSeconds. An event (STOPPED_EARLY, TIME_LIMIT) says so.",
    },
    FAILED: { description: "Stopped by an error; the field error explains it." },
    CANCELLED: { description: "Stopped on request. The steps done so far are kept." },
  } satisfies Record<(typeof fineTuneStatuses)[number], { description: string }>,
});

FineTuneRef.implement({
  description: "A fine-tuning run: a base model, a dataset, settings, and a log of the steps.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name given by its author; need not be unique." }),
    status: t.expose("status", { type: FineTuneStatus, description: "Status of the run." }),
    cancelRequested: t.boolean({
      description: "Whether the run was cancelled. A running worker stops after the current step.",
      resolve: (run) => run.wanted === "CANCEL",
    }),
    pauseRequested: t.boolean({
      description: "Whether the run is PAUSED or is to be: a running worker stops after the current step.",
      resolve: (run) => run.wanted === "PAUSE" && !isFinal(run.status),
    }),
    waitingReason: t.string({
      nullable: true,
      description:
        "Why no worker is training the run: no worker can, or other runs are ahead of it. Null while a worker trains it, " +
        "when one can start at once, while the run is PAUSED, and after it has ended.",
      complexity: 3 * queryCost,
      resolve: (run, _args, { store }) => (isFinal(run.status) ? null : store.fineTunes.waitingReason(run.id)),
    }),
    queuePosition: t.int({
      nullable: true,
      description:
        "How many jobs are claimed before this run: those of higher priority, and of the same priority the older ones, as far as a " +
        "worker that could train it could do them. 0 when it is next. Null while no worker is to claim it: one trains it, it is PAUSED, or it has ended.",
      complexity: 3 * queryCost,
      resolve: (run, _args, { store }) => (isFinal(run.status) ? null : store.fineTunes.queuePosition(run.id)),
    }),
    estimatedSecondsLeft: t.float({
      nullable: true,
      description:
        "Estimated seconds until the run has ended, if it does not end early: by its recent pace, with the evaluations and checkpoints " +
        "that are still to come, and maxSeconds. Before its first step by the pace of the last run with the same model, rows and settings. " +
        "While it waits, with what comes before it. Null where that is not known, while the run is PAUSED, and after it has ended.",
      complexity: 5 * queryCost,
      resolve: (run, _args, { store }) => (isFinal(run.status) ? null : store.fineTunes.timeLeft(run.id)),
    }),
    baseModel: t.field({
      type: BaseModelRef,
      description: "The base model of the run.",
      resolve: (run) => run.baseModelId,
    }),
    from: t.field({
      type: CheckpointRef,
      nullable: true,
      description: "The checkpoint of another run that this run continues from; null if it starts from the base model.",
      resolve: (run) => run.fromCheckpointId,
    }),
    wentBackFrom: t.field({
      type: FineTuneRef,
      nullable: true,
      description:
        "The run that diverged, and whose remaining steps this one takes (whenDiverged: GO_BACK); null for others.",
      resolve: (run) => run.wentBackFrom,
    }),
    dataset: t.field({
      type: DatasetRef,
      description: "The dataset that it trains on.",
      resolve: (run) => run.datasetId,
    }),
    validationDataset: t.field({
      type: DatasetRef,
      nullable: true,
      description: "The dataset that it is evaluated on; null if it is not evaluated.",
      resolve: (run) => run.validationDatasetId,
    }),
    testDataset: t.field({
      type: DatasetRef,
      nullable: true,
      description: "The dataset that the base model and the best checkpoint are tested on; null if there is none.",
      resolve: (run) => run.testDatasetId,
    }),
    labelWords: t.stringList({
      description: "Candidate completions for measuring accuracy; empty if only the loss is measured.",
      resolve: (run) => [...run.labelWords],
    }),
    calibrationPrompt: t.exposeString("calibrationPrompt", {
      nullable: true,
      description:
        "A prompt without content, against which the scores of candidates are calibrated; null if they are not.",
    }),
    keepWeights: t.exposeBoolean("keepWeights", {
      description: "Whether the weights of the last checkpoint are stored at the end of training, without a rebuild.",
    }),
    hyperparameters: t.field({
      type: HyperparametersRef,
      description: "The settings of the run.",
      // A setting that an older release did not store gets its default.
      resolve: (run) => settingsOf(run),
    }),
    progress: t.field({
      type: ProgressRef,
      description: "How many steps are done, and how fast.",
      resolve: (run) => run,
    }),
    loss: t.float({
      nullable: true,
      description: "Latest finite loss, in the unit of Step.loss; null before the first step.",
      complexity: queryCost,
      resolve: (run, _args, { store }) => latestLoss(store, run),
    }),
    metrics: t.field({
      type: [StepRef],
      description: "Steps and their measurements, in order.",
      complexity: (args) => ({ field: queryCost, multiplier: args.first ?? 100 }),
      args: {
        afterStep: t.arg.int({
          defaultValue: 0,
          description: "Return steps after this one; 0 starts from the first.",
          validate: z.int().min(0).nullish(),
        }),
        first: t.arg.int({
          defaultValue: 100,
          description: `Most steps to return, 1 to ${limits.chartPoints}.`,
          validate: z.int().min(1).max(limits.chartPoints).nullish(),
        }),
      },
      resolve: (run, args, { store }) =>
        store.fineTunes.metrics(run.id, { afterStep: args.afterStep ?? 0, limit: args.first ?? 100 }),
    }),
    chart: t.loadableList({
      type: ChartPointRef,
      description: "The steps so far, or a part of them, merged into a limited number of points, in order.",
      complexity: (args) => ({ field: queryCost, multiplier: args.points ?? 500 }),
      args: {
        points: t.arg.int({
          defaultValue: 500,
          description: `Most points to return, 1 to ${limits.chartPoints}.`,
          validate: z.int().min(1).max(limits.chartPoints).nullish(),
        }),
        from: t.arg.int({
          description: "First step to show. Left out, the first of the run.",
          validate: z.int().min(1).nullish(),
        }),
        to: t.arg.int({
          description: "Last step to show. Left out, the last one so far.",
          validate: z.int().min(1).nullish(),
        }),
      },
      // Of a list of runs all are read at once.
      load: (requests: ChartRequest[], { store }: Context) => store.fineTunes.charts(requests),
      loaderOptions: { cache: false },
      resolve: ({ id }, { points, from, to }) => ({
        id,
        points: points ?? 500,
        from: from ?? undefined,
        to: to ?? undefined,
      }),
    }),
    evaluations: t.field({
      type: [EvaluationRef],
      description: "Measurements on rows that are not trained on, in order of steps.",
      complexity: { field: queryCost, multiplier: 10 },
      args: {
        kind: t.arg({
          type: EvaluationKindRef,
          defaultValue: "VALIDATION",
          description: "Return evaluations of this kind; null returns all kinds.",
        }),
      },
      resolve: async (run, { kind }, { store }) =>
        (await evaluationsOf(store, run)).filter((one) => kind == null || one.kind === kind),
    }),
    bestEvaluation: t.field({
      type: EvaluationRef,
      nullable: true,
      description:
        "The best evaluation of the validation rows, by the setting bestMetric; null before the first. If the run evaluates " +
        "during training (evaluateEvery), there is a checkpoint at its step.",
      complexity: queryCost,
      resolve: (run, _args, { store }) => bestEvaluation(store, run),
    }),
    bestCheckpoint: t.field({
      type: CheckpointRef,
      nullable: true,
      description:
        "The checkpoint of the best evaluation, or the latest one where there is none at its step; null where there is none. " +
        "Requests that name the run as their model are answered by it.",
      complexity: 3 * queryCost,
      resolve: (run, _args, { store }) => bestCheckpoint(store, run),
    }),
    memory: t.field({
      type: RunMemoryRef,
      description:
        "The memory that the run took of its worker, beside what its weights alone, and forward passes alone, need.",
      complexity: 2 * queryCost,
      resolve: async (run, _args, { store }) => ({ run, readings: await store.fineTunes.memory(run.id) }),
    }),
    pickedRate: t.float({
      nullable: true,
      description: "The learning rate that AUTO chose; null until then, and if a rate was given.",
      resolve: ({ pickedRate }) => finiteOrNull(pickedRate),
    }),
    events: t.field({
      type: [EventRef],
      description: "The history of the run, in order.",
      complexity: (args) => ({ field: queryCost, multiplier: args.first ?? 100 }),
      args: {
        after: t.arg.int({
          defaultValue: 0,
          description: "Return events after this number; 0 starts from the first.",
          validate: z.int().min(0).nullish(),
        }),
        first: t.arg.int({
          defaultValue: 100,
          description: `Most events to return, 1 to ${limits.chartPoints}.`,
          validate: z.int().min(1).max(limits.chartPoints).nullish(),
        }),
      },
      resolve: (run, args, { store }) =>
        store.fineTunes.events(run.id, { after: args.after ?? 0, limit: args.first ?? 100 }),
    }),
    checkpoints: t.connection(
      {
        type: CheckpointRef,
        description: "The checkpoints of the run, latest first.",
        complexity: pageCost,
        resolve: ({ id }, args, { store: { checkpoints } }) =>
          pageOf(
            args,
            (page) => checkpoints.list(id, page),
            () => checkpoints.count(id),
          ),
      },
      { name: "CheckpointConnection" },
      { name: "CheckpointEdge" },
    ),
    logUrl: t.string({
      nullable: true,
      description:
        "Download link of the whole log so far, a .steplog file, also of a run that failed before its first checkpoint; null " +
        "until training begins.",
      resolve: (run, _args, { origin }) => (run.logHeader ? `${origin}/fine-tunes/${run.id}/log.steplog` : null),
    }),
    error: t.field({
      type: FineTuneErrorRef,
      nullable: true,
      description: "Why the run failed; null unless it did.",
      resolve: errorOf,
    }),
    device: t.exposeString("device", {
      nullable: true,
      description: "Compute device of the latest worker, and why it was chosen; null before the first step.",
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was created." }),
    startedAt: t.expose("startedAt", {
      type: "DateTime",
      nullable: true,
      description: "When a worker first claimed it; null until then.",
    }),
    finishedAt: t.expose("finishedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it reached a final status; null until then.",
    }),
  }),
});

builder.queryField("fineTune", (t) =>
  t.field({
    type: FineTuneRef,
    nullable: true,
    description: "The fine-tune with this id; null if there is none.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: FineTuneRef, required: true, description: "Id of a fine-tune." }) },
    resolve: (_root, { id }, { store }) => store.fineTunes.get(id.id),
  }),
);

builder.mutationField("cancelFineTune", (t) =>
  t.field({
    type: FineTuneRef,
    description:
      "Stops a run: immediately if it is queued, after the current step if it is running. Cancelling again changes " +
      "nothing. A run that succeeded or failed cannot be cancelled (INVALID_STATE).",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: FineTuneRef, required: true, description: "Id of a fine-tune." }) },
    resolve: async (_root, { id }, { store }) => {
      await requireFineTune(store, id.id, "id");
      return store.fineTunes.cancel(id.id);
    },
  }),
);

for (const [field, act, description] of [
  [
    "pauseFineTune",
    "pause",
    "Pauses a run: immediately if no worker has it, after the current step if one trains it. Its log and checkpoints stay, " +
      "and resumeFineTune continues it. Pausing again changes nothing. A run that has ended, or was cancelled, cannot be paused (INVALID_STATE).",
  ],
  [
    "resumeFineTune",
    "resume",
    "Queues a paused run again. It goes on after its last step, with the bits of a run that never paused. Resuming a run " +
      "that is not paused changes nothing. A run that has ended, or was cancelled, cannot be resumed (INVALID_STATE).",
  ],
] as const) {
  builder.mutationField(field, (t) =>
    t.field({
      type: FineTuneRef,
      description,
      complexity: queryCost,
      args: { id: t.arg.globalID({ for: FineTuneRef, required: true, description: "Id of a fine-tune." }) },
      resolve: async (_root, { id }, { store }) => {
        await requireFineTune(store, id.id, "id");
        return store.fineTunes[act](id.id);
      },
    }),
  );
}
builder.mutationField("deleteFineTune", (t) =>
  t.boolean({
    description:
      "Deletes a run with its log, its checkpoints, their weights, and the completions and evaluations of these. One that is " +
      "being trained is refused (INVALID_STATE) unless `cancel` is true; one that another run continues from, or an alias " +
      "points at, too (CONFLICT names them), and one whose checkpoints evaluations or requests of other projects still need " +
      "(CONFLICT counts them). Subscriptions to it end with NOT_FOUND. True if there was one: repeating it is safe.",
    complexity: 5 * queryCost,
    args: {
      id: t.arg.globalID({ for: FineTuneRef, required: true, description: "Id of a fine-tune." }),
      cancel: t.arg.boolean({ description: "Whether a run that is being trained ends thereby. Default: false." }),
    },
    resolve: (_root, { id, cancel }, { store }) => store.fineTunes.delete(id.id, { cancel: cancel ?? false }),
  }),
);

builder.subscriptionField("fineTuneStatus", (t) =>
  t.field({
    type: FineTuneRef,
    description:
      "The current state of a run, then its state after each change of status or progress; rapid changes are merged. " +
      "Completes after a final status. Subscribe again to resume.",
    args: { fineTuneId: t.arg.globalID({ for: FineTuneRef, required: true, description: "The run." }) },
    subscribe: async (_root, { fineTuneId }, { store }) => {
      const { id } = await requireFineTune(store, fineTuneId.id, "fineTuneId");
      return store.feed.status(id);
    },
    resolve: (fineTune) => fineTune,
  }),
);
