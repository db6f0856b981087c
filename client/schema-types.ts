// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
/** A model on the Hugging Face hub. */
export type AddBaseModelInput = {
  /** Name of the base model; the part of the repository after the last / when left out. */
  readonly name?: string | null | undefined;
  /** Its repository, ORGANISATION/NAME, such as facebook/opt-125m. */
  readonly repository: string;
  /** A branch, tag or commit of it. */
  readonly revision?: string | null | undefined;
};

/** Who did something. */
export type AuditActorKind =
  /** A command line with access to the database. */
  | 'COMMAND'
  /** An API key. */
  | 'KEY'
  /** The token of the environment, or anybody while there were no keys. */
  | 'OPERATOR'
  /** The service itself, which deletes what is past its time. */
  | 'SERVICE';

/** Which metric decides which evaluation is best. The loss decides between equal ones. */
export type BestMetric =
  /** The highest accuracy; the lowest loss if no row has candidates. */
  | 'ACCURACY'
  /** F1 of generated answers if there are any, else accuracy if rows have candidates, else the loss. */
  | 'AUTO'
  /** The highest share of generated answers that match an accepted one. Needs answerTokens of at least 1. */
  | 'EXACT_MATCH'
  /** The highest F1 of generated answers. Needs answerTokens of at least 1. */
  | 'F1'
  /** The lowest loss. */
  | 'LOSS';

/** Texts to classify. */
export type ClassifyInput = {
  /** A prompt without content: a label's score is then how much likelier the text makes it than this prompt does. */
  readonly calibrationPrompt?: string | null | undefined;
  /** The labels, 2 to 64, all different, each including a leading space if it needs one. */
  readonly labels: ReadonlyArray<string>;
  /** A conversation whose next message is the label. */
  readonly messages?: ReadonlyArray<MessageInput> | null | undefined;
  /** The model that chooses. */
  readonly model: ModelInput;
  /** Texts before the label, at most 64: "... It was". Give these or messages. */
  readonly prompts?: ReadonlyArray<string> | null | undefined;
};

/** What a worker does before the first token. */
export type CompletionStage =
  /** Reads the weights. */
  | 'LOADING'
  /** Rebuilds the weights of the checkpoint from its log. They are kept for later requests. */
  | 'REBUILDING';

/** The status of a completion. SUCCEEDED, FAILED and CANCELLED are final. */
export type CompletionStatus =
  /** Ended on request, or because nobody waited any more. What was written is kept. */
  | 'CANCELLED'
  /** Not answered; the field error explains it. */
  | 'FAILED'
  /** Waiting for a worker. */
  | 'QUEUED'
  /** Being answered, or about to be continued by another worker. */
  | 'RUNNING'
  /** Answered: every choice has ended. */
  | 'SUCCEEDED';

/** More steps for a run that has ended. */
export type ContinueFineTuneInput = {
  /** The run. */
  readonly fineTune: string;
  /** As in createFineTune. */
  readonly idempotencyKey?: string | null | undefined;
  /** Seconds of its own training after which the new run ends, as the setting of that name; 0 for no limit. Default: that of the run. */
  readonly maxSeconds?: number | null | undefined;
  /** Name of the new run, 1 to 200 characters. Default: the same name. */
  readonly name?: string | null | undefined;
  /** Number of further steps, 1 to 1000000. */
  readonly steps: number;
};

/** A new API key. */
export type CreateApiKeyInput = {
  /** After how many days it ends, at most 3,650. Left out, it does not end by itself. */
  readonly expiresInDays?: number | null | undefined;
  /** What it is for, 1 to 200 characters. */
  readonly name: string;
  /** Another project, for an operator. Left out, the own one. */
  readonly project?: string | null | undefined;
  /** What it allows, one scope at least. */
  readonly scopes: ReadonlyArray<Scope>;
};

/** Text to write after a prompt, or labels to choose among. */
export type CreateCompletionInput = {
  /** With labels, a prompt without content: a label's score is then how much likelier the prompt makes it than this one does. */
  readonly calibrationPrompt?: string | null | undefined;
  /** When it is deleted. Left out, as setProjectKeep says, and otherwise as the operator does. */
  readonly expiry?: ExpiryInput | null | undefined;
  /** Taken off these logits once for each time that the answer has the token, -2 to 2. Default: 0. */
  readonly frequencyPenalty?: number | null | undefined;
  /** A key you choose for this request, 1 to 200 characters. A second request with the same key and input returns the first completion; one with a different input is a CONFLICT. */
  readonly idempotencyKey?: string | null | undefined;
  /** Chooses among these texts instead of writing: 2 to 64, all different, each including a leading space if it needs one. Settings of writing cannot be given with it. */
  readonly labels?: ReadonlyArray<string> | null | undefined;
  /** Gives the log-probability of each token, and of this many of the likeliest ones: 0 to 20. */
  readonly logprobs?: number | null | undefined;
  /** Most tokens of each choice, from 1. Prompt and answer must fit the context. Default: what fits, at most 256. */
  readonly maxTokens?: number | null | undefined;
  /** A conversation to continue, which the model's chat template writes. */
  readonly messages?: ReadonlyArray<MessageInput> | null | undefined;
  /** Leaves out tokens less likely than this share of the likeliest one's probability, 0 to 1. Default: 0. */
  readonly minP?: number | null | undefined;
  /** The model that answers. */
  readonly model: ModelInput;
  /** Choices to write, 1 to 8. Default: 1. */
  readonly n?: number | null | undefined;
  /** Taken off the logits of tokens that the answer has, -2 to 2. Default: 0. */
  readonly presencePenalty?: number | null | undefined;
  /** The text to continue. Give this, messages or tokens. */
  readonly prompt?: string | null | undefined;
  /** Divides positive logits of tokens that prompt and answer have, and multiplies negative ones: above 0, up to 10. Default: 1, none. */
  readonly repetitionPenalty?: number | null | undefined;
  /** Seed of the samples, from 0. The same request with the same seed gives the same text on the same device. Drawn, and told, if left out. */
  readonly seed?: number | null | undefined;
  /** Texts that end an answer, which then has none of them: at most 4, of 1 to 64 characters. */
  readonly stop?: ReadonlyArray<string> | null | undefined;
  /** Logits are divided by it, 0 to 2; 0 takes the likeliest token. Default: 1. */
  readonly temperature?: number | null | undefined;
  /** The tokens to continue, as they are: nothing is added before them. */
  readonly tokens?: ReadonlyArray<number> | null | undefined;
  /** Tools for a template that writes them: JSON text of a list of {"type": "function", "function": {"name", "description", "parameters"}}. Needs messages. */
  readonly tools?: string | null | undefined;
  /** Samples from this many of the likeliest tokens, from 1. Default: all. */
  readonly topK?: number | null | undefined;
  /** Samples from the likeliest tokens of this total probability, above 0 and up to 1. Default: 1. */
  readonly topP?: number | null | undefined;
};

