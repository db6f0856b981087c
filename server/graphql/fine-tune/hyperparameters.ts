/** Hyperparameters in the API. Ranges, defaults and their texts come from schema/hyperparameters.ts. */
import { z } from "zod";
import type {
  BestMetric,
  EstimatorKind,
  Hyperparameters,
  MethodKind,
  NoiseKind as Kind,
  ObjectiveKind,
  PrecisionKind,
  ScheduleKind,
} from "../../../schema/hyperparameters.ts";
import { hyperparameterFields, hyperparametersSchema, methodDefaults } from "../../../schema/hyperparameters.ts";
import { invalidArgument } from "../../errors.ts";
import { builder } from "../builder.ts";

type Name = keyof Hyperparameters;

const meanings: Record<Name, string> = {
  method: "What is trained.",
  tensors:
    "Names of tensors, or ends of names (* stands for any text between two dots, ** for any text), that method FULL trains; others stay as they are. With none, all are trained.",
  loraRank: "Rank of the adapter's matrices; of method LORA alone.",
  loraAlpha: "The adapter's output is multiplied by alpha / rank; of method LORA alone.",
  loraTargets:
    "Ends of names of the linear layers that get adapters (q_proj, layers.0.self_attn.q_proj; * stands for any text between two dots, ** for any text); of method LORA alone. With none, those of queries and values.",
  prefixLength: "Tokens whose place before every sequence the prefix takes; of method PREFIX alone.",
  objective:
    "What is lowered. All but LOSS and CLASSIFICATION have no gradient; steps that measure no difference are counted (zeroSteps).",
  answerTokens:
    "Most tokens of an answer that the model writes to a prompt, greedily, up to a line's end; answers are judged by F1 and exact match in every evaluation, and needed by objectives F1 and EXACT_MATCH. 0 writes none.",
  steps: "SPSA steps. Each measures the loss twice, and adds one entry to the log, for each of its estimates.",
  batchSize: "Rows measured at once.",
  accumulate:
    "Batches of one step, measured one after the other: the step is that of a batch so many times as large, in the memory of one.",
  estimator: "How the loss is measured along the noise.",
  estimates: "Estimates of the gradient in one step, each along noise of its own; their mean is applied (n-SPSA).",
  estimatesAtEnd: "Estimates of the last step, to which their number goes in a line; 0 keeps it as it is.",
  schedule: "How the learning rate goes on after the warm-up.",
  warmupSteps: "Steps in which the learning rate rises in a line to itself.",
  clipGradient: "Projected gradients beyond plus or minus this are cut to it; 0 cuts none.",
  learningRate:
    "Factor of the projected gradient (MeZO, Algorithm 1), or AUTO, which picks it by the first projected gradients, for FZOO by epsilon; pickedRate says what was picked.",
  epsilon: "Size of the perturbation, in standard deviations of the noise.",
  weightDecay: "Decoupled weight decay: a step multiplies trained weights by 1 - learningRate * weightDecay.",
  noise: "Distribution of the perturbation.",
  precision: "Number format that products are multiplied in; sums and stored weights are not touched by it.",
  seed: "Run seed: seeds of the noise and the order of the rows derive from it.",
  evaluateEvery: "Steps between two evaluations on the validation rows; 0 evaluates before and after only.",
  bestMetric:
    "What says which evaluation of the validation rows is best, for the checkpoint that it gets, for patience and for the test rows.",
  patience:
    "Evaluations in a row that are no better than the best before the run ends early; 0 goes on to the last step. Needs a validation dataset and evaluateEvery.",
  inContextRows:
    "Training rows in front of each validation prompt, as many as fit, in a baseline of in-context learning that is measured before the first step; 0 measures none. Needs a validation dataset.",
  linearProbe:
    "Whether a linear classifier, fitted to the base model's hidden states of the training rows, is measured on the validation rows: a baseline. Needs a validation dataset, and label words or the same candidates in every row.",
  checkpointEvery: "Steps between two named checkpoints; 0 names the last step only.",
};

const Method = builder.enumType("Method", {
  description: "What a fine-tune trains.",
  values: {
    FULL: { description: "Every weight of the model, or of the tensors that are named." },
    HEAD: {
      description:
        "The output head alone. Where it is tied to the table of the embeddings, that table changes in both places.",
    },
    LORA: {
      description:
        "A low-rank adapter (Hu et al. 2021) beside linear layers, whose own weights stay as they are. What comes of it is an adapter that peft loads.",
    },
    PREFIX: {
      description:
        "A prefix (Li and Liang 2021): keys and values in each layer, before those of every sequence. It begins with those of tokens drawn from the vocabulary; what comes of it is an adapter that peft loads.",
    },
  } satisfies Record<MethodKind, { description: string }>,
});

