/** What estimateFineTune answers with. */
import type { ErrorCode, InputIssue } from "../../../schema/errors.ts";
import type { Passes, PlannedEvaluation, RowTokens, RunCounts, RunSeconds } from "../../../schema/estimate.ts";
import type { LiveWorker } from "../../../store/store.ts";
import { builder } from "../builder.ts";
import { WorkerRef } from "../worker.ts";
import { ErrorCodeRef, IssueRef } from "./error.ts";
import { EvaluationKindRef } from "./evaluation.ts";

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly issues: readonly InputIssue[];
  /** The argument that it is about, if the issues do not say so. */
  readonly argument: string | null;
}

interface WorkerEstimate {
  readonly worker: LiveWorker;
  readonly lacks: readonly string[];
  readonly seconds: RunSeconds | null;
  readonly unmeasured: string | null;
}

export interface FineTuneEstimate {
  readonly refusals: readonly Refusal[];
  /** Of the rows. */
  readonly notes: readonly string[];
  readonly counts: RunCounts | null;
  /** Why nothing could be counted. */
  readonly uncounted: string | null;
  readonly memoryBytes: number | null;
  readonly storedWeightsBytes: number | null;
  readonly workers: readonly WorkerEstimate[];
}

export const RefusalRef = builder.objectRef<Refusal>("FineTuneRefusal").implement({
  description: "An error that createFineTune would answer with.",
  fields: (t) => ({
    code: t.expose("code", { type: ErrorCodeRef, description: "Stable code for programs." }),
    message: t.exposeString("message", { description: "What is wrong and what to do, in words." }),
    issues: t.field({
      type: [IssueRef],
      description: "Problems in the input, by field or line.",
      resolve: ({ issues }) => issues,
    }),
    argument: t.exposeString("argument", {
      nullable: true,
      description:
        "The argument whose rows are wrong, such as input.validationDataset; null if the issues name a field.",
    }),
  }),
});

const passesText = "Forward passes of one side of the weights: a two-sided estimate has two.";
const tokensText = "Tokens that these passes read. Rows are packed without padding.";

const PassesRef = builder.objectRef<Passes>("PassCounts").implement({
  description: "Forward passes, and the tokens that they read.",
  fields: (t) => ({
    passes: t.expose("passes", { type: "SafeInt", description: passesText }),
    tokens: t.expose("tokens", { type: "SafeInt", description: tokensText }),
  }),
});

const RowTokensRef = builder.objectRef<RowTokens>("RowTokenCounts").implement({
  description: "The rows of a dataset, in the tokens of the base model.",
  fields: (t) => ({
    rows: t.exposeInt("rows", { description: "Number of rows." }),
    tokens: t.expose("tokens", { type: "SafeInt", description: "Tokens of all rows." }),
    scored: t.expose("scored", { type: "SafeInt", description: "Tokens whose loss counts." }),
    longest: t.exposeInt("longest", { description: "Tokens of the longest row." }),
  }),
});

const PlannedEvaluationRef = builder.objectRef<PlannedEvaluation>("PlannedEvaluation").implement({
  description: "Rows that a run measures without training on them.",
  fields: (t) => ({
    kind: t.expose("kind", { type: EvaluationKindRef, description: "What is measured." }),
    times: t.exposeInt("times", {
      description: "How often. The test rows are measured once only if no step made the validation rows better.",
    }),
    passes: t.expose("passes", { type: "SafeInt", description: "Forward passes of all times." }),
    tokens: t.expose("tokens", { type: "SafeInt", description: tokensText }),
  }),
});

