/**
 * The settings of one fine-tune: ranges, defaults and units in one place. The API, the command line and the worker
 * all read this schema.
 */
import { z } from "zod";
import { limits } from "./limits.ts";

export const methods = ["FULL", "HEAD", "LORA", "PREFIX"] as const;
export type MethodKind = (typeof methods)[number];

export const objectives = ["LOSS", "CLASSIFICATION", "ACCURACY", "F1", "EXACT_MATCH"] as const;
export type ObjectiveKind = (typeof objectives)[number];

export const schedules = ["CONSTANT", "LINEAR", "COSINE"] as const;
export type ScheduleKind = (typeof schedules)[number];

export const estimators = ["SPSA", "ONE_SIDED", "FZOO"] as const;
export type EstimatorKind = (typeof estimators)[number];

export const noiseKinds = ["NORMAL", "RADEMACHER"] as const;
export type NoiseKind = (typeof noiseKinds)[number];

export const bestMetrics = ["AUTO", "LOSS", "ACCURACY", "F1", "EXACT_MATCH"] as const;
export type BestMetric = (typeof bestMetrics)[number];

export const precisions = ["FLOAT32", "BFLOAT16"] as const;
export type PrecisionKind = (typeof precisions)[number];

/** The settings one by one, with the defaults of FULL. */
export const hyperparameterFields = z.strictObject({
  /** What is trained: the weights of the model, its output head alone, a LoRA adapter beside some of them, or a prefix. */
  method: z.enum(methods).default("FULL"),
  /** Names or ends of names of the tensors that FULL trains; none given: all of them. */
  tensors: z.array(z.string().min(1).max(limits.nameLength)).max(limits.patterns).default([]),
  /** Rank of the adapter's matrices. This and the next two are of LORA alone. */
  loraRank: z.int().min(1).max(limits.loraRank).default(8),
  /** The adapter's output is multiplied by alpha / rank (Hu et al. 2021, section 4.1). */
  loraAlpha: z.number().positive().max(1_000).default(16),
  /** Ends of names of the linear layers that get adapters; none given: those of queries and values. */
  loraTargets: z.array(z.string().min(1).max(limits.nameLength)).max(limits.patterns).default([]),
  /** Keys and values before every sequence, in tokens; of PREFIX alone. */
  prefixLength: z.int().min(1).max(limits.prefixLength).default(5),
  /** What is lowered: the loss of what is scored, that of a choice between candidates, or the errors of either (engine/task.ts). */
  objective: z.enum(objectives).default("LOSS"),
  /** Most tokens of an answer that the model writes, to be judged by F1 and exact match; 0 writes none. */
  answerTokens: z.int().min(0).max(limits.answerTokens).default(0),
  /** SPSA steps; each logs one pair for each of its estimates. */
  steps: z.int().min(1).max(limits.steps).default(1_000),
  /** Rows measured at once. */
  batchSize: z.int().min(1).max(limits.batchSize).default(16),
  /** Batches of one step, measured one after the other: the step is that of a batch so many times as large. */
  accumulate: z.int().min(1).max(limits.accumulate).default(1),
  /**
   * How the loss is measured along noise: on both sides, or on one and without noise, which all estimates of a step share; FZOO
   * does the latter, and divides what comes of it by the spread of the losses (arXiv 2506.09034).
   */
  estimator: z.enum(estimators).default("SPSA"),
  /** Estimates of the gradient in a step, each along noise of its own; their mean is applied (n-SPSA). */
  estimates: z.int().min(1).max(limits.estimates).default(1),
  /** Estimates of the last step, to which their number rises or falls in a line; 0 keeps it. */
  estimatesAtEnd: z.int().min(0).max(limits.estimates).default(0),
  /** Factor of the projected gradient (MeZO, Algorithm 1); AUTO picks it by the first gradients, for FZOO by epsilon (engine/learning-rate.ts). The default is the paper's for the method (methodDefaults). */
  learningRate: z.union([z.number().positive().max(10), z.literal("AUTO")]).default(1e-6),
  /** How the rate goes on after the warm-up: as it is, or down to 0 at the last step along a line or half a cosine. */
  schedule: z.enum(schedules).default("CONSTANT"),
  /** Steps in which the rate rises in a line from 0 to itself. */
  warmupSteps: z.int().min(0).max(limits.steps).default(0),
  /** Projected gradients beyond plus or minus this are cut to it; 0 cuts none. */
  clipGradient: z.number().min(0).max(1e9).default(0),
  /** Size of the perturbation, in units of the noise's standard deviation. */
  epsilon: z.number().min(1e-6).max(1).default(1e-3),
  /** Decoupled weight decay: each step multiplies trained weights by 1 - learningRate * weightDecay. */
  weightDecay: z.number().min(0).max(100).default(0),
  noise: z.enum(noiseKinds).default("RADEMACHER"),
  /** Number format that products are multiplied in; sums are float32 in any case, and stored weights keep their own. */
  precision: z.enum(precisions).default("FLOAT32"),
  /** Run seed: seeds of the noise and the order of the rows derive from it. Unsigned 32 bits. */
  seed: z.int().min(0).max(0xffff_ffff).default(0),
  /** Steps between two measurements of the validation metric; 0 measures before and after only. */
  evaluateEvery: z.int().min(0).max(limits.steps).default(0),
  /** What says which evaluation is best: AUTO takes F1 of answers, accuracy, or the loss, the first of them that there is. */
  bestMetric: z.enum(bestMetrics).default("AUTO"),
  /** Evaluations in a row that are no better than the best before the run ends early; 0 goes on to the last step. */
  patience: z.int().min(0).max(limits.steps).default(0),
  /** Training rows in front of each validation prompt in a baseline of in-context learning; 0 measures none. */
  inContextRows: z.int().min(0).max(limits.inContextRows).default(0),
  /** Whether a linear classifier on the base model's hidden states is measured on the validation rows, as a baseline. */
  linearProbe: z.boolean().default(false),
  /** Steps between two named checkpoints; 0 names the last one only. Every step can be rebuilt in any case. */
  checkpointEvery: z.int().min(0).max(limits.steps).default(0),
});

/** What a method changes of the defaults: from the ranges that the MeZO paper searched for it. */
export const methodDefaults: Readonly<Record<MethodKind, Partial<Hyperparameters>>> = {
  FULL: {},
  HEAD: {},
  LORA: { learningRate: 1e-4, epsilon: 1e-2 },
  PREFIX: { learningRate: 1e-2, epsilon: 1e-1 },
};

/** What an estimator changes of them: a rate of FZOO is of another scale, and a spread needs several losses. */
export const estimatorDefaults: Readonly<Partial<Record<EstimatorKind, Partial<Hyperparameters>>>> = {
  FZOO: { estimates: 4, learningRate: "AUTO" },
};

/** All settings, what is left out filled in for the method that is asked for. */
export const hyperparametersSchema = z.preprocess((given) => {
  if (typeof given !== "object" || given === null) return given;
  const method = methods.find((known) => "method" in given && given.method === known) ?? "FULL";
  const estimator = estimators.find((known) => "estimator" in given && given.estimator === known) ?? "SPSA";
  return { ...methodDefaults[method], ...estimatorDefaults[estimator], ...given };
}, hyperparameterFields);

export type Hyperparameters = z.output<typeof hyperparameterFields>;

/** Tokens of the model's context that a prefix takes up. */
export function contextTaken({ method, prefixLength }: Pick<Hyperparameters, "method" | "prefixLength">): number {
  return method === "PREFIX" ? prefixLength : 0;
}