const ObjectiveRef = builder.enumType("Objective", {
  description: "What a fine-tune lowers.",
  values: {
    LOSS: { description: "The mean loss over the scored tokens." },
    CLASSIFICATION: {
      description:
        "The cross-entropy of the right candidate under a softmax over the mean log-likelihoods of all candidates: a row's own, or the label words.",
    },
    ACCURACY: { description: "The share of rows whose right candidate has not the best score." },
    F1: { description: "1 - F1 of the words of the answers that the model writes, against the best accepted one." },
    EXACT_MATCH: { description: "The share of answers that the model writes which are no accepted one." },
  } satisfies Record<ObjectiveKind, { description: string }>,
});

const Schedule = builder.enumType("Schedule", {
  description: "How the learning rate goes on after the warm-up.",
  values: {
    CONSTANT: { description: "As it is." },
    LINEAR: { description: "Down to 0 behind the last step, along a line." },
    COSINE: { description: "Down to 0 behind the last step, along half a cosine." },
  } satisfies Record<ScheduleKind, { description: string }>,
});

const EstimatorRef = builder.enumType("Estimator", {
  description: "How the loss is measured along the noise.",
  values: {
    SPSA: {
      description: "On both sides of the weights: two forward passes an estimate, and no error of the first order.",
    },
    ONE_SIDED: {
      description:
        "On one side, and once a step without noise: one forward pass an estimate and one more, with the curvature as an error.",
    },
    FZOO: {
      description:
        "One-sided, and divided by the spread of a step's losses (arXiv 2506.09034), of 2 estimates or more: fewer forward passes, and a learning rate of another scale, 1 to 10 times epsilon. With this, estimates are 4 and learningRate is AUTO when left out.",
    },
  } satisfies Record<EstimatorKind, { description: string }>,
});

const NoiseKind = builder.enumType("NoiseKind", {
  description: "Distribution of the perturbation; mean 0 and variance 1 both.",
  values: {
    NORMAL: { description: "17 levels of a centred binomial, up to 4 standard deviations: close to a normal." },
    RADEMACHER: { description: "+1 or -1 with equal chance. Cheapest, and the default." },
  } satisfies Record<Kind, { description: string }>,
});

const BestMetricRef = builder.enumType("BestMetric", {
  description: "What says which evaluation is best; of equal ones it is the loss.",
  values: {
    AUTO: { description: "F1 of written answers, then accuracy, where there is one; else the loss." },
    LOSS: { description: "The lowest loss." },
    ACCURACY: { description: "The highest accuracy; the loss for rows without candidates." },
    F1: { description: "The highest F1 of written answers." },
    EXACT_MATCH: { description: "The most answers that are an accepted one." },
  } satisfies Record<BestMetric, { description: string }>,
});

export const Precision = builder.enumType("Precision", {
  description: "Number format of multiplication.",
  values: {
    FLOAT32: { description: "Single precision, on every device." },
    BFLOAT16: {
      description:
        "Factors are rounded to 8 bits of mantissa, products summed up in single precision: faster where the worker's processor multiplies so. A run on a worker that cannot fails with DEVICE_UNAVAILABLE.",
    },
  } satisfies Record<PrecisionKind, { description: string }>,
});

export const HyperparametersRef = builder.objectRef<Hyperparameters>("Hyperparameters").implement({
  description: "The settings of a fine-tune, defaults filled in.",
  fields: (t) => ({
    method: t.expose("method", { type: Method, description: meanings.method }),
    tensors: t.exposeStringList("tensors", { description: meanings.tensors }),
    loraRank: t.exposeInt("loraRank", { description: meanings.loraRank }),
    loraAlpha: t.exposeFloat("loraAlpha", { description: meanings.loraAlpha }),
    loraTargets: t.exposeStringList("loraTargets", { description: meanings.loraTargets }),
    prefixLength: t.exposeInt("prefixLength", { description: meanings.prefixLength }),
    objective: t.expose("objective", { type: ObjectiveRef, description: meanings.objective }),
    answerTokens: t.exposeInt("answerTokens", { description: meanings.answerTokens }),
    steps: t.exposeInt("steps", { description: meanings.steps }),
    batchSize: t.exposeInt("batchSize", { description: meanings.batchSize }),
    accumulate: t.exposeInt("accumulate", { description: meanings.accumulate }),
    estimator: t.expose("estimator", { type: EstimatorRef, description: meanings.estimator }),
    estimates: t.exposeInt("estimates", { description: meanings.estimates }),
    estimatesAtEnd: t.exposeInt("estimatesAtEnd", { description: meanings.estimatesAtEnd }),
    learningRate: t.expose("learningRate", { type: "LearningRate", description: meanings.learningRate }),
    schedule: t.expose("schedule", { type: Schedule, description: meanings.schedule }),
    warmupSteps: t.exposeInt("warmupSteps", { description: meanings.warmupSteps }),
    clipGradient: t.exposeFloat("clipGradient", { description: meanings.clipGradient }),
    epsilon: t.exposeFloat("epsilon", { description: meanings.epsilon }),
    weightDecay: t.exposeFloat("weightDecay", { description: meanings.weightDecay }),
    noise: t.expose("noise", { type: NoiseKind, description: meanings.noise }),
    precision: t.expose("precision", { type: Precision, description: meanings.precision }),
    seed: t.expose("seed", { type: "SafeInt", description: meanings.seed }),
    evaluateEvery: t.exposeInt("evaluateEvery", { description: meanings.evaluateEvery }),
    bestMetric: t.expose("bestMetric", { type: BestMetricRef, description: meanings.bestMetric }),
    patience: t.exposeInt("patience", { description: meanings.patience }),
    inContextRows: t.exposeInt("inContextRows", { description: meanings.inContextRows }),
    linearProbe: t.exposeBoolean("linearProbe", { description: meanings.linearProbe }),
    checkpointEvery: t.exposeInt("checkpointEvery", { description: meanings.checkpointEvery }),
  }),
});