/** What to measure, on which rows, and how. Settings mean what those of a run of the same name mean. */
export type CreateEvaluationInput = {
  /** Maximum length of an answer that is generated and scored by F1 and exact match, 0 to 1024. Default: 0, none. */
  readonly answerTokens?: number | null | undefined;
  /** A prompt without content, by which candidates' scores are calibrated. */
  readonly calibrationPrompt?: string | null | undefined;
  /** Id of the dataset to measure it on. */
  readonly dataset: string;
  /** When it ends by itself. Left out, as setProjectKeep says, and otherwise never. */
  readonly expiry?: ExpiryInput | null | undefined;
  /** A key you choose for this request, 1 to 200 characters. A second request with the same key and input returns the first evaluation; one with a different input is a CONFLICT. */
  readonly idempotencyKey?: string | null | undefined;
  /** Candidate completions, 2 to 64, all different, of rows that list none. */
  readonly labelWords?: ReadonlyArray<string> | null | undefined;
  /** The model to measure. */
  readonly model: ModelInput;
  /** Number format of products. Default: FLOAT32. */
  readonly precision?: Precision | null | undefined;
  /** What happens to rows that are longer than the model's context. Default: REFUSE. */
  readonly truncate?: Truncation | null | undefined;
};

/** A new fine-tune. */
export type CreateFineTuneInput = {
  /** Name of a base model. Required unless `from` is given. */
  readonly baseModel?: string | null | undefined;
  /** A prompt without content. A candidate's score is then how much likelier the row's prompt makes it than this prompt does. */
  readonly calibrationPrompt?: string | null | undefined;
  /** Id of the dataset to train on. Required unless `from` is given. */
  readonly dataset?: string | null | undefined;
  /** When it ends by itself. Left out, as setProjectKeep says, and otherwise never. */
  readonly expiry?: ExpiryInput | null | undefined;
  /** Id of a checkpoint to start from instead of a base model: a fork. Fields left out are then as in its run. The method, its settings and the noise cannot change. */
  readonly from?: string | null | undefined;
  /** Settings that differ from their defaults (for a fork: from those of its run). */
  readonly hyperparameters?: HyperparametersInput | null | undefined;
  /** A key you choose for this request, 1 to 200 characters. A second request with the same key and input returns the first run; one with a different input is a CONFLICT. */
  readonly idempotencyKey?: string | null | undefined;
  /** Whether to store the weights of the last checkpoint, ready for download. Otherwise materialiseCheckpoint rebuilds them from the log on request. Default: false. */
  readonly keepWeights?: boolean | null | undefined;
  /** Candidate completions, at most 64, of rows that list none. Accuracy is how often the model prefers the right one. Leave out to measure only the loss; one alone is refused, and so is one that is there twice. */
  readonly labelWords?: ReadonlyArray<string> | null | undefined;
  /** Notes for programs: at most 32, each with another key. */
  readonly metadata?: ReadonlyArray<MetadataEntryInput> | null | undefined;
  /** Name of the run, 1 to 200 characters. */
  readonly name: string;
  /** -100 to 100: of its project, workers take runs of a higher priority first. Default: 0. */
  readonly priority?: number | null | undefined;
  /** Words to find it by: at most 32, each of 1 to 64 characters. */
  readonly tags?: ReadonlyArray<string> | null | undefined;
  /** Id of a dataset to test on: the base model before training, and afterwards the weights of the best evaluation (the last weights if there is no validation dataset). */
  readonly testDataset?: string | null | undefined;
  /** Id of a dataset to evaluate on during the run. Without one there are no evaluations. */
  readonly validationDataset?: string | null | undefined;
};

/** A new sweep: runs with the same model and rows, and other settings. */
export type CreateSweepInput = {
  /** A key you choose for this request, 1 to 200 characters. A second request with the same key and input returns the first sweep; one with a different input is a CONFLICT. */
  readonly idempotencyKey?: string | null | undefined;
  /** Name of the sweep, 1 to 200 characters. */
  readonly name: string;
  /** What the runs share. Each is called by the name here and by the settings in which it differs. It has no idempotency key. */
  readonly run: CreateFineTuneInput;
  /** The settings that vary, for 100 runs at most. */
  readonly vary: SweepVariationInput;
};

