/** Creating a completion: everything that can be checked is checked before anything is queued. */
import { z } from "zod";
import { samplingSchema } from "../../../schema/completion.ts";
import { limits } from "../../../schema/limits.ts";
import type { Completion } from "../../../schema/serving-tables.ts";
import { type Asking, type Checked, ask, checkChoice, checkText } from "../../completions.ts";
import { invalidArgument } from "../../errors.ts";
import type { Answering } from "../../targets.ts";
import { builder, queryCost } from "../builder.ts";
import { ExpiryInput, expiryOfInput } from "../expiry.ts";
import { CompletionRef } from "../nodes.ts";
import { wordRules } from "../words.ts";
import { MessageInput, ModelInput, answeringOfInput, promptOf, refused, underInput } from "./inputs.ts";

const { choices, stops, stopLength, topLogprobs, idempotencyKeyLength, labelWords, calibrationLength } = limits;
const usualTokens = 256;

const CreateCompletionInput = builder.inputType("CreateCompletionInput", {
  description: "Text to write after a prompt, or labels to choose among.",
  fields: (t) => ({
    idempotencyKey: t.string({
      description:
        `A key you choose for this request, 1 to ${idempotencyKeyLength} characters. A second request with the same key and ` +
        "input returns the first completion; one with a different input is a CONFLICT.",
      validate: z.string().min(1).max(idempotencyKeyLength).nullish(),
    }),
    model: t.field({ type: ModelInput, required: true, description: "The model that answers." }),
    prompt: t.string({ description: "The text to continue. Give this, messages or tokens." }),
    messages: t.field({
      type: [MessageInput],
      description: "A conversation to continue, which the model's chat template writes.",
    }),
    tools: t.string({
      description:
        'Tools for a template that writes them: JSON text of a list of {"type": "function", "function": {"name", "description", ' +
        '"parameters"}}. Needs messages.',
    }),
    tokens: t.intList({
      description: "The tokens to continue, as they are: nothing is added before them.",
      validate: z.array(z.int().min(0)).min(1).nullish(),
    }),
    maxTokens: t.int({
      description: `Most tokens of each choice, from 1. Prompt and answer must fit the context. Default: what fits, at most ${usualTokens}.`,
      validate: z.int().min(1).nullish(),
    }),
    n: t.int({
      description: `Choices to write, 1 to ${choices}. Default: 1.`,
      validate: z.int().min(1).max(choices).nullish(),
    }),
    stop: t.stringList({
      description: `Texts that end an answer, which then has none of them: at most ${stops}, of 1 to ${stopLength} characters.`,
      validate: z.array(z.string().min(1).max(stopLength)).max(stops).nullish(),
    }),
    logprobs: t.int({
      description: `Gives the log-probability of each token, and of this many of the likeliest ones: 0 to ${topLogprobs}.`,
      validate: z.int().min(0).max(topLogprobs).nullish(),
    }),
    temperature: t.float({ description: "Logits are divided by it, 0 to 2; 0 takes the likeliest token. Default: 1." }),
    topK: t.int({ description: "Samples from this many of the likeliest tokens, from 1. Default: all." }),
    topP: t.float({
      description: "Samples from the likeliest tokens of this total probability, above 0 and up to 1. Default: 1.",
    }),
    minP: t.float({
      description:
        "Leaves out tokens less likely than this share of the likeliest one's probability, 0 to 1. Default: 0.",
    }),
    repetitionPenalty: t.float({
      description:
        "Divides positive logits of tokens that prompt and answer have, and multiplies negative ones: above 0, up to 10. " +
        "Default: 1, none.",
    }),
    presencePenalty: t.float({
      description: "Taken off the logits of tokens that the answer has, -2 to 2. Default: 0.",
    }),
    frequencyPenalty: t.float({
      description: "Taken off these logits once for each time that the answer has the token, -2 to 2. Default: 0.",
    }),
    seed: t.field({
      type: "SafeInt",
      description:
        "Seed of the samples, from 0. The same request with the same seed gives the same text on the same device. Drawn, and " +
        "told, if left out.",
    }),
    labels: t.stringList({
      description:
        `Chooses among these texts instead of writing: 2 to ${labelWords}, all different, each including a leading space if it needs one. ` +
        "Settings of writing cannot be given with it.",
      validate: wordRules.labels.nullish(),
    }),
    expiry: t.field({
      type: ExpiryInput,
      description: "When it is deleted. Left out, as setProjectKeep says, and otherwise as the operator does.",
    }),
    calibrationPrompt: t.string({
      description:
        "With labels, a prompt without content: a label's score is then how much likelier the prompt makes it than this one " +
        "does.",
      validate: z.string().max(calibrationLength).nullish(),
    }),
  }),
});

