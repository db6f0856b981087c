/** How a fine-tune is created: everything that can be known to be wrong is said before anything is stored. */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import { checkRowsFit } from "../../dataset/encode.ts";
import { readRows } from "../../dataset/jsonl.ts";
import { limits } from "../../schema/limits.ts";
import type { BaseModel, Dataset, FineTune } from "../../schema/tables.ts";
import { objectiveOf } from "../../schema/objective.ts";
import type { Context } from "../context.ts";
import { builder, queryCost } from "./builder.ts";
import { HyperparametersInput, parseHyperparameters } from "./hyperparameters.ts";
import { requireBaseModel, requireDataset } from "./lookup.ts";
import { DatasetRef, FineTuneRef } from "./nodes.ts";

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
    baseModel: t.string({ required: true, description: "Name of a base model." }),
    dataset: t.globalID({ for: DatasetRef, required: true, description: "Id of the dataset to learn from." }),
    validationDataset: t.globalID({
      for: DatasetRef,
      description: "Id of a dataset to evaluate on. Without one there are no evaluations.",
    }),
    labelWords: t.stringList({
      description:
        `Candidate completions, at most ${limits.labelWords}, among which accuracy is judged. Leave out to measure the ` +
        "loss alone.",
      validate: z.array(z.string().min(1).max(limits.nameLength)).max(limits.labelWords).nullish(),
    }),
    keepWeights: t.boolean({
      description:
        "Whether the last checkpoint's weights are stored as they were trained, for download at once. Without it they are " +
        "rebuilt from the log when somebody asks (materialiseCheckpoint). False when left out.",
    }),
    hyperparameters: t.field({ type: HyperparametersInput, description: "Settings that differ from the defaults." }),
  }),
});

const CreateFineTunePayload = builder
  .objectRef<{ fineTune: FineTune; created: boolean }>("CreateFineTunePayload")
  .implement({
    description: "The run that a create answered with.",
    fields: (t) => ({
      fineTune: t.expose("fineTune", { type: FineTuneRef, description: "The run." }),
      created: t.exposeBoolean("created", {
        description: "False when the idempotency key was known and this is the run of the first create.",
      }),
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
      const hyperparameters = parseHyperparameters(input.hyperparameters ?? {}, ["input", "hyperparameters"]);
      const baseModel = await requireBaseModel(store, input.baseModel, "input.baseModel");
      const dataset = await requireDataset(store, input.dataset.id, "input.dataset", datasetId);
      const validationDataset =
        input.validationDataset &&
        (await requireDataset(store, input.validationDataset.id, "input.validationDataset", datasetId));
      const labelWords = input.labelWords ?? [];
      await checkRows(context, baseModel, dataset, labelWords);
      if (validationDataset) await checkRows(context, baseModel, validationDataset, labelWords);
      return store.fineTunes.create({
        idempotencyKey: input.idempotencyKey ?? null,
        name: input.name,
        baseModelId: baseModel.id,
        datasetId: dataset.id,
        validationDatasetId: validationDataset?.id ?? null,
        labelWords,
        hyperparameters,
        keepWeights: input.keepWeights ?? false,
      });
    },
  }),
);

function datasetId(id: string): string {
  return encodeGlobalID("Dataset", id);
}

async function checkRows(context: Context, baseModel: BaseModel, dataset: Dataset, labelWords: readonly string[]) {
  await checkRowsFit({
    tokenizer: await context.tokenizers.of(baseModel),
    contextLength: baseModel.contextLength,
    objective: objectiveOf(baseModel.family),
    rows: readRows(await context.store.blobs.open(dataset.sha256)),
    labelWords,
  });
}
