/** Reads the body of POST /v1/completions. */
import { z } from "zod";
import { limits } from "../../schema/limits.ts";
import { checkFields, readFields } from "./fields.ts";
import { samplingOf, sharedFields, type WrittenRequest } from "./shared-fields.ts";

/** A text, or its tokens. */
export type Prompt = string | readonly number[];

export interface CompletionRequest extends WrittenRequest {
  readonly maxTokens: number;
  /** Each has `n` answers. */
  readonly prompts: readonly Prompt[];
  /** Whether an answer starts with its prompt. */
  readonly echo: boolean;
}

/** Unless told otherwise. */
const usualTokens = 16;

/** @throws Refusal */
export function readCompletionRequest(body: Uint8Array): CompletionRequest {
  const fields = checkFields(readFields(body, "text"), completionSchema);
  return {
    ...samplingOf(fields),
    maxTokens: fields.max_tokens ?? usualTokens,
    logprobs: fields.logprobs ?? null,
    prompts: fields.prompt,
    echo: fields.echo,
  };
}

const text = z.string().min(1);
const tokens = z
  .array(
    z
      .int()
      .min(0)
      .max(2 ** 31 - 1),
  )
  .min(1);

const prompt = z
  .union([text, tokens, z.array(text).min(1).max(limits.prompts), z.array(tokens).min(1).max(limits.prompts)], {
    error: `must be a text, a list of tokens, or a list of up to ${limits.prompts} of either, none of them empty`,
  })
  .transform((given): readonly Prompt[] => {
    if (typeof given === "string") return [given];
    return isTokens(given) ? [given] : given;
  });

function isTokens(given: readonly unknown[]): given is readonly number[] {
  return typeof given[0] === "number";
}

const completionSchema = z
  .strictObject({
    ...sharedFields,
    prompt,
    logprobs: z.int().min(0).max(5).optional(),
    echo: z.boolean().default(false),
    best_of: z.int().optional(),
    suffix: z.literal("").optional(),
  })
  .superRefine((fields, context) => {
    const refuse = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (fields.best_of !== undefined && fields.best_of !== 1 && fields.best_of !== fields.n)
      refuse("best_of", `must be 1, or n, which is ${fields.n}: answers are not compared`);
    if (fields.max_tokens === 0 && !(fields.echo && fields.logprobs !== undefined))
      refuse("max_tokens", "must be at least 1, unless echo and logprobs ask for the prompt to be scored");
    if (fields.max_tokens === 0 && fields.stream) refuse("stream", "has nothing to send where max_tokens is 0");
    if (fields.stream_options && !fields.stream) refuse("stream_options", "needs stream to be true");
  });
