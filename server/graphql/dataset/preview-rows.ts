/** previewRows: rows as a model sees them, before a run is created. */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import type { Preview, PreviewRow, PreviewToken } from "../../../dataset/preview.ts";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import type { BaseModel } from "../../../schema/tables.ts";
import { counted } from "../../../schema/units.ts";
import { withFiles } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import { invalidArgument } from "../../errors.ts";
import { previewForModel } from "../../row-preview.ts";
import { placeOfCursor, rowsOf } from "../../stored-rows.ts";
import { builder, queryCost } from "../builder.ts";
import { IssueRef } from "../fine-tune/error.ts";
import { Truncation } from "../fine-tune/hyperparameters.ts";
import { notFound, requireBaseModel, requireCheckpoint, requireDataset } from "../lookup.ts";
import { CheckpointRef, DatasetRef } from "../nodes.ts";
import { inline } from "./dataset.ts";
import { preparationOf, PreparationInput } from "./preparation.ts";

const TokenRef = builder.objectRef<PreviewToken>("PreviewToken").implement({
  description: "A token of a previewed row.",
  fields: (t) => ({
    id: t.exposeInt("id", { description: "Number of the token in the model's vocabulary." }),
    text: t.exposeString("text", {
      nullable: true,
      description: "Its text; a part of a character is U+FFFD. Null if the model has no tokenizer.",
    }),
    scored: t.exposeBoolean("scored", { description: "Whether the loss counts how well it is predicted." }),
    target: t.exposeString("target", {
      nullable: true,
      description: "What is to be predicted there, if it is another token: the word in place of a masked model's mask.",
    }),
  }),
});

const RowRef = builder.objectRef<PreviewRow>("PreviewRow").implement({
  description: "A row as the model sees it.",
  fields: (t) => ({
    line: t.exposeInt("line", { description: "Its line, from 1." }),
    text: t.exposeString("text", {
      nullable: true,
      description:
        "The beginning of its text: prompt and completion, or the conversation as the model's chat template writes it. Null for " +
        "rows of tokens, and if there is none.",
    }),
    tokens: t.field({
      type: [TokenRef],
      description: "Its first 1,024 tokens.",
      resolve: ({ tokens }) => tokens,
    }),
    length: t.exposeInt("length", { description: "Number of its tokens; 0 if it cannot be encoded." }),
    scored: t.exposeInt("scored", { description: "Number of its tokens that are scored." }),
    cutTokens: t.exposeInt("cutTokens", {
      description: "Number of tokens by which its prompt is cut, so that it fits; 0 if it is not.",
    }),
    issues: t.field({
      type: [IssueRef],
      description: "Why it is refused. Empty for a row that fits.",
      resolve: ({ issues }) => issues,
    }),
  }),
});

const CountsRef = builder.objectRef<Preview["tokens"]>("TokenCounts").implement({
  description: "Numbers of tokens of the rows that fit.",
  fields: (t) => ({
    total: t.expose("total", { type: "SafeInt", description: "Tokens of all rows." }),
    scored: t.expose("scored", { type: "SafeInt", description: "Tokens that are scored." }),
    min: t.exposeInt("min", { description: "Tokens of the shortest row." }),
    max: t.exposeInt("max", { description: "Tokens of the longest row." }),
    mean: t.exposeFloat("mean", { description: "Tokens of a row on average." }),
  }),
});

const PreviewRef = builder.objectRef<Preview>("RowsPreview").implement({
  description: "Rows as a model sees them.",
  fields: (t) => ({
    rows: t.field({ type: [RowRef], description: "The first rows.", resolve: ({ rows }) => rows }),
    counted: t.exposeInt("counted", {
      description: `Number of rows that were read to count, the first ones and at most ${limits.previewCounted}.`,
    }),
    refused: t.exposeInt("refused", { description: "How many of these are refused." }),
    issues: t.field({ type: [IssueRef], description: "The first reasons.", resolve: ({ issues }) => issues }),
    tokens: t.field({ type: CountsRef, description: "Numbers of tokens.", resolve: ({ tokens }) => tokens }),
    cutRows: t.int({
      description: "How many of the rows that fit have a cut prompt.",
      resolve: ({ cuts }) => cuts.rows,
    }),
    cutTokens: t.field({
      type: "SafeInt",
      description: "Number of tokens that are left out of these prompts.",
      resolve: ({ cuts }) => cuts.tokens,
    }),
    notes: t.exposeStringList("notes", {
      description:
        "What is to be known of the rows, in words: cut prompts, answers with odd spaces, rows that repeat or contradict others, " +
        "or that no row teaches when to stop.",
    }),
  }),
});

const defaultShown = 5;