/** A new webhook. */
export type CreateWebhookInput = {
  /** What it is for. */
  readonly description?: string | null | undefined;
  /** The types of messages that it gets; left out, all. The types: fine_tune.queued, fine_tune.running, fine_tune.paused, fine_tune.succeeded, fine_tune.failed, fine_tune.cancelled, fine_tune.evaluated, fine_tune.updated, fine_tune.deleted, dataset.created, dataset.deleted, checkpoint.created, checkpoint.weights_stored, checkpoint.weights_failed, checkpoint.export_stored, checkpoint.export_failed, checkpoint.weights_deleted, checkpoint.deleted, evaluation.queued, evaluation.running, evaluation.succeeded, evaluation.failed, evaluation.cancelled, evaluation.deleted, alias.set, alias.removed, webhook.disabled. */
  readonly events?: ReadonlyArray<string> | null | undefined;
  /** Where messages are sent: https://... or http://..., whose host has public addresses only, unless the operator allows others. */
  readonly url: string;
};

/** Part of a split. With the same seed and shares, no two parts have a prompt in common. */
export type DatasetPart =
  /** A share of the rows: testShare. */
  | 'TEST'
  /** The rows in neither of the other parts. */
  | 'TRAINING'
  /** A share of the rows: validationShare. */
  | 'VALIDATION';

/** A task whose published rows Steplog can convert. The query datasetPresets describes each. */
export type DatasetPreset =
  /** Fields instruction, input (may be missing), output. */
  | 'ALPACA'
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
  /** Fields conversations. */
  | 'SHAREGPT'
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

/** What takes room on disk. */
export type DiskUseKind =
  /** Entries of the audit log, in the database. Those of projects that were erased belong to no project any more. */
  | 'AUDIT'
  /** Base models that workers stored for machines that lack them. They belong to no project. */
  | 'BASES'
  /** Prompts and answers, in the database. */
  | 'COMPLETIONS'
  /** Rows of datasets, stored files. */
  | 'DATASETS'
  /** Evaluations that were asked for, with the rows that they show, in the database. */
  | 'EVALUATIONS'
  /** Weights of checkpoints in other forms. */
  | 'EXPORTS'
  /** Logs of runs, in the database. */
  | 'LOGS'
  /** Measurements of steps, in the database. */
  | 'METRICS'
  /** Stored files that nothing names any more; they go after a day. They belong to no project. */
  | 'UNNAMED'
  /** Webhooks, their messages and deliveries, in the database. */
  | 'WEBHOOKS'
  /** Stored weights of checkpoints. */
  | 'WEIGHTS';

/** Stable error codes for programs. Every request error has one in extensions.code, and lists what is wrong with the input in extensions.issues. */
export type ErrorCode =
  /** The log was made with a different base model. */
  | 'BASE_MISMATCH'
  /** Too many requests wait. Try again later. */
  | 'BUSY'
  /** The request conflicts with an earlier one or with existing data, such as a reused idempotency key with other input. */
  | 'CONFLICT'
  /** Rows of the dataset cannot be used; issues names lines and reasons. */
  | 'DATASET_INVALID'
  /** A stored file has other bytes than those that were stored. */
  | 'DATA_CORRUPT'
  /** The requested compute device cannot be used on this machine. */
  | 'DEVICE_UNAVAILABLE'
  /** The run became clearly worse than it started, or than it was at its best. */
  | 'DIVERGED'
  /** The API key is valid, but does not have the scope that this needs. */
  | 'FORBIDDEN'
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
  /** The machine, or the process, has not enough memory for the work. */
  | 'OUT_OF_MEMORY'
  /** The request, dataset or upload is larger than the limit. */
  | 'PAYLOAD_TOO_LARGE'
  /** The project has used up one of its quotas; extensions.quota says which. */
  | 'QUOTA_EXCEEDED'
  /** Too many requests in the last minute; extensions.retryAfter says after how many seconds there may be more. */
  | 'RATE_LIMITED'
  /** The request has no valid API token, or comes from a web page of another origin. */
  | 'UNAUTHENTICATED'
  /** A required service (Postgres, storage, a disk) is not available. */
  | 'UNAVAILABLE';

/** How the gradient is estimated from losses. */
export type Estimator =
  /** One-sided, divided by the standard deviation of the step's losses (arXiv 2506.09034): fewer forward passes. Its learning rates have another scale, 1 to 10 times epsilon. Needs estimates of at least 2 and estimatesAtEnd of at least 2. */
  | 'FZOO'
  /** From the loss on one side and the loss without noise: one forward pass per estimate and one more per step, with an error that grows with the curvature. */
  | 'ONE_SIDED'
  /** From the losses on both sides of the weights: two forward passes per estimate, without an error of first order. */
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

/** When something ends by itself, and is deleted unless it is in use then. Give one of these. */
export type ExpiryInput =
  {   /** At this time. */
  readonly at: string; readonly never?: never; readonly ttl?: never; }
  |  { readonly at?: never;   /** Not by itself, whatever the project says. Give true. Not for completions. */
  readonly never: boolean; readonly ttl?: never; }
  |  { readonly at?: never; readonly never?: never;   /** So many seconds from now, at most ten years. */
  readonly ttl: number; };

/** A type of object that short ids and names find. */
export type FindableType =
  /** A checkpoint, which has no name. */
  | 'CHECKPOINT'
  /** A dataset that is not deleted. */
  | 'DATASET'
  /** An evaluation, which has no name. */
  | 'EVALUATION'
  /** A run. */
  | 'FINE_TUNE'
  /** A sweep. */
  | 'SWEEP';

