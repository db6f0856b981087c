/** Completions: what was asked of a model, and what it has answered so far. */
import type {
  completionStages,
  completionStatuses,
  FinishReason,
  TokenChance,
  TokenLogprob,
  Usage,
} from "../../../schema/completion.ts";
import type { WrittenChoice } from "../../../store/store.ts";
import { failureOf } from "../../completions.ts";
import { builder, queryCost } from "../builder.ts";
import { ErrorCodeRef, IssueRef } from "../fine-tune/error.ts";
import { finiteOrNull } from "../finite.ts";
import { BaseModelRef, CheckpointRef, CompletionRef } from "../nodes.ts";
import { type LabelScore, labelScores } from "./labels.ts";

const CompletionStatus = builder.enumType("CompletionStatus", {
  description: "The status of a completion. SUCCEEDED, FAILED and CANCELLED are final.",
  values: {
    QUEUED: { description: "Waiting for a worker." },
    RUNNING: { description: "Being answered, or about to be continued by another worker." },
    SUCCEEDED: { description: "Answered: every choice has ended." },
    FAILED: { description: "Not answered; the field error explains it." },
    CANCELLED: { description: "Ended on request, or because nobody waited any more. What was written is kept." },
  } satisfies Record<(typeof completionStatuses)[number], { description: string }>,
});

const CompletionStage = builder.enumType("CompletionStage", {
  description: "What a worker does before the first token.",
  values: {
    REBUILDING: {
      description: "Rebuilds the weights of the checkpoint from its log. They are kept for later requests.",
    },
    LOADING: { description: "Reads the weights." },
  } satisfies Record<(typeof completionStages)[number], { description: string }>,
});

export const FinishReasonRef = builder.enumType("FinishReason", {
  description: "Why a choice ended.",
  values: {
    END: { description: "The model ended it, by its end-of-sequence token." },
    STOP: { description: "A stop text followed." },
    LENGTH: { description: "It has maxTokens tokens." },
    CANCELLED: { description: "The completion was cancelled." },
  } satisfies Record<FinishReason, { description: string }>,
});

const TokenChanceRef = builder.objectRef<TokenChance>("TokenChance").implement({
  description: "A token that could have been picked.",
  fields: (t) => ({
    token: t.exposeInt("token", { description: "Its id." }),
    text: t.exposeString("text", { description: "Its text; U+FFFD stands for a part of a character." }),
    logProbability: t.float({
      nullable: true,
      description:
        "Natural logarithm of its probability by the model alone, before any setting. Null for minus infinity.",
      resolve: ({ logprob }) => finiteOrNull(logprob),
    }),
  }),
});

export const TokenLogProbabilityRef = builder.objectRef<TokenLogprob>("TokenLogProbability").implement({
  description: "A token of an answer, and how likely it was.",
  fields: (t) => ({
    token: t.exposeInt("token", { description: "Its id." }),
    text: t.exposeString("text", { description: "Its text; U+FFFD stands for a part of a character." }),
    logProbability: t.float({
      nullable: true,
      description:
        "Natural logarithm of its probability by the model alone, before any setting. Null for minus infinity.",
      resolve: ({ logprob }) => finiteOrNull(logprob),
    }),
    top: t.field({
      type: [TokenChanceRef],
      description: "The likeliest tokens in its place, likeliest first.",
      complexity: { field: 1, multiplier: 5 },
      resolve: ({ top }) => [...top],
    }),
  }),
});

/** Tokens of a choice, for the cost of a query. */
const usualLength = 100;

const ChoiceRef = builder.objectRef<WrittenChoice>("CompletionChoice").implement({
  description: "One of the texts that were asked for.",
  fields: (t) => ({
    index: t.exposeInt("index", { description: "Its number, from 0." }),
    text: t.exposeString("text", { description: "What is written so far, without special tokens." }),
    tokens: t.intList({
      description: "Its tokens so far, with the one that ended it.",
      complexity: { field: 1, multiplier: usualLength },
      resolve: ({ tokens }) => [...tokens],
    }),
    logprobs: t.field({
      type: [TokenLogProbabilityRef],
      nullable: true,
      description: "One per token; null unless they were asked for.",
      complexity: { field: 1, multiplier: usualLength },
      resolve: ({ logprobs }) => logprobs && [...logprobs],
    }),
    finishReason: t.field({
      type: FinishReasonRef,
      nullable: true,
      description: "Why it ended; null while it goes on.",
      resolve: ({ finish }) => finish,
    }),
  }),
});

export const LabelScoreRef = builder.objectRef<LabelScore>("LabelScore").implement({
  description: "A label and its score.",
  fields: (t) => ({
    label: t.exposeString("label", { description: "The label." }),
    score: t.float({
      nullable: true,
      description:
        "Mean log-probability of its tokens after the prompt; with a calibration prompt, how much higher that is than after " +
        "the calibration prompt. Null if it is not finite.",
      resolve: ({ score }) => finiteOrNull(score),
    }),
    tokens: t.exposeInt("tokens", { description: "Number of its tokens." }),
  }),
});

const UsageRef = builder.objectRef<Usage>("CompletionUsage").implement({
  description: "Tokens that a completion took. A prompt counts once, however many choices follow it.",
  fields: (t) => ({
    promptTokens: t.exposeInt("promptTokens", { description: "Tokens of the prompt." }),
    cachedTokens: t.exposeInt("cachedTokens", {
      description: "Of these, tokens that an earlier request had computed.",
    }),
    completionTokens: t.exposeInt("completionTokens", { description: "Tokens of all choices." }),
  }),
});

