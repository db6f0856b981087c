/** How a fine-tune is created: everything that can be known to be wrong is said before anything is stored. */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import type { Needs } from "../../../dataset/encode.ts";
import { checkRowsFit, needsOf } from "../../../dataset/encode.ts";
import { readRows } from "../../../dataset/jsonl.ts";
import type { Hyperparameters } from "../../../schema/hyperparameters.ts";
import { contextTaken } from "../../../schema/hyperparameters.ts";
import { limits } from "../../../schema/limits.ts";
import type { BaseModel, Dataset } from "../../../schema/tables.ts";
import { modelKindOf } from "../../../schema/model-kind.ts";
import type { Store } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import { invalidArgument } from "../../errors.ts";
import { builder, queryCost } from "../builder.ts";
import { CreateFineTunePayload } from "./create-fine-tune-payload.ts";
import type { Parent } from "./fork.ts";
import { checkFork, requireParent } from "./fork.ts";
import { HyperparametersInput, parseHyperparameters } from "./hyperparameters.ts";
import { requireBaseModel, requireDataset } from "../lookup.ts";
import { CheckpointRef, DatasetRef } from "../nodes.ts";

const CreateFineTuneInput = builder.inputType("CreateFineTuneInput", {
  description: "A new fine-tune.",
  fields: (t) => ({
    idempotencyKey: t.string({
      description:
        `Your name for this wish, 1 to ${limits.idempotencyKeyLength} characters. Creating again with the same key and ` +
        "input answers with the first run; with another input it is a CONFLICT.",
      validate: z.string().min(1).max(limits.idempotencyKeyLength).nullish(),
    }),
    name: t.string({
      required: true,
      description: `Name for people, 1 to ${limits.nameLength} characters.`,
      validate: z.string().trim().min(1).max(limits.nameLength),
    }),
    from: t.globalID({
      for: CheckpointRef,
      description:
        "Id of a checkpoint to go on from instead of a base model: a fork. What is left out is then as in its run, and the " +
        "method, its settings and the noise must be.",
    }),
    baseModel: t.string({ description: "Name of a base model; needed unless `from` is given." }),
    dataset: t.globalID({
      for: DatasetRef,
      description: "Id of the dataset to learn from; needed unless `from` is given.",
    }),
    validationDataset: t.globalID({
      for: DatasetRef,
      description: "Id of a dataset to evaluate on. Without one there are no evaluations.",
    }),
    testDataset: t.globalID({
      for: DatasetRef,
      description:
        "Id of a dataset that the base model is tested on, and the best place of the run when it ends (the last one, without " +
        "a validation dataset).",
    }),
    labelWords: t.stringList({
      description:
        `Candidate completions, at most ${limits.labelWords}, among which accuracy is judged. Leave out to measure the ` +
        "loss alone.",
      validate: z.array(z.string().min(1).max(limits.nameLength)).max(limits.labelWords).nullish(),
    }),
    calibrationPrompt: t.string({
      description:
        "A prompt that says nothing of a row. Candidates are then judged by how much likelier a row's prompt makes them than " +
        "this one does.",
      validate: z.string().max(limits.calibrationLength).nullish(),
    }),
    keepWeights: t.boolean({
      description:
        "Whether the last checkpoint's weights are stored as they were trained, for download at once. Without it they are " +
        "rebuilt from the log when somebody asks (materialiseCheckpoint). False when left out.",
    }),
    hyperparameters: t.field({ type: HyperparametersInput, description: "Settings that differ from the defaults." }),
  }),
});

builder.mutationField("createFineTune", (t) =>
  t.field({
    type: CreateFineTunePayload,
    description:
      "Queues a run. Rows that are longer than the base model's context are refused here (DATASET_INVALID, with lines). " +
      "Safe to repeat with an idempotency key.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateFineTuneInput, required: true, description: "The run." }) },
    resolve: async (_root, { input }, context) => {
      const { store } = context;
      const parent = input.from ? await requireParent(store, input.from.id, "input.from") : null;
      const given = { ...parent?.hyperparameters, ...withoutNulls(input.hyperparameters ?? {}) };
      const hyperparameters = parseHyperparameters(given, ["input", "hyperparameters"]);
      const named = input.baseModel == null ? null : await requireBaseModel(store, input.baseModel, "input.baseModel");
      if (parent) checkFork(parent, hyperparameters, named?.id ?? null);
      const baseModel = named ?? (await parentModel(store, parent));
      const labelWords = input.labelWords ?? parent?.run.labelWords ?? [];
      const rows = await datasetsOf(store, input, parent);
      checkEvaluations(hyperparameters, rows.validation !== null);
      checkObjective(hyperparameters, baseModel);
      for (const [use, some] of Object.entries(rows)) {
        const needs = use === "training" ? needsOf(hyperparameters.objective) : null;
        if (some)
          await checkRows(context, baseModel, some, { labelWords, needs, taken: contextTaken(hyperparameters) });
      }
      return store.fineTunes.create({
        idempotencyKey: input.idempotencyKey ?? null,
        name: input.name,
        baseModelId: baseModel.id,
        datasetId: rows.training.id,
        validationDatasetId: rows.validation?.id ?? null,
        testDatasetId: rows.test?.id ?? null,
        labelWords,
        calibrationPrompt:
          input.calibrationPrompt === undefined ? (parent?.run.calibrationPrompt ?? null) : input.calibrationPrompt,
        hyperparameters,
        keepWeights: input.keepWeights ?? false,
        from: parent && { checkpointId: parent.checkpoint.id, firstStep: 0 },
      });
    },
  }),
);

