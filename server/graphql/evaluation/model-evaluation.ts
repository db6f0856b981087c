/** Evaluations that somebody asks for: a base or a checkpoint, on any dataset, measured as a run measures its own. */
import { z } from "zod";
import type { CompletionStatus } from "../../../schema/completion.ts";
import { invariant } from "../../../schema/errors.ts";
import { type EvaluatedRow, keptRows } from "../../../schema/model-evaluation.ts";
import type { ModelEvaluation } from "../../../schema/serving-tables.ts";
import { type ProjectStore, rulesOf } from "../../../store/store.ts";
import { failureOf } from "../../completions.ts";
import { builder, queryCost } from "../builder.ts";
import { CompletionErrorRef } from "../completion/completion.ts";
import { EvaluationRef } from "../fine-tune/evaluation.ts";
import { Truncation } from "../fine-tune/hyperparameters.ts";
import { finiteOrNull } from "../finite.ts";
import { BaseModelRef, CheckpointRef, DatasetRef, FineTuneRef, ModelEvaluationRef } from "../nodes.ts";
import { type PageArgs, pageCost, pageOf } from "../page.ts";

const EvaluationStatus = builder.enumType("ModelEvaluationStatus", {
  description: "The status of an evaluation. SUCCEEDED, FAILED and CANCELLED are final.",
  values: {
    QUEUED: { description: "Waiting for a worker." },
    RUNNING: { description: "Being measured, or about to be begun again by another worker." },
    SUCCEEDED: { description: "Measured." },
    FAILED: { description: "Stopped by an error; the field error explains it." },
    CANCELLED: { description: "Stopped on request." },
  } satisfies Record<CompletionStatus, { description: string }>,
});

const score = (description: string, of: (evaluation: ModelEvaluation) => number | null) => ({
  nullable: true as const,
  description: `${description} Null until it succeeds.`,
  resolve: (evaluation: ModelEvaluation) => finiteOrNull(of(evaluation)),
});

const mostExamples = 100;

const ExampleRef = builder.objectRef<EvaluatedRow>("EvaluationExample").implement({
  description: "What came of one row of an evaluation.",
  fields: (t) => ({
    row: t.exposeInt("row", { description: "Its place in the dataset, counted from 0." }),
    prompt: t.exposeString("prompt", {
      nullable: true,
      description: "The prompt, or the last message of the user; the end of a long one. Null for a row of tokens.",
    }),
    expected: t.exposeString("expected", {
      nullable: true,
      description: "What the row says the answer is; the end of a long one. Null for a row of tokens.",
    }),
    answer: t.exposeString("answer", {
      nullable: true,
      description: "The candidate that the model finds likeliest, or what it wrote; null if it was asked for neither.",
    }),
    right: t.exposeBoolean("right", {
      nullable: true,
      description:
        "Whether that is right: of what it wrote, whether it equals an accepted answer. Null without an answer.",
    }),
    loss: t.float({
      nullable: true,
      description: "Mean loss of the expected answer, in nats per token. Null if it is not finite.",
      resolve: ({ loss }) => finiteOrNull(loss),
    }),
  }),
});

