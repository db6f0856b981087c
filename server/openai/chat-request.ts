/** Reads the body of POST /v1/chat/completions. */
import { z } from "zod";
import { limits } from "../../schema/limits.ts";
import type { Message } from "../../dataset/message.ts";
import { checkFields, readFields } from "./fields.ts";
import { messages } from "./messages.ts";
import { samplingOf, sharedFields, type WrittenRequest } from "./shared-fields.ts";

export interface ChatRequest extends WrittenRequest {
  readonly messages: readonly Message[];
  readonly tools: readonly ChatTool[] | null;
  /** Whether an answer may call more than one tool. */
  readonly parallelCalls: boolean;
  /** Whether prompt and answer stay until they expire. */
  readonly store: boolean;
}

/** @throws Refusal */
export function readChatRequest(body: Uint8Array): ChatRequest {
  const fields = checkFields(readFields(body, "chat"), chatSchema);
  const callable = fields.tool_choice !== "none" && fields.tools !== undefined && fields.tools.length > 0;
  return {
    ...samplingOf(fields),
    maxTokens: fields.max_completion_tokens ?? fields.max_tokens ?? null,
    logprobs: fields.logprobs === true ? (fields.top_logprobs ?? 0) : null,
    messages: fields.messages,
    tools: callable ? (fields.tools ?? null) : null,
    parallelCalls: fields.parallel_tool_calls,
    store: fields.store,
  };
}

const noForcedCalls = 'must be "auto" or "none": a call cannot be forced, since answers are not constrained';
const noFormats =
  'must be {"type": "text"}: answers are not constrained while they are written. Describe the format in the messages';

const tool = z.strictObject({
  type: z.literal("function", 'must be "function"'),
  function: z.strictObject({
    name: z.string().regex(/^[\w.:-]{1,200}$/u, "must be letters, digits, and any of _ . - :"),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.literal(false, "must be false: answers are not constrained while they are written").nullish(),
  }),
});

type ChatTool = z.infer<typeof tool>;

const chatSchema = z
  .strictObject({
    ...sharedFields,
    max_tokens: z.int().min(1).optional(),
    max_completion_tokens: z.int().min(1).optional(),
    messages,
    logprobs: z.boolean().optional(),
    top_logprobs: z.int().min(0).max(limits.topLogprobs).optional(),
    tools: z.array(tool).max(128).optional(),
    tool_choice: z.enum(["auto", "none"], noForcedCalls).default("auto"),
    parallel_tool_calls: z.boolean().default(true),
    response_format: z.strictObject({ type: z.literal("text", noFormats) }, noFormats).optional(),
    store: z.boolean().default(false),
    metadata: z.record(z.string(), z.string()).optional(),
    safety_identifier: z.string().optional(),
    prompt_cache_key: z.string().optional(),
    prompt_cache_retention: z.string().optional(),
    service_tier: z.enum(["auto", "default"]).optional(),
    modalities: z.tuple([z.literal("text")], 'must be ["text"]').optional(),
  })
  .superRefine((fields, context) => {
    const refuse = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    const { max_tokens: most, max_completion_tokens: mostOfCompletion } = fields;
    if (most !== undefined && mostOfCompletion !== undefined && most !== mostOfCompletion)
      refuse("max_tokens", `is ${most}, but max_completion_tokens, which means the same, is ${mostOfCompletion}`);
    if (fields.top_logprobs !== undefined && fields.logprobs !== true)
      refuse("top_logprobs", "needs logprobs to be true");
    if (fields.stream_options && !fields.stream) refuse("stream_options", "needs stream to be true");
  });