function withoutNulls(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, setting]) => setting != null));
}

async function parentModel(store: Store, parent: Parent | null): Promise<BaseModel> {
  const model = parent && (await store.baseModels.get(parent.run.baseModelId));
  return model ?? missing("baseModel");
}

function missing(name: string): never {
  throw invalidArgument([{ path: [name], message: "is needed, unless `from` names a checkpoint" }], ["input"]);
}

type Input = typeof CreateFineTuneInput.$inferInput;

/** As they are named; what is left out of a fork is as in its parent, and null means none. */
async function datasetsOf(store: Store, input: Input, parent: Parent | null) {
  const of = (field: "dataset" | "validationDataset" | "testDataset", inherited: string | null | undefined) => {
    const id = input[field] === undefined ? inherited : input[field]?.id;
    return id == null ? null : requireDataset(store, id, `input.${field}`, datasetId);
  };
  return {
    training: (await of("dataset", parent?.run.datasetId)) ?? missing("dataset"),
    validation: await of("validationDataset", parent?.run.validationDatasetId),
    test: await of("testDataset", parent?.run.testDatasetId),
  };
}

/** @throws INVALID_ARGUMENT for settings that wait for evaluations that there will not be */
function checkEvaluations(
  { patience, evaluateEvery, inContextRows, linearProbe, bestMetric, answerTokens }: Hyperparameters,
  validated: boolean,
): void {
  const issues = [
    ...(patience > 0 && !validated ? [{ path: ["patience"], message: "needs a validation dataset" }] : []),
    ...(patience > 0 && evaluateEvery === 0 ? [{ path: ["patience"], message: "needs evaluateEvery above 0" }] : []),
    ...(bestMetric !== "AUTO" && !validated ? [{ path: ["bestMetric"], message: "needs a validation dataset" }] : []),
    ...((bestMetric === "F1" || bestMetric === "EXACT_MATCH") && answerTokens === 0
      ? [{ path: ["bestMetric"], message: `${bestMetric} needs answerTokens above 0` }]
      : []),
    ...(linearProbe && !validated ? [{ path: ["linearProbe"], message: "needs a validation dataset" }] : []),
    ...(inContextRows > 0 && !validated ? [{ path: ["inContextRows"], message: "needs a validation dataset" }] : []),
  ];
  if (issues.length > 0) throw invalidArgument(issues, ["input", "hyperparameters"]);
}

/** @throws INVALID_ARGUMENT for a prefix, an objective or an estimator that the settings or the base model do not allow */
function checkObjective(hyperparameters: Hyperparameters, { family, contextLength }: BaseModel): void {
  const { objective, answerTokens, estimator, estimates, estimatesAtEnd } = hyperparameters;
  const answers = objective === "F1" || objective === "EXACT_MATCH";
  const masked = modelKindOf(family) === "masked";
  const spreadless = estimator === "FZOO" && (estimates < 2 || estimatesAtEnd === 1);
  const issues = [
    ...(contextTaken(hyperparameters) >= contextLength
      ? [{ path: ["prefixLength"], message: `leaves nothing of the model's context of ${contextLength}` }]
      : []),
    ...(spreadless
      ? [{ path: [estimates < 2 ? "estimates" : "estimatesAtEnd"], message: "FZOO needs 2 or more" }]
      : []),
    ...(answers && answerTokens === 0 ? [{ path: ["answerTokens"], message: `${objective} needs some` }] : []),
    ...(masked && (answers || answerTokens > 0)
      ? [
          {
            path: [answers ? "objective" : "answerTokens"],
            message: `${family} is a masked model, which writes no answers`,
          },
        ]
      : []),
  ];
  if (issues.length > 0) throw invalidArgument(issues, ["input", "hyperparameters"]);
}

function datasetId(id: string): string {
  return encodeGlobalID("Dataset", id);
}

async function checkRows(
  context: Context,
  baseModel: BaseModel,
  dataset: Dataset,
  {
    taken,
    ...wanted
  }: { readonly labelWords: readonly string[]; readonly needs: Needs | null; readonly taken: number },
) {
  await checkRowsFit({
    tokenizer: await context.tokenizers.of(baseModel),
    bounds: { contextLength: baseModel.contextLength, taken, kind: modelKindOf(baseModel.family) },
    rows: readRows(await context.store.blobs.open(dataset.sha256)),
    ...wanted,
  });
}