export const CompletionErrorRef = builder
  .objectRef<NonNullable<ReturnType<typeof failureOf>>>("CompletionError")
  .implement({
    description: "Why a completion, or an evaluation, failed.",
    fields: (t) => ({
      code: t.expose("code", { type: ErrorCodeRef, description: "Stable code for programs." }),
      message: t.exposeString("message", { description: "What happened and what to do, in words." }),
      issues: t.field({
        type: [IssueRef],
        description: "Problems in the input; empty when the cause is elsewhere.",
        resolve: (error) => [...error.issues],
      }),
    }),
  });

CompletionRef.implement({
  description: "A request to write after a prompt, or to choose among labels. It is deleted when it expires.",
  fields: (t) => ({
    status: t.expose("status", { type: CompletionStatus, description: "Where it is." }),
    stage: t.expose("stage", {
      type: CompletionStage,
      nullable: true,
      description: "What a worker does before the first token; null otherwise.",
    }),
    baseModel: t.field({
      type: BaseModelRef,
      description: "The base model that answers, or of which the checkpoint is.",
      resolve: ({ baseModelId }) => baseModelId,
    }),
    checkpoint: t.field({
      type: CheckpointRef,
      nullable: true,
      description: "The checkpoint that answers; null for the base model itself.",
      resolve: ({ checkpointId }) => checkpointId,
    }),
    alias: t.exposeString("alias", {
      nullable: true,
      description: "The alias by which the model was named, if it was.",
    }),
    choices: t.field({
      type: [ChoiceRef],
      description: "What was written so far: one per choice, none for labels.",
      complexity: { field: queryCost, multiplier: 2 },
      resolve: (completion, _args, { store }) => store.completions.choices(completion),
    }),
    label: t.string({
      nullable: true,
      description: "The label with the best score; null for text, and until it succeeds.",
      resolve: (completion) => labelScores(completion)?.best ?? null,
    }),
    labelScores: t.field({
      type: [LabelScoreRef],
      nullable: true,
      description: "The labels in the order given, with their scores; null for text, and until it succeeds.",
      resolve: (completion) => labelScores(completion)?.scores ?? null,
    }),
    usage: t.field({
      type: UsageRef,
      nullable: true,
      description: "Tokens that it took; null until it ends.",
      resolve: ({ usage }) => usage,
    }),
    seed: t.field({
      type: "SafeInt",
      nullable: true,
      description: "Seed of its samples, given or drawn; null for labels.",
      resolve: ({ task }) => (task.kind === "GENERATE" ? task.sampling.seed : null),
    }),
    device: t.exposeString("device", {
      nullable: true,
      description:
        "Names what answered it: the device, its precision, the release. Equal seeds give equal text where this is equal. Null " +
        "before the first token.",
    }),
    error: t.field({
      type: CompletionErrorRef,
      nullable: true,
      description: "Why it failed; null unless it did.",
      resolve: failureOf,
    }),
    queuePosition: t.int({
      nullable: true,
      description:
        "How many requests are claimed before it; 0 when it is next. Null while it does not wait for a worker.",
      complexity: 3 * queryCost,
      resolve: ({ id, status }, _args, { store }) => (status === "QUEUED" ? store.completions.queuePosition(id) : null),
    }),
    waitingReason: t.string({
      nullable: true,
      description: "Why no worker answers it while it is QUEUED, and what would help. Null otherwise.",
      complexity: queryCost,
      resolve: ({ id, status }, _args, { store }) => (status === "QUEUED" ? store.completions.waitingReason(id) : null),
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was created." }),
    startedAt: t.expose("startedAt", {
      type: "DateTime",
      nullable: true,
      description: "When a worker first claimed it; null until then.",
    }),
    firstTokenAt: t.expose("firstTokenAt", {
      type: "DateTime",
      nullable: true,
      description: "When its first token was stored; null until then.",
    }),
    finishedAt: t.expose("finishedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it reached a final status; null until then.",
    }),
    expiresAt: t.expose("expiresAt", { type: "DateTime", description: "When it is deleted." }),
  }),
});

builder.queryField("completion", (t) =>
  t.field({
    type: CompletionRef,
    nullable: true,
    description: "The completion with this id; null if there is none, or it has been deleted.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: CompletionRef, required: true, description: "Id of a completion." }) },
    resolve: (_root, { id }, { store }) => store.completions.get(id.id),
  }),
);

builder.mutationField("cancelCompletion", (t) =>
  t.field({
    type: CompletionRef,
    description:
      "Ends a completion: one that waits at once, another with its next tokens. What was written stays until it expires. " +
      "Repeating it, or cancelling one that has ended, changes nothing.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: CompletionRef, required: true, description: "Id of a completion." }) },
    resolve: (_root, { id }, { store }) => store.completions.cancel(id.id),
  }),
);

builder.mutationField("deleteCompletion", (t) =>
  t.boolean({
    description:
      "Deletes a completion with its prompt and all that was written, at once, ending it first. True if there was one: " +
      "repeating it is safe.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: CompletionRef, required: true, description: "Id of a completion." }) },
    resolve: (_root, { id }, { store }) => store.completions.delete(id.id),
  }),
);
