/**
 * Every hyperparameter of a fine-tune, described once. From this table come the validation and its messages
 * (hyperparameters.ts), the API's types and descriptions, the page's form with its help, docs/SETTINGS.md, and the
 * hyperparameters in a log's header. It has no dependencies, so the page can load it.
 */
import { limits } from "./limits.ts";
import type { Setting } from "./setting.ts";

export const hyperparameterTable = {
  // What is trained
  method: {
    type: "choice",
    label: "Method",
    enum: "Method",
    enumMeaning: "What a fine-tune trains.",
    meaning: "What is trained.",
    values: {
      FULL: { label: "All weights", meaning: "All weights of the model, or those of the tensors named in `tensors`." },
      HEAD: {
        label: "Output head",
        meaning: "Only the output head. If it shares its weights with the input embeddings, both change.",
      },
      LORA: {
        label: "LoRA adapter",
        meaning:
          "A low-rank adapter (Hu et al. 2021) on linear layers whose own weights do not change. The result is an adapter that peft loads.",
        // This and the default of PREFIX: from the ranges that the MeZO paper searched.
        defaults: { epsilon: 1e-2 },
      },
      PREFIX: {
        label: "Prefix",
        meaning:
          "A prefix (Li and Liang 2021): keys and values in each layer that precede those of every sequence. They start as those of tokens drawn from the vocabulary. The result is an adapter that peft loads.",
        // Its rate is measured for a constant schedule (docs/decisions/0039-auto-from-a-radius.md).
        defaults: { epsilon: 1e-1, schedule: "CONSTANT" },
      },
    },
    default: "FULL",
    fixedByLog: true,
  },
  tensors: {
    type: "names",
    label: "Tensors, by the ends of their names",
    meaning:
      "Names of the tensors to train, or ends of names; `*` stands for any text between two dots, `**` for any text. All other tensors stay as they are.",
    whenEmpty: "all tensors",
    default: [],
    method: "FULL",
    fixedByLog: true,
  },
  loraRank: {
    type: "integer",
    label: "Rank",
    meaning: "Rank of the adapter's matrices.",
    min: 1,
    max: limits.loraRank,
    default: 8,
    method: "LORA",
    fixedByLog: true,
  },
  loraAlpha: {
    type: "number",
    label: "Alpha",
    meaning: "The adapter's output is multiplied by alpha / rank (Hu et al. 2021, section 4.1).",
    above: 0,
    max: 1_000,
    default: 16,
    method: "LORA",
    fixedByLog: true,
  },
  loraTargets: {
    type: "names",
    label: "Layers, by the ends of their names",
    meaning:
      "Ends of the names of the linear layers that get adapters, such as q_proj or layers.0.self_attn.q_proj; `*` stands for any text between two dots, `**` for any text.",
    whenEmpty: "the layers of queries and values",
    default: [],
    method: "LORA",
    fixedByLog: true,
  },
  prefixLength: {
    type: "integer",
    label: "Prefix length",
    meaning: "Length of the prefix. It takes this much of the model's context.",
    unit: "tokens",
    min: 1,
    max: limits.prefixLength,
    default: 5,
    method: "PREFIX",
    fixedByLog: true,
  },

  // What is minimised
  objective: {
    type: "choice",
    label: "Objective",
    enum: "Objective",
    enumMeaning: "What a fine-tune minimises.",
    meaning:
      "What is minimised. Only LOSS and CLASSIFICATION have a gradient; with the others, steps in which no loss differs change nothing and are counted (zeroSteps).",
    values: {
      LOSS: { label: "Loss of the completion", meaning: "The mean loss over the scored tokens." },
      CLASSIFICATION: {
        label: "Loss of the choice between candidates",
        meaning:
          "The cross-entropy of the right candidate under a softmax over the candidates' mean log-likelihoods. Candidates are those of the row, or the label words.",
      },
      ACCURACY: {
        label: "Accuracy",
        meaning: "The share of rows whose right candidate does not have the best score: 1 - accuracy.",
      },
      F1: {
        label: "F1 of generated answers",
        meaning: "1 - F1 between the words of the generated answer and those of the closest accepted answer.",
        needs: { answerTokens: 1 },
      },
      EXACT_MATCH: {
        label: "Exact match of generated answers",
        meaning: "The share of generated answers that match no accepted answer.",
        needs: { answerTokens: 1 },
      },
    },
    default: "LOSS",
  },
  answerTokens: {
    type: "integer",
    label: "Maximum answer length",
    meaning:
      "Maximum length of an answer, which the model generates greedily and which ends at a line break. Every evaluation scores answers by F1 and exact match. 0 generates none.",
    unit: "tokens",
    min: 0,
    max: limits.answerTokens,
    default: 0,
    unusedWithout: "answers",
  },

  // Rows
  truncate: {
    type: "choice",
    label: "Rows that are too long",
    enum: "Truncation",
    enumMeaning: "What happens to rows that do not fit the model's context.",
    meaning:
      "What happens to rows that are longer than the model's context, less a prefix. Only prompts are cut, until the row fits with its longest candidate; a row whose scored part does not fit alone is refused. It holds for training, validation and test rows and for the in-context baseline.",
    values: {
      REFUSE: { label: "Refuse them", meaning: "The run is refused, with the lines of these rows." },
      START: {
        label: "Cut the start of the prompt",
        meaning:
          "The first tokens of the prompt are left out, after its special tokens. Of a conversation, the first exchanges are left out whole, answers included, but not the system's turns and the last question that is answered.",
      },
      END: {
        label: "Cut the end of the prompt",
        meaning:
          "The last tokens of the prompt are left out. Of a conversation, the exchanges before the last question that is answered are left out whole, the latest first.",
      },
    },
    default: "REFUSE",
    inLogHeader: "changed",
    late: true,
  },

  // Steps
  steps: {
    type: "integer",
    label: "Steps",
    meaning: "Steps to train. Each step adds one entry to the log for each of its estimates.",
    min: 1,
    max: limits.steps,
    default: 4_000,
    inLogHeader: "always",
  },
  batchSize: {
    type: "integer",
    label: "Batch size",
    meaning: "Rows measured in one pass.",
    unit: "rows",
    min: 1,
    max: limits.batchSize,
    default: 16,
    inLogHeader: "always",
  },
  accumulate: {
    type: "integer",
    label: "Batches per step",
    meaning: "Batches of a step, measured one after the other. A step is that of a larger batch, in the memory of one.",
    min: 1,
    max: limits.accumulate,
    default: 1,
    inLogHeader: "changed",
  },

  // How the gradient is estimated
  estimator: {
    type: "choice",
    label: "Estimator",
    enum: "Estimator",
    enumMeaning: "How the gradient is estimated from losses.",
    meaning: "How the gradient along random noise is estimated from losses.",
    values: {
      SPSA: {
        label: "Two-sided (SPSA)",
        meaning:
          "From the losses on both sides of the weights: two forward passes per estimate, without an error of first order.",
      },
      ONE_SIDED: {
        label: "One-sided",
        meaning:
          "From the loss on one side and the loss without noise: one forward pass per estimate and one more per step, with an error that grows with the curvature.",
      },
      FZOO: {
        label: "FZOO",
        meaning:
          "One-sided, divided by the standard deviation of the step's losses (arXiv 2506.09034): fewer forward passes. Its learning rates have another scale, 1 to 10 times epsilon.",
        defaults: { estimates: 8 },
        needs: { estimates: 2, estimatesAtEnd: 2 },
      },
    },
    default: "FZOO",
    absent: "SPSA",
    inLogHeader: "changed",
  },
  estimates: {
    type: "integer",
    label: "Estimates per step",
    meaning: "Estimates of the gradient in a step, each along its own noise. Their mean is applied (n-SPSA).",
    min: 1,
    max: limits.estimates,
    default: 1,
    inLogHeader: "changed",
  },
  estimatesAtEnd: {
    type: "integer",
    label: "Estimates in the last step",
    meaning: "Estimates in the last step; their number changes linearly up to it. 0 keeps the number constant.",
    min: 0,
    max: limits.estimates,
    default: 0,
    inLogHeader: "changed",
  },

  // How far a step goes
  learningRate: {
    type: "number",
    label: "Learning rate (number or AUTO)",
    meaning:
      "Factor of the projected gradient (MeZO, Algorithm 1). AUTO, the default, chooses it before the first step, from how far along noise losses stay linear; pickedRate is what it chose.",
    above: 0,
    max: 10,
    auto: true,
    // Published rates are those of MeZO's own estimator and schedule.
    defaultsWithNumber: { estimator: "SPSA", schedule: "CONSTANT" },
    default: "AUTO",
    inLogHeader: "always",
  },
  schedule: {
    type: "choice",
    label: "Schedule of the learning rate",
    enum: "Schedule",
    enumMeaning: "How the learning rate changes after the warm-up.",
    meaning: "How the learning rate changes after the warm-up.",
    values: {
      CONSTANT: { label: "Constant", meaning: "It stays the same." },
      LINEAR: { label: "Linear", meaning: "It falls linearly, to 0 after the last step." },
      COSINE: { label: "Cosine", meaning: "It falls along half a cosine, to 0 after the last step." },
    },
    default: "LINEAR",
    absent: "CONSTANT",
    inLogHeader: "changed",
  },
  warmupSteps: {
    type: "integer",
    label: "Warm-up",
    meaning: "Steps in which the learning rate rises linearly to its full value.",
    unit: "steps",
    min: 0,
    max: limits.steps,
    atMost: "steps",
    default: 0,
    inLogHeader: "changed",
  },
  clipGradient: {
    type: "number",
    label: "Clip gradient at",
    meaning: "Projected gradients are clipped to plus or minus this value. 0 disables clipping.",
    min: 0,
    max: 1e9,
    default: 0,
    inLogHeader: "changed",
  },
  epsilon: {
    type: "number",
    label: "Epsilon",
    meaning: "Size of the perturbation, in standard deviations of the noise.",
    min: 1e-6,
    max: 1,
    default: 1e-3,
    inLogHeader: "always",
  },
  weightDecay: {
    type: "number",
    label: "Weight decay",
    meaning: "Decoupled weight decay: each step multiplies the trained weights by 1 - learningRate * weightDecay.",
    min: 0,
    max: 100,
    default: 0,
    inLogHeader: "always",
  },

  // Numbers
  noise: {
    type: "choice",
    label: "Noise",
    enum: "NoiseKind",
    enumMeaning: "Distribution of the perturbation. Both have mean 0 and variance 1.",
    meaning: "Distribution of the perturbation.",
    values: {
      NORMAL: {
        label: "Normal (centred binomial)",
        meaning: "A centred binomial with 17 levels, up to 4 standard deviations: close to a normal distribution.",
      },
      RADEMACHER: { label: "Rademacher (+1 or -1)", meaning: "+1 or -1 with equal probability: the cheapest." },
    },
    default: "RADEMACHER",
    fixedByLog: true,
  },
  precision: {
    type: "choice",
    label: "Precision of products",
    enum: "Precision",
    enumMeaning: "Number format of multiplications.",
    meaning: "Number format of multiplications. Sums are float32 in any case, and stored weights keep their format.",
    values: {
      FLOAT32: { label: "float32", meaning: "Single precision, on every device." },
      BFLOAT16: {
        label: "bfloat16 (faster where the processor supports it)",
        meaning:
          "Factors are rounded to 8 bits of mantissa: faster on processors that multiply bfloat16. The run waits for a worker with such a processor.",
      },
    },
    default: "FLOAT32",
  },
  seed: {
    type: "integer",
    label: "Seed",
    meaning: "The seeds of the noise and the order of the rows derive from it.",
    min: 0,
    max: 0xffff_ffff,
    default: 0,
  },

  // Evaluations and checkpoints
  evaluateEvery: {
    type: "integer",
    label: "Evaluate every",
    meaning: "Steps between two evaluations of the validation rows. 0 evaluates only before and after training.",
    unit: "steps",
    min: 0,
    max: limits.steps,
    default: 0,
    unusedWithout: "validation",
  },
  bestMetric: {
    type: "choice",
    label: "Best evaluation by",
    enum: "BestMetric",
    enumMeaning: "Which metric decides which evaluation is best. The loss decides between equal ones.",
    meaning:
      "Which metric decides which evaluation of the validation rows is best. The best gets a checkpoint, `patience` counts from it, and the test rows are measured at it.",
    values: {
      AUTO: {
        label: "F1, accuracy or loss, the first available",
        meaning: "F1 of generated answers if there are any, else accuracy if rows have candidates, else the loss.",
      },
      LOSS: { label: "Loss", meaning: "The lowest loss." },
      ACCURACY: { label: "Accuracy", meaning: "The highest accuracy; the lowest loss if no row has candidates." },
      F1: {
        label: "F1 of generated answers",
        meaning: "The highest F1 of generated answers.",
        needs: { answerTokens: 1 },
      },
      EXACT_MATCH: {
        label: "Exact match of generated answers",
        meaning: "The highest share of generated answers that match an accepted one.",
        needs: { answerTokens: 1 },
      },
    },
    default: "AUTO",
    needsValidation: true,
  },
  patience: {
    type: "integer",
    label: "Patience",
    meaning: "Evaluations in a row without a new best after which the run stops early. 0 disables early stopping.",
    unit: "evaluations",
    min: 0,
    max: limits.steps,
    default: 0,
    needsValidation: true,
    needs: { evaluateEvery: 1 },
  },
  inContextRows: {
    type: "integer",
    label: "Examples in the in-context baseline",
    meaning:
      "Training rows before each validation prompt, as many as fit, in a baseline of in-context learning that is measured before the first step. 0 measures no such baseline.",
    unit: "rows",
    min: 0,
    max: limits.inContextRows,
    default: 0,
    needsValidation: true,
  },
  linearProbe: {
    type: "switch",
    label: "Measure a linear probe as a baseline",
    meaning:
      "Whether to fit a linear classifier to the base model's hidden states of the training rows, and to measure it on the validation rows. It needs label words, or the same candidates in every row.",
    default: false,
    needsValidation: true,
  },
  whenDiverged: {
    type: "choice",
    label: "When the run diverges",
    enum: "WhenDiverged",
    enumMeaning: "What happens when a run diverges.",
    meaning:
      "What happens when the run diverges: it has become clearly worse than it started, or than it was at its best, by its training losses or its validation rows.",
    values: {
      END: {
        label: "It ends",
        meaning: "It ends as FAILED, with the error DIVERGED. Its log, checkpoints and evaluations stay usable.",
      },
      GO_BACK: {
        label: "It goes back to its best",
        meaning: `It ends as with END, and a new run takes its remaining steps from its best checkpoint, or from where it started, at a third of its learning rate; at most ${limits.goBacks} times in a row. Events (WENT_BACK) of both runs say so.`,
      },
      GO_ON: { label: "It goes on", meaning: "It goes on to its last step; an event (DIVERGED) says so." },
    },
    default: "END",
    late: true,
  },
  maxSeconds: {
    type: "integer",
    label: "Longest training",
    meaning:
      "Seconds of training after which the run ends as after its last step, with a checkpoint; an event (TIME_LIMIT) says so. Steps, evaluations and checkpoints count, by whichever worker; waiting, loading and pauses do not. 0 sets no limit.",
    unit: "seconds",
    min: 0,
    max: limits.trainingSeconds,
    default: 0,
    late: true,
  },
  checkpointEvery: {
    type: "integer",
    label: "Checkpoint every",
    meaning:
      "Steps between two checkpoints. 0 makes one after the last step only. Any step can be rebuilt in any case.",
    unit: "steps",
    min: 0,
    max: limits.steps,
    default: 0,
  },
} as const satisfies Record<string, Setting>;

type Table = typeof hyperparameterTable;
export type HyperparameterName = keyof Table;

type ValueOf<One> = One extends { readonly values: infer Values }
  ? keyof Values
  : One extends { readonly auto: true }
    ? number | "AUTO"
    : One extends { readonly type: "names" }
      ? readonly string[]
      : One extends { readonly type: "switch" }
        ? boolean
        : number;

export type Hyperparameters = { [Name in HyperparameterName]: ValueOf<Table[Name]> };

export type MethodKind = Hyperparameters["method"];
export type ObjectiveKind = Hyperparameters["objective"];
export type ScheduleKind = Hyperparameters["schedule"];
export type EstimatorKind = Hyperparameters["estimator"];
export type NoiseKind = Hyperparameters["noise"];
export type BestMetric = Hyperparameters["bestMetric"];
export type PrecisionKind = Hyperparameters["precision"];
export type Truncation = Hyperparameters["truncate"];

/** The table's rows by name, each as what it has in common with the others of its type. */
export const hyperparameterEntries = Object.entries(hyperparameterTable) as readonly (readonly [
  HyperparameterName,
  Setting,
])[];