const PreviewRowsInput = builder.inputType("PreviewRowsInput", {
  description: "What to preview: a stored dataset, or rows given inline, for a base model or a checkpoint.",
  fields: (t) => ({
    baseModel: t.string({ description: "Name of a base model. Required unless `checkpoint` is given." }),
    checkpoint: t.globalID({ for: CheckpointRef, description: "Id of a checkpoint, instead of a base model." }),
    dataset: t.globalID({ for: DatasetRef, description: "Id of a dataset. Required unless `jsonl` is given." }),
    after: t.string({
      description: "Start after this cursor of the dataset's `storedRows`. Left out, with its first row.",
    }),
    jsonl: t.string({
      description: `Rows as createDataset takes them inline, at most ${limits.inlineDatasetBytes} bytes.`,
    }),
    prepare: t.field({ type: PreparationInput, description: "How to prepare the inline rows first." }),
    rows: t.int({
      defaultValue: defaultShown,
      description: `Number of rows to show, the first ones: 1 to ${limits.previewShown}. Default ${defaultShown}.`,
      validate: z.int().min(1).max(limits.previewShown).nullish(),
    }),
    labelWords: t.stringList({
      description: "As in createFineTune.",
      validate: z.array(z.string().min(1).max(limits.nameLength)).max(limits.labelWords).nullish(),
    }),
    truncate: t.field({ type: Truncation, description: "As in createFineTune. Default: REFUSE." }),
    prefixLength: t.int({
      defaultValue: 0,
      description: "Tokens of the context that a prefix takes. Default: 0.",
      validate: z.int().min(0).max(limits.prefixLength).nullish(),
    }),
  }),
});

builder.queryField("previewRows", (t) =>
  t.field({
    type: PreviewRef,
    description:
      "Rows as the model sees them: their tokens and which are scored, what the chat template writes, how many tokens they have, " +
      "and why rows would be refused.",
    complexity: queryCost * 10,
    args: { input: t.arg({ type: PreviewRowsInput, required: true, description: "What to preview." }) },
    resolve: async (_root, { input }, context) => {
      const model = await modelOf(context, input);
      const settings = {
        labelWords: input.labelWords ?? [],
        show: input.rows ?? defaultShown,
        truncate: input.truncate ?? "REFUSE",
        taken: roomFor(input.prefixLength ?? 0, model),
      };
      const preparation = input.prepare ? preparationOf(input.prepare) : null;
      const { jsonl, dataset: named, after } = input;
      const from = after == null ? null : placeOfCursor(after, "input.after");
      if (from && !named) throw invalidArgument([{ path: ["after"], message: "is for a dataset" }], ["input"]);
      if (jsonl != null && !named) {
        const spooled = await context.uploads.spool(inline(jsonl));
        try {
          return await previewForModel(context, model, { ...spooled, preparation }, settings);
        } finally {
          await spooled.remove();
        }
      }
      if (!named || jsonl != null || preparation) throw oneOf("dataset", "jsonl", "Only inline rows can be prepared.");
      const toId = (id: string) => encodeGlobalID("Dataset", id);
      const dataset = await requireDataset(context.store, named.id, "input.dataset", toId);
      return withFiles(rowsOf(context.store), async (pathOf) =>
        previewForModel(context, model, { path: await pathOf(dataset), preparation, from }, settings),
      );
    },
  }),
);

type Input = typeof PreviewRowsInput.$inferInput;

/** @throws INVALID_ARGUMENT for a prefix that leaves no room */
function roomFor(prefixLength: number, { contextLength }: BaseModel): number {
  if (prefixLength < contextLength) return prefixLength;
  const message = `leaves no room in the model's context of ${counted(contextLength, "token")}`;
  throw invalidArgument([{ path: ["prefixLength"], message }], ["input"]);
}

/** The base model: a checkpoint's tokenizer and chat template are those of its base. */
async function modelOf({ store }: Context, { baseModel, checkpoint }: Input): Promise<BaseModel> {
  if (baseModel != null && !checkpoint) return requireBaseModel(store, baseModel, "input.baseModel");
  if (!checkpoint || baseModel != null) throw oneOf("baseModel", "checkpoint");
  const run = await store.checkpoints.runOf(await requireCheckpoint(store, checkpoint.id, "input.checkpoint"));
  const model = run && (await store.baseModels.get(run.baseModelId));
  return model ?? notFound("input.checkpoint", "Its base model is gone.");
}

function oneOf(first: string, second: string, more = ""): SteplogError {
  const message = `give exactly one of \`${first}\` and \`${second}\``;
  const text = `Give exactly one of \`${first}\` and \`${second}\`. ${more}`.trimEnd();
  return new SteplogError("INVALID_ARGUMENT", text, [{ field: `input.${first}`, message }]);
}
