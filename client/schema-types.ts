// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
/** What says which evaluation is best; of equal ones it is the loss. */
export type BestMetric =
  /** The highest accuracy; the loss for rows without candidates. */
  | 'ACCURACY'
  /** F1 of written answers, then accuracy, where there is one; else the loss. */
  | 'AUTO'
  /** The most answers that are an accepted one. */
  | 'EXACT_MATCH'
  /** The highest F1 of written answers. */
  | 'F1'
  /** The lowest loss. */
  | 'LOSS';

/** More steps for a run that has ended. */
export type ContinueFineTuneInput = {
  /** The run. */
  readonly fineTune: string;
  /** As of createFineTune. */
  readonly idempotencyKey?: string | null | undefined;
  /** Name for people, 1 to 200 characters; the run's own when left out. */
  readonly name?: string | null | undefined;
  /** Steps more, 1 to 1000000. */
  readonly steps: number;
};

/** A new fine-tune. */
export type CreateFineTuneInput = {
  /** Name of a base model; needed unless `from` is given. */
  readonly baseModel?: string | null | undefined;
  /** A prompt that says nothing of a row. Candidates are then judged by how much likelier a row's prompt makes them than this one does. */
  readonly calibrationPrompt?: string | null | undefined;
  /** Id of the dataset to learn from; needed unless `from` is given. */
  readonly dataset?: string | null | undefined;
  /** Id of a checkpoint to go on from instead of a base model: a fork. What is left out is then as in its run, and the method, its settings and the noise must be. */
  readonly from?: string | null | undefined;
  /** Settings that differ from the defaults. */
  readonly hyperparameters?: HyperparametersInput | null | undefined;
  /** Your name for this wish, 1 to 200 characters. Creating again with the same key and input answers with the first run; with another input it is a CONFLICT. */
  readonly idempotencyKey?: string | null | undefined;
  /** Whether the last checkpoint's weights are stored as they were trained, for download at once. Without it they are rebuilt from the log when somebody asks (materialiseCheckpoint). False when left out. */
  readonly keepWeights?: boolean | null | undefined;
  /** Candidate completions, at most 64, among which accuracy is judged. Leave out to measure the loss alone. */
  readonly labelWords?: ReadonlyArray<string> | null | undefined;
  /** Name for people, 1 to 200 characters. */
  readonly name: string;
  /** Id of a dataset that the base model is tested on, and the best place of the run when it ends (the last one, without a validation dataset). */
  readonly testDataset?: string | null | undefined;
  /** Id of a dataset to evaluate on. Without one there are no evaluations. */
  readonly validationDataset?: string | null | undefined;
};

/** A task whose published rows Steplog can convert. The query datasetPresets describes each. */
export type DatasetPreset =
  /** Fields passage, question, label (or answer). */
  | 'BOOLQ'
  /** Fields premise, hypothesis, label. */
  | 'CB'
  /** Fields premise, choice1, choice2, question (cause or effect), label. */
  | 'COPA'
  /** Fields passage, question, answers_spans.spans. */
  | 'DROP'
  /** Fields premise, hypothesis, label. */
  | 'MNLI'
  /** Fields paragraph, question, answer, label. */
  | 'MULTIRC'
  /** Fields passage, query, entities, answers. */
  | 'RECORD'
  /** Fields premise, hypothesis, label. */
  | 'RTE'
  /** Fields premise, hypothesis, label. */
  | 'SNLI'
  /** Fields title, context, question, answers.text. */
  | 'SQUAD'
  /** Fields sentence, label. */
  | 'SST2'
  /** Fields text, label. */
  | 'SST5'
  /** Fields text, coarse_label. */
  | 'TREC'
  /** Fields word, sentence1, sentence2, label. */
  | 'WIC'
  /** Fields text, span1_text, span2_text, label. */
  | 'WSC';