const CountsRef = builder.objectRef<RunCounts>("RunCounts").implement({
  description: "What a run does, if it neither ends early nor fails.",
  fields: (t) => ({
    training: t.expose("training", { type: RowTokensRef, description: "The training rows." }),
    validation: t.expose("validation", { type: RowTokensRef, nullable: true, description: "The validation rows." }),
    test: t.expose("test", { type: RowTokensRef, nullable: true, description: "The test rows." }),
    steps: t.expose("steps", { type: PassesRef, description: "The passes of all steps." }),
    probes: t.expose("probes", {
      type: PassesRef,
      description: "The passes from which learningRate AUTO is chosen; 0 for a given rate.",
    }),
    evaluations: t.field({
      type: [PlannedEvaluationRef],
      description: "Evaluations, baselines among them.",
      resolve: ({ evaluations }) => evaluations,
    }),
    logEntries: t.expose("logEntries", { type: "SafeInt", description: "Entries that the run adds to its log." }),
    logBytes: t.expose("logBytes", {
      type: "SafeInt",
      description: "Bytes of these entries. The header of the log has some hundreds more.",
    }),
    checkpoints: t.exposeInt("checkpoints", {
      description: "Checkpoints, without those of new best evaluations. Each is a position in the log.",
    }),
    weightsBytes: t.expose("weightsBytes", {
      type: "SafeInt",
      description: "Bytes of the weights of one checkpoint, where they are stored.",
    }),
    exact: t.exposeBoolean("exact", { description: "Whether passes and tokens are exact; `why` explains." }),
    why: t.exposeString("why", { nullable: true, description: "Why they are not exact; null if they are." }),
  }),
});

const SecondsRef = builder.objectRef<RunSeconds>("RunSeconds").implement({
  description: "How long a run would take from when a worker claims it, if it does not end early.",
  fields: (t) => ({
    total: t.exposeFloat("total", { description: "Seconds in all." }),
    start: t.exposeFloat("start", { description: "Seconds to read rows and model; a fork replays its log besides." }),
    steps: t.exposeFloat("steps", { description: "Seconds of the steps, and of choosing the learning rate." }),
    evaluations: t.exposeFloat("evaluations", { description: "Seconds of evaluations and baselines." }),
  }),
});

const WorkerEstimateRef = builder.objectRef<WorkerEstimate>("WorkerEstimate").implement({
  description: "A worker, as far as a run is concerned.",
  fields: (t) => ({
    worker: t.expose("worker", { type: WorkerRef, description: "The worker." }),
    lacks: t.field({
      type: ["String"],
      description: "What it lacks to train the run, in words. Empty if it could.",
      resolve: ({ lacks }) => [...lacks],
    }),
    seconds: t.expose("seconds", {
      type: SecondsRef,
      nullable: true,
      description: "How long it would take there, as the worker measured with some batches and rows. Null if unknown.",
    }),
    unmeasured: t.exposeString("unmeasured", {
      nullable: true,
      description: "Why that is not known, for people; null if it is, or the worker lacks something.",
    }),
  }),
});

export const FineTuneEstimateRef = builder.objectRef<FineTuneEstimate>("FineTuneEstimate").implement({
  description: "What a run would take.",
  fields: (t) => ({
    errors: t.field({
      type: [RefusalRef],
      description:
        "All errors for which createFineTune would refuse it, and those that would end it before its first step.",
      resolve: ({ refusals }) => refusals,
    }),
    notes: t.field({
      type: ["String"],
      description:
        "What is to be known of the rows, in words, as the events of the run would have it: prompts that are cut, label words " +
        "with odd spaces, rows that repeat or contradict others.",
      resolve: ({ notes }) => [...notes],
    }),
    counts: t.expose("counts", {
      type: CountsRef,
      nullable: true,
      description: "What it does. Null if there are errors, or it cannot be counted.",
    }),
    uncounted: t.exposeString("uncounted", {
      nullable: true,
      description: "Why it cannot be counted, such as a model that only workers have.",
    }),
    memoryBytes: t.expose("memoryBytes", {
      type: "SafeInt",
      nullable: true,
      description:
        "Memory that a worker needs at least, for the weights and an adapter, in bytes. Null if the model is not known.",
    }),
    storedWeightsBytes: t.expose("storedWeightsBytes", {
      type: "SafeInt",
      nullable: true,
      description: "Bytes of weights that the run stores at its end: 0 without keepWeights.",
    }),
    workers: t.field({
      type: [WorkerEstimateRef],
      description: "The running workers, and which of them could train it.",
      resolve: ({ workers }) => workers,
    }),
  }),
});
