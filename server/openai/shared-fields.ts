/** Fields that both requests have: how tokens are chosen, and how the answer is sent. */
import { z } from "zod";
import { limits } from "../../schema/limits.ts";
import { samplingSchema, type Sampling } from "../../schema/completion.ts";

/** 2^53: as many seeds as there are integers from 0 that JSON keeps exactly. */
const seeds = 2 ** 53;

const sampling = samplingSchema.shape;

export const sharedFields = {
  model: z.string().min(1),
  max_tokens: z.int().min(0).optional(),
  temperature: sampling.temperature,
  top_p: sampling.topP,
  top_k: sampling.topK,
  min_p: sampling.minP,
  repetition_penalty: sampling.repetitionPenalty,
  presence_penalty: sampling.presencePenalty,
  frequency_penalty: sampling.frequencyPenalty,
  n: z.int().min(1).max(limits.choices).default(1),
  // A negative seed is another one's two's complement in 53 bits, so that each has a stream of its own.
  seed: z
    .int()
    .transform((seed) => (seed < 0 ? seed + seeds : seed))
    .optional(),
  stop: z
    .union([stopText().transform((text) => [text]), z.array(stopText()).max(limits.stops)], {
      error: `must be a text of 1 to ${limits.stopLength} characters, or a list of up to ${limits.stops}`,
    })
    .default([]),
  logit_bias: z
    .record(z.string().regex(/^\d{1,10}$/u, "must be the id of a token"), z.number().min(-100).max(100))
    .refine((bias) => Object.keys(bias).length <= limits.logitBiases, `must have at most ${limits.logitBiases} tokens`)
    .transform((bias) => Object.entries(bias).map(([token, added]): [number, number] => [Number(token), added]))
    .default([]),
  stream: z.boolean().default(false),
  stream_options: z
    .strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .optional(),
  user: z.string().optional(),
} as const;

function stopText() {
  return z
    .string()
    .min(1)
    .max(limits.stopLength)
    .refine((text) => text.isWellFormed(), "must be well-formed text");
}

/** What every request that writes says, once its fields are checked. */
export interface WrittenRequest {
  readonly model: string;
  /** Null for what the protocol's default is. */
  readonly maxTokens: number | null;
  readonly n: number;
  readonly stop: readonly string[];
  /** Null: drawn. */
  readonly seed: number | null;
  readonly sampling: Omit<Sampling, "seed">;
  /** How many alternatives of each token; null for no log-probabilities. */
  readonly logprobs: number | null;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

type Shared = z.infer<z.ZodObject<typeof sharedFields>>;

export function samplingOf(fields: Shared): Omit<WrittenRequest, "maxTokens" | "logprobs"> {
  return {
    model: fields.model,
    n: fields.n,
    stop: fields.stop,
    seed: fields.seed ?? null,
    sampling: {
      temperature: fields.temperature,
      topK: fields.top_k,
      topP: fields.top_p,
      minP: fields.min_p,
      repetitionPenalty: fields.repetition_penalty,
      presencePenalty: fields.presence_penalty,
      frequencyPenalty: fields.frequency_penalty,
      logitBias: fields.logit_bias,
    },
    stream: fields.stream,
    includeUsage: fields.stream_options?.include_usage === true,
  };
}
