/**
 * The fields of the OpenAI protocol's requests: what is used, what is accepted and changes nothing, and what is refused
 * by name. The gateway reads requests by this table, and docs/SERVING.md shows it.
 */

/** The two requests that write: POST /v1/chat/completions and POST /v1/completions. */
export const openaiRequests = ["chat", "text"] as const;
export type OpenAIRequest = (typeof openaiRequests)[number];

export interface OpenAIField {
  /** Requests that have the field. It is unknown to the other one. */
  readonly in: readonly OpenAIRequest[];
  readonly use: "used" | "ignored" | "refused";
  /** What it means here, or what to use instead. */
  readonly says: string;
}

const both = openaiRequests;
const chat = ["chat"] as const;
const text = ["text"] as const;

const used = (where: readonly OpenAIRequest[], says: string): OpenAIField => ({ in: where, use: "used", says });
const ignored = (where: readonly OpenAIRequest[], says: string): OpenAIField => ({ in: where, use: "ignored", says });
const refused = (where: readonly OpenAIRequest[], says: string): OpenAIField => ({ in: where, use: "refused", says });

export const openaiFields: Readonly<Record<string, OpenAIField>> = {
  model: used(both, "An alias, the name of a base model, or the id of a checkpoint."),
  messages: used(chat, "Turns of system, developer, user, assistant and tool: text, or lists of text parts."),
  prompt: used(text, "A text, its tokens, or a list of up to 64 of these, each answered n times."),
  max_tokens: used(
    both,
    "The most tokens of an answer; 16 by default for completions, and what fits the context, at most 4096, for chat.",
  ),
  max_completion_tokens: used(chat, "The same as max_tokens."),
  temperature: used(both, "From 0 to 2, by default 1. 0 takes the likeliest token."),
  top_p: used(both, "Above 0, up to 1: samples from the likeliest tokens of this total probability."),
  n: used(both, "Answers to each prompt, 1 to 8."),
  seed: used(
    both,
    "An integer. The same request, seed, device and model give the same text. Drawn at random if left out.",
  ),
  stop: used(both, "A text, or up to 4, of 1 to 64 characters. The answer ends before it."),
  presence_penalty: used(both, "From -2 to 2: taken off the logit of each token that the answer has."),
  frequency_penalty: used(both, "From -2 to 2: taken off once for each time that the answer has the token."),
  logit_bias: used(both, "At most 300 tokens, by id, and what is added to their logits: -100 to 100."),
  logprobs: used(
    both,
    "Log-probabilities by the model itself, before penalties and temperature. Chat: true; completions: how many alternatives, 0 to 5.",
  ),
  top_logprobs: used(chat, "Alternatives of each token, 0 to 20. Needs logprobs."),
  echo: used(text, "The prompt before the answer. With max_tokens 0 and logprobs, the prompt is scored."),
  stream: used(both, "Server-sent events as the answer is written."),
  stream_options: used(both, "include_usage: a last chunk with the usage. include_obfuscation changes nothing."),
  tools: used(chat, "Functions, for chat templates that write tools."),
  tool_choice: used(chat, '"auto" or "none". A call cannot be forced.'),
  parallel_tool_calls: used(chat, "false keeps the first call of an answer only."),
  response_format: used(chat, 'Only {"type": "text"}: answers are not constrained while they are written.'),
  store: used(
    chat,
    "true keeps prompt and answer until they expire, or are deleted by id. Otherwise they go once the answer is sent.",
  ),
  top_k: used(both, "Not part of OpenAI's API: samples from this many of the likeliest tokens."),
  min_p: used(
    both,
    "Not part of OpenAI's API: samples from tokens at least this likely, as a fraction of the likeliest one's probability.",
  ),
  repetition_penalty: used(
    both,
    "Not part of OpenAI's API: divides positive logits of tokens that prompt and answer have, and multiplies negative ones.",
  ),
  user: ignored(both, "Text."),
  metadata: ignored(chat, "Texts by name."),
  safety_identifier: ignored(chat, "Text."),
  prompt_cache_key: ignored(chat, "Text."),
  prompt_cache_retention: ignored(chat, "Text."),
  service_tier: ignored(chat, '"auto" or "default".'),
  modalities: ignored(chat, 'Only ["text"].'),
  best_of: ignored(text, "Only 1, or equal to n."),
  suffix: refused(text, "Text cannot be written into a gap. Leave it out."),
  functions: refused(chat, "Use tools."),
  function_call: refused(chat, "Use tool_choice."),
  audio: refused(chat, "Models here read and write text."),
  prediction: refused(chat, "It is not used here. Leave it out: answers are the same without it."),
  web_search_options: refused(chat, "There is no search here. Give what was found in the messages."),
  reasoning_effort: refused(chat, "How a model reasons is up to its chat template. Leave it out."),
  verbosity: refused(chat, "Say in the messages how long the answer should be, or use max_tokens."),
};