/** Which runs to list: those that meet all of it. */
export type FineTuneFilter = {
  /** False for those that are not archived, true for those that are, null for both. */
  readonly archived?: boolean | null | undefined;
  /** The name of their base model. */
  readonly baseModel?: string | null | undefined;
  /** They were created earlier. */
  readonly createdBefore?: string | null | undefined;
  /** They were created then or later. */
  readonly createdFrom?: string | null | undefined;
  /** They train, validate or test on this dataset. */
  readonly dataset?: string | null | undefined;
  /** They have all of these notes, each with this value. */
  readonly metadata?: ReadonlyArray<MetadataEntryInput> | null | undefined;
  /** Their name contains this, in upper or lower case. */
  readonly name?: string | null | undefined;
  /** Their name or one of their tags contains this, in upper or lower case, or it is their id, or 4 or more of the first hexadecimal digits of the UUID that their id is the base64 of. */
  readonly search?: string | null | undefined;
  /** They have one of these statuses. */
  readonly statuses?: ReadonlyArray<FineTuneStatus> | null | undefined;
  /** They have all of these tags. */
  readonly tags?: ReadonlyArray<string> | null | undefined;
};

/** An order of runs. */
export type FineTuneSort =
  /** By when they were created, the last one first. */
  | 'CREATED'
  /** By when they ended, the last one first. Only runs that have ended. */
  | 'FINISHED'
  /** By the loss of their best evaluation of validation rows, the least first. Only runs that have one. Losses compare where runs have the same rows. */
  | 'LOSS'
  /** By name, in the order of the database. */
  | 'NAME'
  /** By the score of their best evaluation of validation rows, the highest first: F1, accuracy or exact match, by the setting bestMetric. Only runs that have one. */
  | 'SCORE'
  /** By the number of steps done, the most first. */
  | 'STEPS';

/** The status of a run. SUCCEEDED, FAILED and CANCELLED are final. */
export type FineTuneStatus =
  /** Stopped on request. The steps done so far are kept. */
  | 'CANCELLED'
  /** Stopped by an error; the field error explains it. */
  | 'FAILED'
  /** Stopped on request until it is resumed. No worker has it. */
  | 'PAUSED'
  /** Waiting for a worker. */
  | 'QUEUED'
  /** Being trained, or about to be continued by another worker. */
  | 'RUNNING'
  /** Completed: all steps are done, or it stopped early, by patience or maxSeconds. An event (STOPPED_EARLY, TIME_LIMIT) says so. */
  | 'SUCCEEDED';

/** Why a choice ended. */
export type FinishReason =
  /** The completion was cancelled. */
  | 'CANCELLED'
  /** The model ended it, by its end-of-sequence token. */
  | 'END'
  /** It has maxTokens tokens. */
  | 'LENGTH'
  /** A stop text followed. */
  | 'STOP';