/** Stable error codes for programs. Every request error has one in extensions.code, and lists what is wrong with the input in extensions.issues. */
export type ErrorCode =
  /** The log was made with a different base model. */
  | 'BASE_MISMATCH'
  /** The request conflicts with an earlier one or with existing data, such as a reused idempotency key with other input. */
  | 'CONFLICT'
  /** Rows of the dataset cannot be used; issues names lines and reasons. */
  | 'DATASET_INVALID'
  /** The requested compute device cannot be used on this machine. */
  | 'DEVICE_UNAVAILABLE'
  /** A bug or an unexpected failure in Steplog. */
  | 'INTERNAL'
  /** An argument is missing, of the wrong type or out of range. */
  | 'INVALID_ARGUMENT'
  /** The object exists, but its current state does not allow the operation. */
  | 'INVALID_STATE'
  /** Another worker has taken over the job; this one must stop writing. */
  | 'LEASE_LOST'
  /** The file is not a complete, undamaged .steplog file of a supported version. */
  | 'LOG_INVALID'
  /** The loss was not finite for several consecutive steps. */
  | 'LOSS_NOT_FINITE'
  /** The model folder is incomplete or damaged, or does not match its config. */
  | 'MODEL_INVALID'
  /** The model's architecture, or a setting in its config, is not supported. */
  | 'MODEL_UNSUPPORTED'
  /** The requested object does not exist. */
  | 'NOT_FOUND'
  /** The request, dataset or upload is larger than the limit. */
  | 'PAYLOAD_TOO_LARGE'
  /** The request has no valid API token, or comes from a web page of another origin. */
  | 'UNAUTHENTICATED'
  /** A required service (Postgres, storage) is not available. */
  | 'UNAVAILABLE';

/** How the loss is measured along the noise. */
export type Estimator =
  /** One-sided, and divided by the spread of a step's losses (arXiv 2506.09034), of 2 estimates or more: fewer forward passes, and a learning rate of another scale, 1 to 10 times epsilon. With this, estimates are 4 and learningRate is AUTO when left out. */
  | 'FZOO'
  /** On one side, and once a step without noise: one forward pass an estimate and one more, with the curvature as an error. */
  | 'ONE_SIDED'
  /** On both sides of the weights: two forward passes an estimate, and no error of the first order. */
  | 'SPSA';

/** What an evaluation measures. */
export type EvaluationKind =
  /** Baseline: the base model on the validation rows, with training rows as demonstrations before each prompt. */
  | 'IN_CONTEXT'
  /** Baseline: a linear classifier on the base model's hidden states, on the validation rows. Its loss is over the classes. */
  | 'LINEAR_PROBE'
  /** The test rows, with the base model and with the best checkpoint of the run. */
  | 'TEST'
  /** The validation rows. */
  | 'VALIDATION';

/** The status of a run. SUCCEEDED, FAILED and CANCELLED are final. */
export type FineTuneStatus =
  /** Stopped on request. The steps done so far are kept. */
  | 'CANCELLED'
  /** Stopped by an error; the field error explains it. */
  | 'FAILED'
  /** Waiting for a worker. */
  | 'QUEUED'
  /** Being trained, or about to be continued by another worker. */
  | 'RUNNING'
  /** Completed, with all steps done or stopped early by patience. */
  | 'SUCCEEDED';

