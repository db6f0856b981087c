/** Creating an evaluation: every row is checked before anything is queued. */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import { type EvaluationRules, evaluationRulesSchema } from "../../../schema/model-evaluation.ts";
import { modelKindOf } from "../../../schema/model-kind.ts";
import type { ModelEvaluation } from "../../../schema/serving-tables.ts";
import { invalidArgument } from "../../errors.ts";
import { checkRowsFitModel } from "../../row-checks.ts";
import { type Answering, idsOf } from "../../targets.ts";
import { builder, queryCost } from "../builder.ts";
import { ModelInput, answeringOfInput } from "../completion/inputs.ts";
import { ExpiryInput, expiryOfInput, expiryText } from "../expiry.ts";
import { refuseCalibration } from "../fine-tune/check-choices.ts";
import { wordRules } from "../words.ts";
import { Precision, Truncation } from "../fine-tune/hyperparameters.ts";
import { requireDataset } from "../lookup.ts";
import { DatasetRef, ModelEvaluationRef } from "../nodes.ts";

const CreateEvaluationInput = builder.inputType("CreateEvaluationInput", {
  description: "What to measure, on which rows, and how. Settings mean what those of a run of the same name mean.",
  fields: (t) => ({
    idempotencyKey: t.string({
      description:
        `A key you choose for this request, 1 to ${limits.idempotencyKeyLength} characters. A second request with the same ` +
        "key and input returns the first evaluation; one with a different input is a CONFLICT.",
      validate: z.string().min(1).max(limits.idempotencyKeyLength).nullish(),
    }),
    model: t.field({ type: ModelInput, required: true, description: "The model to measure." }),
    dataset: t.globalID({ for: DatasetRef, required: true, description: "Id of the dataset to measure it on." }),
    labelWords: t.stringList({
      description: `Candidate completions, 2 to ${limits.labelWords}, all different, of rows that list none.`,
      validate: wordRules.labelWords,
    }),
    calibrationPrompt: t.string({
      description: "A prompt without content, by which candidates' scores are calibrated.",
      validate: z.string().max(limits.calibrationLength).nullish(),
    }),
    answerTokens: t.int({
      description:
        `Maximum length of an answer that is generated and scored by F1 and exact match, 0 to ${limits.answerTokens}. ` +
        "Default: 0, none.",
    }),
    truncate: t.field({
      type: Truncation,
      description: "What happens to rows that are longer than the model's context. Default: REFUSE.",
    }),
    expiry: t.field({ type: ExpiryInput, description: expiryText }),
    precision: t.field({ type: Precision, description: "Number format of products. Default: FLOAT32." }),
  }),
});

type Input = typeof CreateEvaluationInput.$inferInput;

interface Created {
  readonly evaluation: ModelEvaluation;
  readonly created: boolean;
}

const CreateEvaluationPayload = builder.objectRef<Created>("CreateEvaluationPayload").implement({
  description: "The evaluation, and whether this request created it.",
  fields: (t) => ({
    evaluation: t.field({
      type: ModelEvaluationRef,
      description: "The evaluation.",
      resolve: ({ evaluation }) => evaluation,
    }),
    created: t.exposeBoolean("created", {
      description: "False if an earlier request with the same key created it.",
    }),
  }),
});

builder.mutationField("createEvaluation", (t) =>
  t.field({
    type: CreateEvaluationPayload,
    description:
      "Queues an evaluation of a base model or a checkpoint. Rows that do not fit the model are refused at once " +
      "(DATASET_INVALID, with line numbers). Safe to repeat with an idempotency key.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateEvaluationInput, required: true, description: "The evaluation." }) },
    resolve: async (_root, { input }, context) => {
      const { store } = context;
      const answering = await answeringOfInput(store, input.model, "input.model");
      const dataset = await requireDataset(store, input.dataset.id, "input.dataset", (id) =>
        encodeGlobalID("Dataset", id),
      );
      const settings = checkRules(input, answering);
      const labelWords = input.labelWords ?? [];
      const { model, context: room } = answering;
      const { truncate } = settings;
      const taken = model.contextLength - room;
      const rows = { labelWords, needs: null, taken, truncate };
      const { choices } = await checkRowsFitModel(context, model, dataset, rows);
      refuseCalibration(input.calibrationPrompt ?? null, [choices]);
      return store.evaluations.create({
        ...idsOf(answering),
        idempotencyKey: input.idempotencyKey ?? null,
        datasetId: dataset.id,
        labelWords,
        calibrationPrompt: input.calibrationPrompt ?? null,
        settings,
        expiry: expiryOfInput(input.expiry, "input.expiry"),
      });
    },
  }),
);

/** @throws INVALID_ARGUMENT for what is out of range, and for answers of a masked model */
function checkRules({ answerTokens, truncate, precision }: Input, { model }: Answering): EvaluationRules {
  const given = Object.entries({ answerTokens, truncate, precision }).filter(([, value]) => value != null);
  const { data, error } = evaluationRulesSchema.safeParse(Object.fromEntries(given));
  if (!data) throw invalidArgument(error.issues, ["input"]);
  if (data.answerTokens === 0 || modelKindOf(model.family) !== "masked") return data;
  const message = `${model.family} is a masked language model, which cannot generate answers`;
  throw new SteplogError("INVALID_ARGUMENT", `input.answerTokens: ${message}.`, [
    { field: "input.answerTokens", message },
  ]);
}