/** The settings of a fine-tune. What is left out takes its default. */
export type HyperparametersInput = {
  /** Batches of a step, measured one after the other. A step is that of a larger batch, in the memory of one. Must be a whole number from 1 to 1024; default: 1. */
  readonly accumulate?: number | null | undefined;
  /** Maximum length of an answer, which the model generates greedily and which ends at a line break. Every evaluation scores answers by F1 and exact match. 0 generates none. Only for runs with validation or test rows, or with objective F1 or EXACT_MATCH. Must be a whole number from 0 to 1024, in tokens; default: 0. */
  readonly answerTokens?: number | null | undefined;
  /** Rows measured in one pass. Must be a whole number from 1 to 1024, in rows; default: 16. */
  readonly batchSize?: number | null | undefined;
  /** Which metric decides which evaluation of the validation rows is best. The best gets a checkpoint, `patience` counts from it, and the test rows are measured at it. Needs a validation dataset. Must be AUTO, LOSS, ACCURACY, F1 or EXACT_MATCH; default: AUTO. */
  readonly bestMetric?: BestMetric | null | undefined;
  /** Steps between two checkpoints. 0 makes one after the last step only. Any step can be rebuilt in any case. Must be a whole number from 0 to 1000000, in steps; default: 0. */
  readonly checkpointEvery?: number | null | undefined;
  /** Projected gradients are clipped to plus or minus this value. 0 disables clipping. Must be a number from 0 to 1000000000; default: 0. */
  readonly clipGradient?: number | null | undefined;
  /** Size of the perturbation, in standard deviations of the noise. Must be a number from 0.000001 to 1; default: 0.001 (0.01 for LORA, 0.1 for PREFIX). */
  readonly epsilon?: number | null | undefined;
  /** Estimates of the gradient in a step, each along its own noise. Their mean is applied (n-SPSA). Must be a whole number from 1 to 256; default: 1 (8 for FZOO). */
  readonly estimates?: number | null | undefined;
  /** Estimates in the last step; their number changes linearly up to it. 0 keeps the number constant. Must be a whole number from 0 to 256; default: 0. */
  readonly estimatesAtEnd?: number | null | undefined;
  /** How the gradient along random noise is estimated from losses. Must be SPSA, ONE_SIDED or FZOO; default: FZOO (SPSA if learningRate is a number). */
  readonly estimator?: Estimator | null | undefined;
  /** Steps between two evaluations of the validation rows. 0 evaluates only before and after training. Only for runs with validation rows. Must be a whole number from 0 to 1000000, in steps; default: 0. */
  readonly evaluateEvery?: number | null | undefined;
  /** Training rows before each validation prompt, as many as fit, in a baseline of in-context learning that is measured before the first step. 0 measures no such baseline. Needs a validation dataset. Must be a whole number from 0 to 256, in rows; default: 0. */
  readonly inContextRows?: number | null | undefined;
  /** Factor of the projected gradient (MeZO, Algorithm 1). AUTO, the default, chooses it before the first step, from how far along noise losses stay linear; pickedRate is what it chose. Must be a number above 0 and up to 10, or AUTO; default: AUTO. */
  readonly learningRate?: number | "AUTO" | null | undefined;
  /** Whether to fit a linear classifier to the base model's hidden states of the training rows, and to measure it on the validation rows. It needs label words, or the same candidates in every row. Needs a validation dataset. Must be true or false; default: false. */
  readonly linearProbe?: boolean | null | undefined;
  /** The adapter's output is multiplied by alpha / rank (Hu et al. 2021, section 4.1). Only for method LORA. Must be a number above 0 and up to 1000; default: 16. */
  readonly loraAlpha?: number | null | undefined;
  /** Rank of the adapter's matrices. Only for method LORA. Must be a whole number from 1 to 1024; default: 8. */
  readonly loraRank?: number | null | undefined;
  /** Ends of the names of the linear layers that get adapters, such as q_proj or layers.0.self_attn.q_proj; `*` stands for any text between two dots, `**` for any text. Only for method LORA. Must be at most 64 names of 1 to 200 characters; default: the layers of queries and values. */
  readonly loraTargets?: ReadonlyArray<string> | null | undefined;
  /** Seconds of training after which the run ends as after its last step, with a checkpoint; an event (TIME_LIMIT) says so. Steps, evaluations and checkpoints count, by whichever worker; waiting, loading and pauses do not. 0 sets no limit. Must be a whole number from 0 to 31536000, in seconds; default: 0. */
  readonly maxSeconds?: number | null | undefined;
  /** What is trained. Must be FULL, HEAD, LORA or PREFIX; default: FULL. */
  readonly method?: Method | null | undefined;
  /** Distribution of the perturbation. Must be NORMAL or RADEMACHER; default: RADEMACHER. */
  readonly noise?: NoiseKind | null | undefined;
  /** What is minimised. Only LOSS and CLASSIFICATION have a gradient; with the others, steps in which no loss differs change nothing and are counted (zeroSteps). Must be LOSS, CLASSIFICATION, ACCURACY, F1 or EXACT_MATCH; default: LOSS. */
  readonly objective?: Objective | null | undefined;
  /** Evaluations in a row without a new best after which the run stops early. 0 disables early stopping. Needs a validation dataset and evaluateEvery. Must be a whole number from 0 to 1000000, in evaluations; default: 0. */
  readonly patience?: number | null | undefined;
  /** Number format of multiplications. Sums are float32 in any case, and stored weights keep their format. Must be FLOAT32 or BFLOAT16; default: FLOAT32. */
  readonly precision?: Precision | null | undefined;
  /** Length of the prefix. It takes this much of the model's context. Only for method PREFIX. Must be a whole number from 1 to 512, in tokens; default: 5. */
  readonly prefixLength?: number | null | undefined;
  /** How the learning rate changes after the warm-up. Must be CONSTANT, LINEAR or COSINE; default: LINEAR (CONSTANT for PREFIX, CONSTANT if learningRate is a number). */
  readonly schedule?: Schedule | null | undefined;
  /** The seeds of the noise and the order of the rows derive from it. Must be a whole number from 0 to 4294967295; default: 0. */
  readonly seed?: number | null | undefined;
  /** Steps to train. Each step adds one entry to the log for each of its estimates. Must be a whole number from 1 to 1000000; default: 4000. */
  readonly steps?: number | null | undefined;
  /** Names of the tensors to train, or ends of names; `*` stands for any text between two dots, `**` for any text. All other tensors stay as they are. Only for method FULL. Must be at most 64 names of 1 to 200 characters; default: all tensors. */
  readonly tensors?: ReadonlyArray<string> | null | undefined;
  /** What happens to rows that are longer than the model's context, less a prefix. Only prompts are cut, until the row fits with its longest candidate; a row whose scored part does not fit alone is refused. It holds for training, validation and test rows and for the in-context baseline. Must be REFUSE, START or END; default: REFUSE. */
  readonly truncate?: Truncation | null | undefined;
  /** Steps in which the learning rate rises linearly to its full value. At most steps. Must be a whole number from 0 to 1000000, in steps; default: 0. */
  readonly warmupSteps?: number | null | undefined;
  /** Decoupled weight decay: each step multiplies the trained weights by 1 - learningRate * weightDecay. Must be a number from 0 to 100; default: 0. */
  readonly weightDecay?: number | null | undefined;
  /** What happens when the run diverges: it has become clearly worse than it started, or than it was at its best, by its training losses or its validation rows. Must be END, GO_BACK or GO_ON; default: END. */
  readonly whenDiverged?: WhenDiverged | null | undefined;
};

/** A label and the completion that stands for it. */
export type LabelInput = {
  /** The completion that stands for it, including a leading space if it needs one. */
  readonly completion: string;
  /** The label's value in the rows, as text. */
  readonly value: string;
};

/** What a run did when its memory was read. */
export type MemoryKind =
  /** Its first evaluation, before any step: forward passes alone, as for inference. With learningRate AUTO the rate was chosen before it, and what that took may still be held. */
  | 'FORWARD_PASSES'
  /** Steps, with the evaluations and checkpoints between them. */
  | 'STEPS';

/** A message of a conversation, as the model's chat template takes it. */
export type MessageInput = {
  /** What is said. May be left out for a message that calls tools. */
  readonly content?: string | null | undefined;
  /** A name, for templates that write one. */
  readonly name?: string | null | undefined;
  /** Who says it. */
  readonly role: MessageRole;
  /** Of a tool's message: the call that it answers. */
  readonly toolCallId?: string | null | undefined;
  /** Calls of tools: JSON text of a list of {"type": "function", "function": {"name", "arguments"}}. */
  readonly toolCalls?: string | null | undefined;
};

/** Who says a message. */
export type MessageRole =
  /** The model. */
  | 'assistant'
  /** The same, under the name that newer templates know. */
  | 'developer'
  /** Whoever runs the conversation. */
  | 'system'
  /** A tool that the model has called. */
  | 'tool'
  /** The user. */
  | 'user';

