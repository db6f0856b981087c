/**
 * Requests to write or to score text, in the words that gateway, store and worker share. The gateway turns text into tokens
 * and checks everything that needs no weights; a worker turns tokens into text.
 */
import { z } from "zod";
import { type CompletionStatus, completionStatuses } from "./completion-states.ts";
import { limits } from "./limits.ts";

export { completionStatuses, type CompletionStatus };

/** What each status may become. RUNNING follows RUNNING when another worker takes over. */
export const completionTransitions: Readonly<Record<CompletionStatus, readonly CompletionStatus[]>> = {
  QUEUED: ["RUNNING", "FAILED", "CANCELLED"],
  RUNNING: ["RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

export function hasEnded(status: CompletionStatus): boolean {
  return completionTransitions[status].length === 0;
}

/** Those of a completion, or of an evaluation that was asked for, that is over. */
export const endedStatuses = completionStatuses.filter(hasEnded);

/** What a worker does before the first token of a model that it does not hold: rebuilds its weights, or reads them. */
export const completionStages = ["REBUILDING", "LOADING"] as const;
export type CompletionStage = (typeof completionStages)[number];

/** Why a choice ended: its end-of-sequence token, a stop string, its length, or a cancelled request. */
export const finishReasons = ["END", "STOP", "LENGTH", "CANCELLED"] as const;
export type FinishReason = (typeof finishReasons)[number];

/** By which door a request came. */
export type CompletionProtocol = "GRAPHQL" | "OPENAI";

const finite = z.number();

/** How the next token is picked. Logits take the biases and penalties first, then temperature, top-k, top-p and min-p. */
export const samplingSchema = z.strictObject({
  /** Logits are divided by it; 0 picks the likeliest token. */
  temperature: finite.min(0).max(2).default(1),
  /** Samples from this many of the likeliest tokens; null for all. */
  topK: z.int().min(1).max(limits.vocabulary).nullable().default(null),
  /** Samples from the smallest set of likeliest tokens with this total probability: above 0, up to 1. */
  topP: finite.gt(0).max(1).default(1),
  /** Leaves out tokens less likely than this share of the likeliest one's probability: 0 to 1. */
  minP: finite.min(0).max(1).default(0),
  /** Positive logits of tokens that occurred, in prompt or answer, are divided by it, negative ones multiplied; 1 is none. */
  repetitionPenalty: finite.gt(0).max(10).default(1),
  /** Subtracted from the logits of tokens that the answer has, once, and once for each time. */
  presencePenalty: finite.min(-2).max(2).default(0),
  frequencyPenalty: finite.min(-2).max(2).default(0),
  /** Added to logits: pairs of token and bias. */
  logitBias: z
    .array(z.tuple([z.int().min(0), finite.min(-100).max(100)]))
    .max(limits.logitBiases)
    .default([]),
  /** Choice c of a request samples token t with block t of the stream of (seed, c). */
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
});
export type Sampling = z.output<typeof samplingSchema>;

/** Writes text after the prompt. */
export interface GenerateTask {
  readonly kind: "GENERATE";
  /** Tokens of each choice at most. */
  readonly maxTokens: number;
  /** Choices. */
  readonly n: number;
  readonly stop: readonly string[];
  /** Likeliest tokens told with each token that was picked; 0 tells of the picked one alone, null of none. */
  readonly logprobs: number | null;
  readonly sampling: Sampling;
  /** Of a stored chat completion, for whoever reads it again; workers do not look at it. */
  readonly tools?: GivenTools | null;
}

/** Tools that a conversation has: their calls are read from what was written. */
export interface GivenTools {
  readonly names: readonly string[];
  /** Whether there may be more than one call. */
  readonly parallel: boolean;
}

/** Tokens whose log-probabilities are wanted, after tokens that are given. */
export interface ScoredRow {
  readonly prompt: readonly number[];
  /** At least one token. */
  readonly completion: readonly number[];
}

/** Measures log-probabilities. */
export interface ScoreTask {
  readonly kind: "SCORE";
  readonly rows: readonly ScoredRow[];
  /** Likeliest tokens told with each scored one, as in GenerateTask; null tells of none. */
  readonly logprobs: number | null;
  /** Of a request to choose: the rows are one per label, then, if calibrated, one per label after the calibration prompt. */
  readonly labels: { readonly words: readonly string[]; readonly isCalibrated: boolean } | null;
}

export type CompletionTask = GenerateTask | ScoreTask;

export interface TokenChance {
  readonly token: number;
  /** The token alone as text, where it is whole characters; otherwise with U+FFFD for what is not. */
  readonly text: string;
  /** Its bytes in UTF-8, also where they are part of a character. */
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability in the model's own distribution, before any setting of the sampling. */
  readonly logprob: number;
}

export interface TokenLogprob extends TokenChance {
  /** The likeliest tokens, most likely first. */
  readonly top: readonly TokenChance[];
}

/** Consecutive tokens of one choice, as they came together. */
export interface Piece {
  readonly choice: number;
  /** Number of the first of `tokens` within the choice, from 0. */
  readonly firstToken: number;
  readonly tokens: readonly number[];
  /** Text that has become certain; may lag behind the tokens, or be empty. */
  readonly text: string;
  /** One per token; null unless wanted. */
  readonly logprobs: readonly TokenLogprob[] | null;
  /** In the last piece of a choice. */
  readonly finish: FinishReason | null;
}

/** Log-probabilities of one scored row, one per token of its completion. */
export type RowScore = readonly TokenLogprob[];

/** Tokens. Of a prompt that is computed once for n choices, the prompt counts once. */
export interface Usage {
  readonly promptTokens: number;
  /** Of these, tokens whose keys and values were at hand. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}