export const HyperparametersInput = builder.inputType("HyperparametersInput", {
  description: "The settings of a fine-tune. What is left out takes its default.",
  fields: (t) => ({
    method: t.field({ type: Method, description: textOf("method") }),
    tensors: t.stringList({ description: textOf("tensors") }),
    loraRank: t.int({ description: textOf("loraRank") }),
    loraAlpha: t.float({ description: textOf("loraAlpha") }),
    loraTargets: t.stringList({ description: textOf("loraTargets") }),
    prefixLength: t.int({ description: textOf("prefixLength") }),
    objective: t.field({ type: ObjectiveRef, description: textOf("objective") }),
    answerTokens: t.int({ description: textOf("answerTokens") }),
    steps: t.int({ description: textOf("steps") }),
    batchSize: t.int({ description: textOf("batchSize") }),
    accumulate: t.int({ description: textOf("accumulate") }),
    estimator: t.field({ type: EstimatorRef, description: textOf("estimator") }),
    estimates: t.int({ description: textOf("estimates") }),
    estimatesAtEnd: t.int({ description: textOf("estimatesAtEnd") }),
    learningRate: t.field({ type: "LearningRate", description: textOf("learningRate") }),
    schedule: t.field({ type: Schedule, description: textOf("schedule") }),
    warmupSteps: t.int({ description: textOf("warmupSteps") }),
    clipGradient: t.float({ description: textOf("clipGradient") }),
    epsilon: t.float({ description: textOf("epsilon") }),
    weightDecay: t.float({ description: textOf("weightDecay") }),
    noise: t.field({ type: NoiseKind, description: textOf("noise") }),
    precision: t.field({ type: Precision, description: textOf("precision") }),
    seed: t.field({ type: "SafeInt", description: textOf("seed") }),
    evaluateEvery: t.int({ description: textOf("evaluateEvery") }),
    bestMetric: t.field({ type: BestMetricRef, description: textOf("bestMetric") }),
    patience: t.int({ description: textOf("patience") }),
    inContextRows: t.int({ description: textOf("inContextRows") }),
    linearProbe: t.boolean({ description: textOf("linearProbe") }),
    checkpointEvery: t.int({ description: textOf("checkpointEvery") }),
  }),
});

/** @throws INVALID_ARGUMENT naming each wrong setting, its range and what it was. */
export function parseHyperparameters(value: object, under: readonly string[]): Hyperparameters {
  const given = Object.fromEntries(Object.entries(value).filter(([, setting]) => setting != null));
  const parsed = hyperparametersSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return { path: issue.path, message: `must be ${rangeOf(name)}; it is ${String(given[name])}` };
  });
  throw invalidArgument(issues, under);
}

interface Rule {
  readonly type?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Rule[];
  readonly const?: string;
  readonly maxItems?: number;
  readonly items?: { readonly maxLength?: number };
}

function rules(): Record<string, Rule> {
  return (z.toJSONSchema(hyperparameterFields, { io: "input" }).properties ?? {}) as Record<string, Rule>;
}

function rangeOf(name: string): string {
  return rangeInWords(rules()[name]);
}

function rangeInWords(rule: Rule | undefined): string {
  if (rule?.anyOf) return rule.anyOf.map(rangeInWords).join(", or ");
  if (rule?.const !== undefined) return rule.const;
  if (rule?.type === "boolean") return "true or false";
  if (rule?.enum) return rule.enum.join(" or ");
  if (rule?.type === "array") return `at most ${rule.maxItems} names of 1 to ${rule.items?.maxLength} characters`;
  const kind = rule?.type === "integer" ? "a whole number" : "a number";
  const from = rule?.exclusiveMinimum === undefined ? `from ${rule?.minimum}` : `above ${rule.exclusiveMinimum} and up`;
  return `${kind} ${from} to ${rule?.maximum}`;
}

function textOf(name: Name): string {
  const standard = String(rules()[name]?.default) || "none";
  const own = Object.entries(methodDefaults).flatMap(([method, { [name]: value }]) =>
    value === undefined ? [] : `${String(value)} for ${method}`,
  );
  const others = own.length > 0 ? ` (${own.join(", ")})` : "";
  return `${meanings[name]} Must be ${rangeOf(name)}; ${standard}${others} when left out.`;
}