/** A note for programs. */
export type MetadataEntryInput = {
  /** What it is about, 1 to 64 characters. */
  readonly key: string;
  /** What it says, at most 500 characters. */
  readonly value: string;
};

/** What a fine-tune trains. */
export type Method =
  /** All weights of the model, or those of the tensors named in `tensors`. */
  | 'FULL'
  /** Only the output head. If it shares its weights with the input embeddings, both change. */
  | 'HEAD'
  /** A low-rank adapter (Hu et al. 2021) on linear layers whose own weights do not change. The result is an adapter that peft loads. */
  | 'LORA'
  /** A prefix (Li and Liang 2021): keys and values in each layer that precede those of every sequence. They start as those of tokens drawn from the vocabulary. The result is an adapter that peft loads. */
  | 'PREFIX';

/** How far a base model from the hub is. */
export type ModelDownloadStatus =
  /** Somebody cancelled it. */
  | 'CANCELLED'
  /** See its error. What was downloaded is kept, so that another request goes on from there. */
  | 'FAILED'
  /** A worker downloads it. */
  | 'RUNNING'
  /** It is a base model. */
  | 'SUCCEEDED'
  /** No worker has taken it yet. */
  | 'WAITING';

/** The status of an evaluation. SUCCEEDED, FAILED and CANCELLED are final. */
export type ModelEvaluationStatus =
  /** Stopped on request. */
  | 'CANCELLED'
  /** Stopped by an error; the field error explains it. */
  | 'FAILED'
  /** Waiting for a worker. */
  | 'QUEUED'
  /** Being measured, or about to be begun again by another worker. */
  | 'RUNNING'
  /** Measured. */
  | 'SUCCEEDED';

/** A model that can answer. Give exactly one field. */
export type ModelInput =
  {   /** Id of a checkpoint. */
  readonly checkpoint: string; readonly fineTune?: never; readonly name?: never; }
  |  { readonly checkpoint?: never;   /** Id of a run: its checkpoint at the best evaluation, or its last one without evaluations. */
  readonly fineTune: string; readonly name?: never; }
  |  { readonly checkpoint?: never; readonly fineTune?: never;   /** An alias, the name of a base model, the id of a checkpoint, or the id of a run for its best checkpoint: the first of these that exists, as the OpenAI protocol reads names. */
  readonly name: string; };

/** Distribution of the perturbation. Both have mean 0 and variance 1. */
export type NoiseKind =
  /** A centred binomial with 17 levels, up to 4 standard deviations: close to a normal distribution. */
  | 'NORMAL'
  /** +1 or -1 with equal probability: the cheapest. */
  | 'RADEMACHER';

/** What a fine-tune minimises. */
export type Objective =
  /** The share of rows whose right candidate does not have the best score: 1 - accuracy. */
  | 'ACCURACY'
  /** The cross-entropy of the right candidate under a softmax over the candidates' mean log-likelihoods. Candidates are those of the row, or the label words. */
  | 'CLASSIFICATION'
  /** The share of generated answers that match no accepted answer. Needs answerTokens of at least 1. */
  | 'EXACT_MATCH'
  /** 1 - F1 between the words of the generated answer and those of the closest accepted answer. Needs answerTokens of at least 1. */
  | 'F1'
  /** The mean loss over the scored tokens. */
  | 'LOSS';

/** Number format of multiplications. */
export type Precision =
  /** Factors are rounded to 8 bits of mantissa: faster on processors that multiply bfloat16. The run waits for a worker with such a processor. */
  | 'BFLOAT16'
  /** Single precision, on every device. */
  | 'FLOAT32';

/** How rows are prepared, in this order: convert, remove duplicates, take one part of a split, sample. */
export type PreparationInput = {
  /** The part to store. Left out, all rows. */
  readonly part?: DatasetPart | null | undefined;
  /** Number of rows to sample for each completion. Left out, all rows. */
  readonly perClass?: number | null | undefined;
  /** The task that the rows come from. Cannot be combined with `template`. */
  readonly preset?: DatasetPreset | null | undefined;
  /** Seed of the split and the sample. Default 0. */
  readonly seed?: number | null | undefined;
  /** How to convert rows that no preset covers. */
  readonly template?: TemplateInput | null | undefined;
  /** Share of rows in the test part, 0 to below 1. Default 0. */
  readonly testShare?: number | null | undefined;
  /** Share of rows in the validation part, 0 to below 1. Default 0. */
  readonly validationShare?: number | null | undefined;
};

/** What to preview: a stored dataset, or rows given inline, for a base model or a checkpoint. */
export type PreviewRowsInput = {
  /** Start after this cursor of the dataset's `storedRows`. Left out, with its first row. */
  readonly after?: string | null | undefined;
  /** Name of a base model. Required unless `checkpoint` is given. */
  readonly baseModel?: string | null | undefined;
  /** Id of a checkpoint, instead of a base model. */
  readonly checkpoint?: string | null | undefined;
  /** Id of a dataset. Required unless `jsonl` is given. */
  readonly dataset?: string | null | undefined;
  /** Rows as createDataset takes them inline, at most 1048576 bytes. */
  readonly jsonl?: string | null | undefined;
  /** As in createFineTune. */
  readonly labelWords?: ReadonlyArray<string> | null | undefined;
  /** Tokens of the context that a prefix takes. Default: 0. */
  readonly prefixLength?: number | null | undefined;
  /** How to prepare the inline rows first. */
  readonly prepare?: PreparationInput | null | undefined;
  /** Number of rows to show, the first ones: 1 to 10. Default 5. */
  readonly rows?: number | null | undefined;
  /** As in createFineTune. Default: REFUSE. */
  readonly truncate?: Truncation | null | undefined;
};

