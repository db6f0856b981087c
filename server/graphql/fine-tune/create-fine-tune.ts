/** Creating a fine-tune: everything that can be checked is checked before anything is stored. */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import { needsOf } from "../../../dataset/encode.ts";
import type { Hyperparameters } from "../../../schema/hyperparameters.ts";
import { conflictingHyperparameters, contextTaken } from "../../../schema/hyperparameters.ts";
import { limits } from "../../../schema/limits.ts";
import { type PartNames, unmatchedLayers, unmatchedTensors } from "../../../schema/name-patterns.ts";
import type { BaseModel } from "../../../schema/tables.ts";
import { modelKindOf } from "../../../schema/model-kind.ts";
import { counted } from "../../../schema/units.ts";
import type { Store } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import { invalidArgument } from "../../errors.ts";
import { checkRowsFitModel } from "../../row-checks.ts";
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
        `A key you choose for this request, 1 to ${limits.idempotencyKeyLength} characters. A second request with the same ` +
        "key and input returns the first run; one with a different input is a CONFLICT.",
      validate: z.string().min(1).max(limits.idempotencyKeyLength).nullish(),
    }),
    name: t.string({
      required: true,
      description: `Name of the run, 1 to ${limits.nameLength} characters.`,
      validate: z.string().trim().min(1).max(limits.nameLength),
    }),
    from: t.globalID({
      for: CheckpointRef,
      description:
        "Id of a checkpoint to start from instead of a base model: a fork. Fields left out are then as in its run. The " +
        "method, its settings and the noise cannot change.",
    }),
    baseModel: t.string({ description: "Name of a base model. Required unless `from` is given." }),
    dataset: t.globalID({
      for: DatasetRef,
      description: "Id of the dataset to train on. Required unless `from` is given.",
    }),
    validationDataset: t.globalID({
      for: DatasetRef,
      description: "Id of a dataset to evaluate on during the run. Without one there are no evaluations.",
    }),
    testDataset: t.globalID({
      for: DatasetRef,
      description:
        "Id of a dataset to test on: the base model before training, and afterwards the weights of the best evaluation (the " +
        "last weights if there is no validation dataset).",
    }),
    labelWords: t.stringList({
      description:
        `Candidate completions, at most ${limits.labelWords}, of rows that list none. Accuracy is how often the model ` +
        "prefers the right one. Leave out to measure only the loss.",
      validate: z.array(z.string().min(1).max(limits.nameLength)).max(limits.labelWords).nullish(),
    }),
    calibrationPrompt: t.string({
      description:
        "A prompt without content. A candidate's score is then how much likelier the row's prompt makes it than this prompt " +
        "does.",
      validate: z.string().max(limits.calibrationLength).nullish(),
    }),
    keepWeights: t.boolean({
      description:
        "Whether to store the weights of the last checkpoint, ready for download. Otherwise materialiseCheckpoint rebuilds " +
        "them from the log on request. Default: false.",
    }),
    hyperparameters: t.field({
      type: HyperparametersInput,
      description: "Settings that differ from their defaults (for a fork: from those of its run).",
    }),
  }),
});

builder.mutationField("createFineTune", (t) =>
  t.field({
    type: CreateFineTunePayload,
    description:
      "Queues a run. Rows that do not fit the base model are refused at once (DATASET_INVALID, with line numbers). Safe to " +
      "repeat with an idempotency key.",
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
      checkSettings(hyperparameters, rows.validation !== null, baseModel, await store.baseModels.names(baseModel.id));
      // A repeated request finds its run, whose rows were checked.
      const repeated = input.idempotencyKey != null && (await store.fineTunes.hasKey(input.idempotencyKey));
      if (!repeated) await checkAllRows(context, baseModel, rows, { labelWords, hyperparameters });
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
  throw invalidArgument([{ path: [name], message: "is required unless `from` names a checkpoint" }], ["input"]);
}

type Input = typeof CreateFineTuneInput.$inferInput;

/** The datasets by their ids. A fork inherits those left out; null means none. */
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

/** @throws INVALID_ARGUMENT for settings that do not go together, or not with the base model */
function checkSettings(
  settings: Hyperparameters,
  validated: boolean,
  { family, contextLength }: BaseModel,
  names: PartNames | null,
): void {
  const { objective, answerTokens } = settings;
  const issues = [...conflictingHyperparameters(settings, validated), ...unmatchedPatterns(settings, names)];
  if (contextTaken(settings) >= contextLength) {
    issues.push({
      path: ["prefixLength"],
      message: `leaves no room in the model's context of ${counted(contextLength, "token")}`,
    });
  }
  const answers = objective === "F1" || objective === "EXACT_MATCH";
  if (modelKindOf(family) === "masked" && (answers || answerTokens > 0)) {
    const message = `${family} is a masked language model, which cannot generate answers`;
    issues.push({ path: [answers ? "objective" : "answerTokens"], message });
  }
  if (issues.length > 0) throw invalidArgument(issues, ["input", "hyperparameters"]);
}

/** Patterns of the run's method that select nothing. Without names, the worker refuses them before the first step. */
function unmatchedPatterns({ method, tensors, loraTargets }: Hyperparameters, names: PartNames | null) {
  if (!names) return [];
  const found = {
    tensors: method === "FULL" ? unmatchedTensors(tensors, names) : null,
    loraTargets: method === "LORA" ? unmatchedLayers(loraTargets, names) : null,
  };
  return Object.entries(found).flatMap(([name, one]) =>
    one ? [{ path: [name, String(one.index)], message: `${one.seen}. ${one.advice}` }] : [],
  );
}

async function checkAllRows(
  context: Context,
  baseModel: BaseModel,
  rows: Awaited<ReturnType<typeof datasetsOf>>,
  { labelWords, hyperparameters }: { labelWords: readonly string[]; hyperparameters: Hyperparameters },
): Promise<void> {
  const taken = contextTaken(hyperparameters);
  for (const [use, dataset] of Object.entries(rows)) {
    const needs = use === "training" ? needsOf(hyperparameters.objective) : null;
    if (dataset) await checkRowsFitModel(context, baseModel, dataset, { labelWords, needs, taken });
  }
}

function datasetId(id: string): string {
  return encodeGlobalID("Dataset", id);
}