/** The settings of a fine-tune. What is left out takes its default. */
export type HyperparametersInput = {
  /** Batches of one step, measured one after the other: the step is that of a batch so many times as large, in the memory of one. Must be a whole number from 1 to 1024; 1 when left out. */
  readonly accumulate?: number | null | undefined;
  /** Most tokens of an answer that the model writes to a prompt, greedily, up to a line's end; answers are judged by F1 and exact match in every evaluation, and needed by objectives F1 and EXACT_MATCH. 0 writes none. Must be a whole number from 0 to 1024; 0 when left out. */
  readonly answerTokens?: number | null | undefined;
  /** Rows measured at once. Must be a whole number from 1 to 1024; 16 when left out. */
  readonly batchSize?: number | null | undefined;
  /** What says which evaluation of the validation rows is best, for the checkpoint that it gets, for patience and for the test rows. Must be AUTO or LOSS or ACCURACY or F1 or EXACT_MATCH; AUTO when left out. */
  readonly bestMetric?: BestMetric | null | undefined;
  /** Steps between two named checkpoints; 0 names the last step only. Must be a whole number from 0 to 1000000; 0 when left out. */
  readonly checkpointEvery?: number | null | undefined;
  /** Projected gradients beyond plus or minus this are cut to it; 0 cuts none. Must be a number from 0 to 1000000000; 0 when left out. */
  readonly clipGradient?: number | null | undefined;
  /** Size of the perturbation, in standard deviations of the noise. Must be a number from 0.000001 to 1; 0.001 (0.01 for LORA, 0.1 for PREFIX) when left out. */
  readonly epsilon?: number | null | undefined;
  /** Estimates of the gradient in one step, each along noise of its own; their mean is applied (n-SPSA). Must be a whole number from 1 to 256; 1 when left out. */
  readonly estimates?: number | null | undefined;
  /** Estimates of the last step, to which their number goes in a line; 0 keeps it as it is. Must be a whole number from 0 to 256; 0 when left out. */
  readonly estimatesAtEnd?: number | null | undefined;
  /** How the loss is measured along the noise. Must be SPSA or ONE_SIDED or FZOO; SPSA when left out. */
  readonly estimator?: Estimator | null | undefined;
  /** Steps between two evaluations on the validation rows; 0 evaluates before and after only. Must be a whole number from 0 to 1000000; 0 when left out. */
  readonly evaluateEvery?: number | null | undefined;
  /** Training rows in front of each validation prompt, as many as fit, in a baseline of in-context learning that is measured before the first step; 0 measures none. Needs a validation dataset. Must be a whole number from 0 to 256; 0 when left out. */
  readonly inContextRows?: number | null | undefined;
  /** Factor of the projected gradient (MeZO, Algorithm 1), or AUTO, which picks it by the first projected gradients, for FZOO by epsilon; pickedRate says what was picked. Must be a number above 0 and up to 10, or AUTO; 0.000001 (0.0001 for LORA, 0.01 for PREFIX) when left out. */
  readonly learningRate?: number | "AUTO" | null | undefined;
  /** Whether a linear classifier, fitted to the base model's hidden states of the training rows, is measured on the validation rows: a baseline. Needs a validation dataset, and label words or the same candidates in every row. Must be true or false; false when left out. */
  readonly linearProbe?: boolean | null | undefined;
  /** The adapter's output is multiplied by alpha / rank; of method LORA alone. Must be a number above 0 and up to 1000; 16 when left out. */
  readonly loraAlpha?: number | null | undefined;
  /** Rank of the adapter's matrices; of method LORA alone. Must be a whole number from 1 to 1024; 8 when left out. */
  readonly loraRank?: number | null | undefined;
  /** Ends of names of the linear layers that get adapters (q_proj, layers.0.self_attn.q_proj; * stands for any text between two dots, ** for any text); of method LORA alone. With none, those of queries and values. Must be at most 64 names of 1 to 200 characters; none when left out. */
  readonly loraTargets?: ReadonlyArray<string> | null | undefined;
  /** What is trained. Must be FULL or HEAD or LORA or PREFIX; FULL when left out. */
  readonly method?: Method | null | undefined;
  /** Distribution of the perturbation. Must be NORMAL or RADEMACHER; RADEMACHER when left out. */
  readonly noise?: NoiseKind | null | undefined;
  /** What is lowered. All but LOSS and CLASSIFICATION have no gradient; steps that measure no difference are counted (zeroSteps). Must be LOSS or CLASSIFICATION or ACCURACY or F1 or EXACT_MATCH; LOSS when left out. */
  readonly objective?: Objective | null | undefined;
  /** Evaluations in a row that are no better than the best before the run ends early; 0 goes on to the last step. Needs a validation dataset and evaluateEvery. Must be a whole number from 0 to 1000000; 0 when left out. */
  readonly patience?: number | null | undefined;
  /** Number format that products are multiplied in; sums and stored weights are not touched by it. Must be FLOAT32 or BFLOAT16; FLOAT32 when left out. */
  readonly precision?: Precision | null | undefined;
  /** Tokens whose place before every sequence the prefix takes; of method PREFIX alone. Must be a whole number from 1 to 512; 5 when left out. */
  readonly prefixLength?: number | null | undefined;
  /** How the learning rate goes on after the warm-up. Must be CONSTANT or LINEAR or COSINE; CONSTANT when left out. */
  readonly schedule?: Schedule | null | undefined;
  /** Run seed: seeds of the noise and the order of the rows derive from it. Must be a whole number from 0 to 4294967295; 0 when left out. */
  readonly seed?: number | null | undefined;
  /** SPSA steps. Each measures the loss twice, and adds one entry to the log, for each of its estimates. Must be a whole number from 1 to 1000000; 1000 when left out. */
  readonly steps?: number | null | undefined;
  /** Names of tensors, or ends of names (* stands for any text between two dots, ** for any text), that method FULL trains; others stay as they are. With none, all are trained. Must be at most 64 names of 1 to 200 characters; none when left out. */
  readonly tensors?: ReadonlyArray<string> | null | undefined;
  /** Steps in which the learning rate rises in a line to itself. Must be a whole number from 0 to 1000000; 0 when left out. */
  readonly warmupSteps?: number | null | undefined;
  /** Decoupled weight decay: a step multiplies trained weights by 1 - learningRate * weightDecay. Must be a number from 0 to 100; 0 when left out. */
  readonly weightDecay?: number | null | undefined;
};

