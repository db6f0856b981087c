/** Choosing labels and scoring given texts: the answer comes with the request, and nothing of it is kept. */
import { z } from "zod";
import { limits } from "../../../schema/limits.ts";
import { attended, checkChoice, checkScores, together, type Asking } from "../../completions.ts";
import { builder, queryCost } from "../builder.ts";
import { finiteOrNull } from "../finite.ts";
import { wordRules } from "../words.ts";
import { LabelScoreRef, TokenLogProbabilityRef } from "./completion.ts";
import { MessageInput, ModelInput, answeringOfInput, promptOf, refused, underInput } from "./inputs.ts";
import { labelScores, type Labelled } from "./labels.ts";
import type { RowScore } from "../../../schema/completion.ts";

const ClassifyInput = builder.inputType("ClassifyInput", {
  description: "Texts to classify.",
  fields: (t) => ({
    model: t.field({ type: ModelInput, required: true, description: "The model that chooses." }),
    prompts: t.stringList({
      description: `Texts before the label, at most ${limits.prompts}: "... It was". Give these or messages.`,
      validate: z.array(z.string()).min(1).max(limits.prompts).nullish(),
    }),
    messages: t.field({ type: [MessageInput], description: "A conversation whose next message is the label." }),
    labels: t.stringList({
      required: true,
      description: `The labels, 2 to ${limits.labelWords}, all different, each including a leading space if it needs one.`,
      validate: wordRules.labels,
    }),
    calibrationPrompt: t.string({
      description:
        "A prompt without content: a label's score is then how much likelier the text makes it than this prompt does.",
      validate: z.string().max(limits.calibrationLength).nullish(),
    }),
  }),
});

const ClassificationRef = builder.objectRef<Labelled>("Classification").implement({
  description: "The label of one text.",
  fields: (t) => ({
    label: t.exposeString("best", {
      nullable: true,
      description: "The label with the best score, the first of equal ones; null if no score is a number.",
    }),
    scores: t.field({
      type: [LabelScoreRef],
      description: "The labels in the order given, with their scores.",
      resolve: ({ scores }) => scores,
    }),
  }),
});

builder.mutationField("classify", (t) =>
  t.field({
    type: [ClassificationRef],
    description:
      "Chooses a label for each text, in their order, and waits for the answer. Changes nothing and keeps nothing, so it can be " +
      "repeated; it is refused as createCompletion is.",
    complexity: { field: queryCost * 10, multiplier: 10 },
    args: { input: t.arg({ type: ClassifyInput, required: true, description: "The texts." }) },
    resolve: (_root, { input }, context) => underInput(() => classify(context, input)),
  }),
);

async function classify(asking: Asking, input: typeof ClassifyInput.$inferInput): Promise<Labelled[]> {
  const { labels, calibrationPrompt = null } = input;
  const prompts = promptsOf(input);
  const answering = await answeringOfInput(asking.store, input.model, "input.model");
  const tasks = await checkChoice(asking, answering, { prompts, labels, calibrationPrompt });
  return together(asking, tasks, async (each, checked) => {
    const ended = await attended(each, answering, checked, { protocol: "GRAPHQL", keep: false });
    return labelScores(ended) ?? { scores: [], best: null };
  });
}

function promptsOf({ prompts, messages }: typeof ClassifyInput.$inferInput) {
  if ((prompts == null) === (messages == null)) throw refused("prompts", "give prompts or messages, and not both");
  if (messages != null) return [promptOf({ messages })];
  return (prompts ?? []).map((text, index) => ({ field: `prompts.${index}`, asked: { text } }));
}

const ScoreRowInput = builder.inputType("ScoreRowInput", {
  description: "A text whose tokens are scored after another one.",
  fields: (t) => ({
    prompt: t.string({ required: true, description: "The text before it." }),
    completion: t.string({
      required: true,
      description: "The text to score, including a leading space if it needs one.",
    }),
  }),
});

const ScoreInput = builder.inputType("ScoreInput", {
  description: "Texts to score.",
  fields: (t) => ({
    model: t.field({ type: ModelInput, required: true, description: "The model that scores." }),
    rows: t.field({
      type: [ScoreRowInput],
      required: true,
      description: `The texts, at most ${limits.scoredRows}.`,
      validate: z.array(z.unknown()).min(1).max(limits.scoredRows),
    }),
  }),
});

const ScoredRef = builder.objectRef<RowScore>("ScoredText").implement({
  description: "The score of one text.",
  fields: (t) => ({
    logProbability: t.float({
      nullable: true,
      description: "Sum of the log-probabilities of its tokens, in nats. Null for minus infinity.",
      resolve: (tokens) => finiteOrNull(tokens.reduce((sum, { logprob }) => sum + logprob, 0)),
    }),
    tokens: t.field({
      type: [TokenLogProbabilityRef],
      description: "Its tokens.",
      resolve: (tokens) => [...tokens],
    }),
  }),
});

builder.mutationField("score", (t) =>
  t.field({
    type: [ScoredRef],
    description:
      "How likely a model finds given texts, in their order; waits for the answer. Changes nothing and keeps nothing, so it can " +
      "be repeated; it is refused as createCompletion is.",
    complexity: { field: queryCost * 10, multiplier: 100 },
    args: { input: t.arg({ type: ScoreInput, required: true, description: "The texts." }) },
    resolve: (_root, { input }, context) =>
      underInput(async () => {
        const rows = input.rows.map(({ prompt, completion }, index) => ({
          prompt: { field: `rows.${index}.prompt`, asked: { text: prompt } },
          completion: { field: `rows.${index}.completion`, asked: completion },
        }));
        const answering = await answeringOfInput(context.store, input.model, "input.model");
        const checked = await checkScores(context, answering, { rows });
        const ended = await attended(context, answering, checked, { protocol: "GRAPHQL", keep: false });
        return [...(ended.scores ?? [])];
      }),
  }),
);