/** Seconds that a project keeps what it creates. Null takes a limit away; what is left out stays as it is. */
export type ProjectKeepInput = {
  /** Checkpoints, the best and the last one too. While their run may still need them they stay. */
  readonly checkpoints?: number | null | undefined;
  /** Completions. Without it, as the operator says. */
  readonly completions?: number | null | undefined;
  /** Datasets. */
  readonly datasets?: number | null | undefined;
  /** Evaluations that were asked for. */
  readonly evaluations?: number | null | undefined;
  /** Runs, with all that is theirs. */
  readonly fineTunes?: number | null | undefined;
  /** Rebuilt weights and exports of checkpoints, since they were last asked for or downloaded. 0 keeps them. Without it, as the operator says. */
  readonly weights?: number | null | undefined;
};

/** What a quota limits. */
export type QuotaName =
  /** Bytes of stored datasets, weights and exports, and of those that workers are to store. */
  | 'BYTES'
  /** Runs that workers train at once. Nothing is refused for it: the others wait, and say why. */
  | 'CONCURRENT_RUNS'
  /** Requests to models that have not ended: those that wait for a worker, and those that are being answered. */
  | 'REQUESTS_WAITING'
  /** Steps in a month of UTC: trained, and still to come in unfinished runs. */
  | 'STEPS_A_MONTH'
  /** Tokens in a month of UTC, trained and generated. What is under way may go beyond it. */
  | 'TOKENS_A_MONTH'
  /** Seconds that workers take in a month of UTC: for steps, evaluations, answers and rebuilds. What is under way may go beyond it. */
  | 'WORKER_SECONDS_A_MONTH';

/** Quotas of a project: null takes one away, and what is left out stays as it is. */
export type QuotasInput = {
  /** Bytes of stored datasets, weights and exports, and of those that workers are to store. */
  readonly bytes?: number | null | undefined;
  /** Runs that workers train at once; the others wait. */
  readonly concurrentRuns?: number | null | undefined;
  /** Requests to models that have not ended: those that wait for a worker, and those that are being answered. */
  readonly requestsWaiting?: number | null | undefined;
  /** Steps in a month of UTC. */
  readonly stepsAMonth?: number | null | undefined;
  /** Tokens trained and generated in a month of UTC. */
  readonly tokensAMonth?: number | null | undefined;
  /** Seconds that workers take in a month of UTC. */
  readonly workerSecondsAMonth?: number | null | undefined;
};

/** What a rate limit counts. */
export type RateLimitName =
  /** Requests that upload or download files. */
  | 'FILES'
  /** Points of GraphQL operations: one for each started 1000 of complexity. */
  | 'GRAPHQL'
  /** Requests to /v1, by the OpenAI protocol. */
  | 'OPENAI';

/** Whose rate limits. Give exactly one field. */
export type RateLimitedInput =
  {   /** This key. */
  readonly apiKey: string; readonly project?: never; }
  |  { readonly apiKey?: never;   /** Each key of this project that has none of its own. */
  readonly project: string; };

/** Rate limits for a window of a minute: 0 for no limit, null for the usual one; what is left out stays as it is. */
export type RateLimitsInput = {
  /** Requests that upload or download files. */
  readonly files?: number | null | undefined;
  /** Points of GraphQL operations. */
  readonly graphql?: number | null | undefined;
  /** Requests to /v1. */
  readonly openai?: number | null | undefined;
};

/** How the learning rate changes after the warm-up. */
export type Schedule =
  /** It stays the same. */
  | 'CONSTANT'
  /** It falls along half a cosine, to 0 after the last step. */
  | 'COSINE'
  /** It falls linearly, to 0 after the last step. */
  | 'LINEAR';

/** What an API key allows. Every scope but `INFER` includes `READ`. */
export type Scope =
  /** To manage the project's keys; in the default project, to manage all projects. */
  | 'ADMIN'
  /** To ask models, and to read the answers. */
  | 'INFER'
  /** To read what the project has. */
  | 'READ'
  /** To create, stop and delete runs, and to have weights rebuilt. */
  | 'TRAIN'
  /** To store datasets, register models, set aliases and share. */
  | 'WRITE';

/** Texts to score. */
export type ScoreInput = {
  /** The model that scores. */
  readonly model: ModelInput;
  /** The texts, at most 256. */
  readonly rows: ReadonlyArray<ScoreRowInput>;
};

/** A text whose tokens are scored after another one. */
export type ScoreRowInput = {
  /** The text to score, including a leading space if it needs one. */
  readonly completion: string;
  /** The text before it. */
  readonly prompt: string;
};