type Input = typeof CreateCompletionInput.$inferInput;

interface Created {
  readonly completion: Completion;
  readonly created: boolean;
}

const CreateCompletionPayload = builder.objectRef<Created>("CreateCompletionPayload").implement({
  description: "The completion, and whether this request created it.",
  fields: (t) => ({
    completion: t.field({
      type: CompletionRef,
      description: "The completion. Subscribe to completionPieces to read it while it is written.",
      resolve: ({ completion }) => completion,
    }),
    created: t.exposeBoolean("created", {
      description: "False if an earlier request with the same key created it.",
    }),
  }),
});

builder.mutationField("createCompletion", (t) =>
  t.field({
    type: CreateCompletionPayload,
    description:
      "Queues a completion, which ends also if nobody reads it. Refused at once, with nothing queued: fields out of range, a " +
      "prompt that does not fit the model's context, an unknown model (NOT_FOUND, with the names there are), a masked model " +
      "that is to write and a model without a chat template that is given messages (MODEL_UNSUPPORTED), a model that no live " +
      "worker can serve (UNAVAILABLE, with what they lack), and more than the operator lets wait (BUSY). Safe to repeat with " +
      "an idempotency key.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateCompletionInput, required: true, description: "The completion." }) },
    resolve: (_root, { input }, context) =>
      underInput(async () => {
        const asked = promptOf(input);
        const answering = await answeringOfInput(context.store, input.model, "input.model");
        const checked = await check(context, answering, input, asked);
        const idempotencyKey = input.idempotencyKey ?? null;
        const expiry = expiryOf(input);
        return ask(context, answering, checked, { protocol: "GRAPHQL", idempotencyKey, isAttended: false, expiry });
      }),
  }),
);

/** @throws INVALID_ARGUMENT for a completion that is never to end */
function expiryOf({ expiry }: Input) {
  const given = expiryOfInput(expiry, "expiry");
  if (given && "never" in given)
    throw refused("expiry.never", "is not possible: a completion always ends; give a time");
  return given;
}

/** Settings of the sampling by themselves, since zod knows their ranges and defaults. */
const ofSampling = samplingSchema.omit({ logitBias: true, seed: true });
const ofWriting = [...Object.keys(ofSampling.shape), "maxTokens", "n", "stop", "logprobs", "seed", "tools"] as const;

async function check(
  asking: Asking,
  answering: Answering,
  input: Input,
  prompt: ReturnType<typeof promptOf>,
): Promise<Checked> {
  const { labels, calibrationPrompt = null } = input;
  if (labels == null && calibrationPrompt !== null)
    throw refused("calibrationPrompt", "calibrates labels: give labels");
  if (labels == null) return checkWriting(asking, answering, input, prompt);
  const given = Object.entries(input).find(([name, value]) => value != null && ofWriting.includes(name));
  if (given) throw refused(given[0], "is about writing, and cannot be given with labels");
  const [chosen] = await checkChoice(asking, answering, { prompts: [prompt], labels, calibrationPrompt });
  if (!chosen) throw refused("prompt", "is missing");
  return chosen;
}

async function checkWriting(
  asking: Asking,
  answering: Answering,
  input: Input,
  prompt: ReturnType<typeof promptOf>,
): Promise<Checked> {
  const { tasks } = await checkText(asking, answering, {
    prompts: [prompt],
    maxTokens: input.maxTokens ?? null,
    usualTokens,
    n: input.n ?? 1,
    stop: input.stop ?? [],
    logprobs: input.logprobs ?? null,
    sampling: samplingOf(input),
    seed: seedOf(input),
  });
  const [task] = tasks;
  if (!task) throw refused("prompt", "is missing");
  return task;
}

/** @throws INVALID_ARGUMENT for what is out of range */
function samplingOf(input: Input) {
  const names = Object.keys(ofSampling.shape);
  const given = Object.fromEntries(
    Object.entries(input).filter(([name, value]) => names.includes(name) && value != null),
  );
  const { data, error } = ofSampling.safeParse(given);
  if (!data) throw invalidArgument(error.issues);
  return { ...data, logitBias: [] };
}

function seedOf({ seed }: Input): number | null {
  const { data, error } = samplingSchema.shape.seed.nullable().safeParse(seed ?? null);
  if (error) throw invalidArgument(error.issues, ["seed"]);
  return data;
}
