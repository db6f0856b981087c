/** A new fine-tune, as clients describe it: to create it, or to know beforehand what it takes. */
import { z } from "zod";
import { limits } from "../../../schema/limits.ts";
import { builder } from "../builder.ts";
import { CheckpointRef, DatasetRef } from "../nodes.ts";
import { ExpiryInput, expiryText } from "../expiry.ts";
import { wordRules } from "../words.ts";
import { HyperparametersInput } from "./hyperparameters.ts";
import { MetadataEntryInput, labelRules, labelTexts } from "./labels.ts";

export const CreateFineTuneInput = builder.inputType("CreateFineTuneInput", {
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
        "prefers the right one. Leave out to measure only the loss; one alone is refused, and so is one that is there twice.",
      validate: wordRules.labelWords,
    }),
    calibrationPrompt: t.string({
      description:
        "A prompt without content. A candidate's score is then how much likelier the row's prompt makes it than this prompt " +
        "does.",
      validate: z.string().max(limits.calibrationLength).nullish(),
    }),
    tags: t.stringList({ description: labelTexts.tags, validate: labelRules.tags }),
    metadata: t.field({
      type: [MetadataEntryInput],
      description: labelTexts.metadata,
      validate: labelRules.metadata,
    }),
    priority: t.int({ description: `${labelTexts.priority} Default: 0.`, validate: labelRules.priority }),
    keepWeights: t.boolean({
      description:
        "Whether to store the weights of the last checkpoint, ready for download. Otherwise materialiseCheckpoint rebuilds " +
        "them from the log on request. Default: false.",
    }),
    expiry: t.field({ type: ExpiryInput, description: expiryText }),
    hyperparameters: t.field({
      type: HyperparametersInput,
      description: "Settings that differ from their defaults (for a fork: from those of its run).",
    }),
  }),
});

export type NewRunInput = typeof CreateFineTuneInput.$inferInput;