ModelEvaluationRef.implement({
  description: "A measurement of a base model or of a checkpoint on a dataset.",
  fields: (t) => ({
    status: t.expose("status", { type: EvaluationStatus, description: "Where it is." }),
    baseModel: t.field({
      type: BaseModelRef,
      description: "The base model that is measured, or of which the checkpoint is.",
      resolve: ({ baseModelId }) => baseModelId,
    }),
    checkpoint: t.field({
      type: CheckpointRef,
      nullable: true,
      description: "The checkpoint that is measured; null for the base model itself.",
      resolve: ({ checkpointId }) => checkpointId,
    }),
    dataset: t.field({ type: DatasetRef, description: "The rows.", resolve: ({ datasetId }) => datasetId }),
    labelWords: t.stringList({
      description: "Candidate completions of rows that list none.",
      resolve: ({ labelWords }) => [...labelWords],
    }),
    calibrationPrompt: t.exposeString("calibrationPrompt", {
      nullable: true,
      description: "A prompt without content, by which candidates' scores are calibrated; null for none.",
    }),
    answerTokens: t.int({
      description: "Maximum length of a generated answer in tokens; 0 generates none.",
      resolve: (evaluation) => rulesOf(evaluation).answerTokens,
    }),
    truncate: t.field({
      type: Truncation,
      description: "What happens to rows that are longer than the model's context.",
      resolve: (evaluation) => rulesOf(evaluation).truncate,
    }),
    rows: t.exposeInt("rows", { nullable: true, description: "Number of rows measured; null until it succeeds." }),
    loss: t.float(score("Mean loss in nats per scored token. Null also if it is not finite.", ({ loss }) => loss)),
    accuracy: t.float(
      score(
        "Share of rows whose correct candidate scores best, 0 to 1. Null also without label words or candidates.",
        ({ accuracy }) => accuracy,
      ),
    ),
    f1: t.float(score("Mean F1 of the generated answers, 0 to 1. Null also if none are generated.", ({ f1 }) => f1)),
    exactMatch: t.float(
      score(
        "Share of generated answers that equal an accepted one, 0 to 1. Null also if none are generated.",
        ({ exactMatch }) => exactMatch,
      ),
    ),
    examples: t.field({
      type: [ExampleRef],
      description: `What came of each of the first ${keptRows} rows, in the order of the dataset; none until it succeeds.`,
      complexity: (args) => ({ field: queryCost, multiplier: args.first ?? 50 }),
      args: {
        after: t.arg.int({
          defaultValue: -1,
          description: "Return rows after this one; -1 starts from the first.",
          validate: z.int().min(-1).nullish(),
        }),
        first: t.arg.int({
          defaultValue: 50,
          description: `Most rows to return, 1 to ${mostExamples}.`,
          validate: z.int().min(1).max(mostExamples).nullish(),
        }),
        right: t.arg.boolean({ description: "Only those that are answered rightly, or wrongly. Left out, all." }),
      },
      resolve: ({ id }, { after, first, right }, { store }) =>
        store.evaluations.rows(id, { after: after ?? -1, limit: first ?? 50, right: right ?? undefined }),
    }),
    error: t.field({
      type: CompletionErrorRef,
      nullable: true,
      description: "Why it failed; null unless it did.",
      resolve: failureOf,
    }),
    queuePosition: t.int({
      nullable: true,
      description: "How many jobs are claimed before it; 0 when it is next. Null while it does not wait for a worker.",
      complexity: 3 * queryCost,
      resolve: ({ id, status }, _args, { store }) => (status === "QUEUED" ? store.evaluations.queuePosition(id) : null),
    }),
    waitingReason: t.string({
      nullable: true,
      description: "Why no worker measures it while it is QUEUED, and what would help. Null otherwise.",
      complexity: queryCost,
      resolve: ({ id, status }, _args, { store }) => (status === "QUEUED" ? store.evaluations.waitingReason(id) : null),
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

// Lists, beside what runs measure themselves

builder.objectField(FineTuneRef, "modelEvaluations", (t) =>
  t.connection(
    {
      type: ModelEvaluationRef,
      description:
        "Evaluations of the run's checkpoints that were asked for (createEvaluation), newest first. Those that the run makes " +
        "itself are `evaluations`.",
      complexity: pageCost,
      resolve: (run, args, { store: { evaluations } }) =>
        pageOf(
          args,
          (page) => evaluations.listOfRun(run, page),
          () => evaluations.countOfRun(run),
        ),
    },
    { name: "FineTuneEvaluationConnection" },
    { name: "FineTuneEvaluationEdge" },
  ),
);

builder.objectField(CheckpointRef, "runEvaluations", (t) =>
  t.field({
    type: [EvaluationRef],
    description: "What its run measured at this step: the validation rows, and the test rows if it is the best one.",
    complexity: queryCost,
    resolve: async ({ fineTuneId, step }, _args, { store }) =>
      (await store.fineTunes.evaluations(fineTuneId)).filter((one) => one.step === step),
  }),
);

builder.objectField(CheckpointRef, "evaluations", (t) =>
  t.connection(
    {
      type: ModelEvaluationRef,
      description:
        "Evaluations of the checkpoint that were asked for (createEvaluation), newest first. Those of its run are " +
        "`runEvaluations`.",
      complexity: pageCost,
      resolve: async (checkpoint, args, { store }) => {
        // Whoever borrows the checkpoint sees no run.
        const run = await store.checkpoints.runOf(checkpoint);
        invariant(run, `checkpoint ${checkpoint.id} has a run`);
        const target = { baseModelId: run.baseModelId, checkpointId: checkpoint.id };
        return evaluationsOfTarget(store, target, args);
      },
    },
    { name: "CheckpointEvaluationConnection" },
    { name: "CheckpointEvaluationEdge" },
  ),
);

/** Null for any. */
type EvaluatedTarget = Parameters<ProjectStore["evaluations"]["list"]>[0];

function evaluationsOfTarget({ evaluations }: ProjectStore, target: EvaluatedTarget, args: PageArgs) {
  return pageOf(
    args,
    (page) => evaluations.list(target, page),
    () => evaluations.count(target),
  );
}

builder.objectField(BaseModelRef, "evaluations", (t) =>
  t.connection(
    {
      type: ModelEvaluationRef,
      description: "Evaluations of the base model itself that were asked for, newest first.",
      complexity: pageCost,
      resolve: ({ id }, args, { store }) => evaluationsOfTarget(store, { baseModelId: id, checkpointId: null }, args),
    },
    { name: "ModelEvaluationConnection" },
    { name: "ModelEvaluationEdge" },
  ),
);

builder.objectField(DatasetRef, "evaluations", (t) =>
  t.connection(
    {
      type: ModelEvaluationRef,
      description: "Evaluations on it that were asked for (createEvaluation) in this project, newest first.",
      complexity: pageCost,
      resolve: ({ id }, args, { store: { evaluations } }) =>
        pageOf(
          args,
          (page) => evaluations.listOfDataset(id, page),
          () => evaluations.countOfDataset(id),
        ),
    },
    { name: "DatasetEvaluationConnection" },
    { name: "DatasetEvaluationEdge" },
  ),
);

builder.queryField("modelEvaluations", (t) =>
  t.connection(
    {
      type: ModelEvaluationRef,
      description: "The evaluations of models that were asked for (createEvaluation), newest first.",
      complexity: pageCost,
      resolve: (_root, args, { store }) => evaluationsOfTarget(store, null, args),
    },
    { name: "ProjectEvaluationConnection" },
    { name: "ProjectEvaluationEdge" },
  ),
);

builder.queryField("modelEvaluation", (t) =>
  t.field({
    type: ModelEvaluationRef,
    nullable: true,
    description: "The evaluation with this id; null if there is none.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: ModelEvaluationRef, required: true, description: "Id of an evaluation." }) },
    resolve: (_root, { id }, { store }) => store.evaluations.get(id.id),
  }),
);

builder.mutationField("cancelEvaluation", (t) =>
  t.field({
    type: ModelEvaluationRef,
    description:
      "Stops an evaluation: one that waits at once, another soon. Repeating it, or cancelling one that has ended, changes " +
      "nothing.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: ModelEvaluationRef, required: true, description: "Id of an evaluation." }) },
    resolve: (_root, { id }, { store }) => store.evaluations.cancel(id.id),
  }),
);

builder.mutationField("deleteEvaluation", (t) =>
  t.boolean({
    description: "Deletes an evaluation, ending it first. True if there was one: repeating it is safe.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: ModelEvaluationRef, required: true, description: "Id of an evaluation." }) },
    resolve: (_root, { id }, { store }) => store.evaluations.delete(id.id),
  }),
);