/** What a fine-tune trains. */
export type Method =
  /** Every weight of the model, or of the tensors that are named. */
  | 'FULL'
  /** The output head alone. Where it is tied to the table of the embeddings, that table changes in both places. */
  | 'HEAD'
  /** A low-rank adapter (Hu et al. 2021) beside linear layers, whose own weights stay as they are. What comes of it is an adapter that peft loads. */
  | 'LORA'
  /** A prefix (Li and Liang 2021): keys and values in each layer, before those of every sequence. It begins with those of tokens drawn from the vocabulary; what comes of it is an adapter that peft loads. */
  | 'PREFIX';

/** Distribution of the perturbation; mean 0 and variance 1 both. */
export type NoiseKind =
  /** 17 levels of a centred binomial, up to 4 standard deviations: close to a normal. */
  | 'NORMAL'
  /** +1 or -1 with equal chance. Cheapest, and the default. */
  | 'RADEMACHER';

/** What a fine-tune lowers. */
export type Objective =
  /** The share of rows whose right candidate has not the best score. */
  | 'ACCURACY'
  /** The cross-entropy of the right candidate under a softmax over the mean log-likelihoods of all candidates: a row's own, or the label words. */
  | 'CLASSIFICATION'
  /** The share of answers that the model writes which are no accepted one. */
  | 'EXACT_MATCH'
  /** 1 - F1 of the words of the answers that the model writes, against the best accepted one. */
  | 'F1'
  /** The mean loss over the scored tokens. */
  | 'LOSS';

/** Number format of multiplication. */
export type Precision =
  /** Factors are rounded to 8 bits of mantissa, products summed up in single precision: faster where the worker's processor multiplies so. A run on a worker that cannot fails with DEVICE_UNAVAILABLE. */
  | 'BFLOAT16'
  /** Single precision, on every device. */
  | 'FLOAT32';

/** How the learning rate goes on after the warm-up. */
export type Schedule =
  /** As it is. */
  | 'CONSTANT'
  /** Down to 0 behind the last step, along half a cosine. */
  | 'COSINE'
  /** Down to 0 behind the last step, along a line. */
  | 'LINEAR';

/** Whether the weights of a checkpoint are stored. */
export type WeightsStatus =
  /** Could not be rebuilt; weightsError says why. Requesting them again retries. */
  | 'FAILED'
  /** Not requested. They can be rebuilt from the log at any time. */
  | 'NONE'
  /** Requested; a worker is going to rebuild them. */
  | 'QUEUED'
  /** Ready for download. */
  | 'STORED';