/** Several values of some settings. A sweep has a run for each combination of them. */
export type SweepGridInput = {
  /** Values of the setting accumulate. */
  readonly accumulate?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting answerTokens. */
  readonly answerTokens?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting batchSize. */
  readonly batchSize?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting bestMetric. */
  readonly bestMetric?: ReadonlyArray<BestMetric> | null | undefined;
  /** Values of the setting checkpointEvery. */
  readonly checkpointEvery?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting clipGradient. */
  readonly clipGradient?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting epsilon. */
  readonly epsilon?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting estimates. */
  readonly estimates?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting estimatesAtEnd. */
  readonly estimatesAtEnd?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting estimator. */
  readonly estimator?: ReadonlyArray<Estimator> | null | undefined;
  /** Values of the setting evaluateEvery. */
  readonly evaluateEvery?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting inContextRows. */
  readonly inContextRows?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting learningRate. */
  readonly learningRate?: ReadonlyArray<number | "AUTO"> | null | undefined;
  /** Values of the setting linearProbe. */
  readonly linearProbe?: ReadonlyArray<boolean> | null | undefined;
  /** Values of the setting loraAlpha. */
  readonly loraAlpha?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting loraRank. */
  readonly loraRank?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting loraTargets. */
  readonly loraTargets?: ReadonlyArray<ReadonlyArray<string>> | null | undefined;
  /** Values of the setting maxSeconds. */
  readonly maxSeconds?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting method. */
  readonly method?: ReadonlyArray<Method> | null | undefined;
  /** Values of the setting noise. */
  readonly noise?: ReadonlyArray<NoiseKind> | null | undefined;
  /** Values of the setting objective. */
  readonly objective?: ReadonlyArray<Objective> | null | undefined;
  /** Values of the setting patience. */
  readonly patience?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting precision. */
  readonly precision?: ReadonlyArray<Precision> | null | undefined;
  /** Values of the setting prefixLength. */
  readonly prefixLength?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting schedule. */
  readonly schedule?: ReadonlyArray<Schedule> | null | undefined;
  /** Values of the setting seed. */
  readonly seed?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting steps. */
  readonly steps?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting tensors. */
  readonly tensors?: ReadonlyArray<ReadonlyArray<string>> | null | undefined;
  /** Values of the setting truncate. */
  readonly truncate?: ReadonlyArray<Truncation> | null | undefined;
  /** Values of the setting warmupSteps. */
  readonly warmupSteps?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting weightDecay. */
  readonly weightDecay?: ReadonlyArray<number> | null | undefined;
  /** Values of the setting whenDiverged. */
  readonly whenDiverged?: ReadonlyArray<WhenDiverged> | null | undefined;
};

/** What varies between the runs of a sweep. */
export type SweepVariationInput =
  {   /** All combinations of these values. */
  readonly grid: SweepGridInput; readonly list?: never; }
  |  { readonly grid?: never;   /** The settings of each run, where they are not those of `run`; 1 to 100 of them. */
  readonly list: ReadonlyArray<HyperparametersInput>; };

/** How rows of any fields become prompts and completions. */
export type TemplateInput = {
  /** Instead of labels: the completion, with names of fields in braces. */
  readonly completion?: string | null | undefined;
  /** Field that holds the label. Default `label`. */
  readonly labelField?: string | null | undefined;
  /** All labels. Their completions are the candidates of every row. Required unless `completion` is given. */
  readonly labels?: ReadonlyArray<LabelInput> | null | undefined;
  /** The prompt, with names of fields in braces: {text} It was */
  readonly prompt: string;
};

/** What happens to rows that do not fit the model's context. */
export type Truncation =
  /** The last tokens of the prompt are left out. Of a conversation, the exchanges before the last question that is answered are left out whole, the latest first. */
  | 'END'
  /** The run is refused, with the lines of these rows. */
  | 'REFUSE'
  /** The first tokens of the prompt are left out, after its special tokens. Of a conversation, the first exchanges are left out whole, answers included, but not the system's turns and the last question that is answered. */
  | 'START';

/** What to change of a run. What is left out stays as it is. */
export type UpdateFineTuneInput = {
  /** Tags that it gets beside those that it has. With `tags`, beside these. */
  readonly addTags?: ReadonlyArray<string> | null | undefined;
  /** Whether lists leave it out. Nothing of it is deleted. */
  readonly archived?: boolean | null | undefined;
  /** Notes for programs: at most 32, each with another key. In place of those that it has. */
  readonly metadata?: ReadonlyArray<MetadataEntryInput> | null | undefined;
  /** Name of the run, 1 to 200 characters. */
  readonly name?: string | null | undefined;
  /** -100 to 100: of its project, workers take runs of a higher priority first. A run that a worker has stays with it. */
  readonly priority?: number | null | undefined;
  /** Tags that it loses. One that it does not have is no error. */
  readonly removeTags?: ReadonlyArray<string> | null | undefined;
  /** Words to find it by: at most 32, each of 1 to 64 characters. In place of those that it has. */
  readonly tags?: ReadonlyArray<string> | null | undefined;
};

/** What to change of a webhook. What is left out stays. */
export type UpdateWebhookInput = {
  /** As in CreateWebhookInput. */
  readonly description?: string | null | undefined;
  /** Whether messages are made for it and sent. What waited when it was disabled is sent when it is enabled; what happened in between is not. */
  readonly enabled?: boolean | null | undefined;
  /** As in CreateWebhookInput; empty for all. */
  readonly events?: ReadonlyArray<string> | null | undefined;
  /** As in CreateWebhookInput. */
  readonly url?: string | null | undefined;
};

/** Where a delivery is. */
export type WebhookDeliveryStatus =
  /** Answered with a status of 200 to 299. */
  | 'DELIVERED'
  /** Given up after the last attempt. It can be replayed. */
  | 'FAILED'
  /** To be tried, now or after a pause; it waits while the webhook is disabled. */
  | 'PENDING';

/** A number format of stored weights. */
export type WeightsDtype =
  /** The upper half of a float32. */
  | 'BFLOAT16'
  /** IEEE 754 binary16; 65504 at most. */
  | 'FLOAT16'
  /** IEEE 754 binary32. */
  | 'FLOAT32';

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

/** What happens when a run diverges. */
export type WhenDiverged =
  /** It ends as FAILED, with the error DIVERGED. Its log, checkpoints and evaluations stay usable. */
  | 'END'
  /** It ends as with END, and a new run takes its remaining steps from its best checkpoint, or from where it started, at a third of its learning rate; at most 3 times in a row. Events (WENT_BACK) of both runs say so. */
  | 'GO_BACK'
  /** It goes on to its last step; an event (DIVERGED) says so. */
  | 'GO_ON';
