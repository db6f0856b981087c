/** What a request to write, to choose or to score names: a model, a prompt. */
import { z } from "zod";
import type { Asked, Prompt } from "../../../dataset/ask.ts";
import { parseMessages } from "../../../dataset/message.ts";
import { SteplogError, withIssues } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import type { ProjectStore } from "../../../store/store.ts";
import { type Answering, answeringBest, answeringByName, answeringCheckpoint } from "../../targets.ts";
import { builder } from "../builder.ts";
import { requireCheckpoint, requireFineTune } from "../lookup.ts";
import { CheckpointRef, FineTuneRef } from "../nodes.ts";

export const ModelInput = builder.inputType("ModelInput", {
  description: "A model that can answer. Give exactly one field.",
  isOneOf: true,
  fields: (t) => ({
    name: t.string({
      description:
        "An alias, the name of a base model, the id of a checkpoint, or the id of a run for its best checkpoint: the first " +
        "of these that exists, as the OpenAI protocol reads names.",
    }),
    checkpoint: t.globalID({ for: CheckpointRef, description: "Id of a checkpoint." }),
    fineTune: t.globalID({
      for: FineTuneRef,
      description: "Id of a run: its checkpoint at the best evaluation, or its last one without evaluations.",
    }),
  }),
});

/** @param field where the input stands in the request. @throws NOT_FOUND, INVALID_STATE */
export async function answeringOfInput(
  store: ProjectStore,
  input: typeof ModelInput.$inferInput,
  field: string,
): Promise<Answering> {
  const { name, checkpoint, fineTune } = input;
  if (checkpoint) {
    return answeringCheckpoint(store, await requireCheckpoint(store, checkpoint.id, `${field}.checkpoint`));
  }
  if (fineTune) {
    const run = await requireFineTune(store, fineTune.id, `${field}.fineTune`);
    return answeringBest(store, run, `${field}.fineTune`);
  }
  return answeringByName(store, name ?? "", `${field}.name`);
}

const MessageRole = builder.enumType("MessageRole", {
  description: "Who says a message.",
  values: {
    system: { description: "Whoever runs the conversation." },
    developer: { description: "The same, under the name that newer templates know." },
    user: { description: "The user." },
    assistant: { description: "The model." },
    tool: { description: "A tool that the model has called." },
  },
});

export const MessageInput = builder.inputType("MessageInput", {
  description: "A message of a conversation, as the model's chat template takes it.",
  fields: (t) => ({
    role: t.field({ type: MessageRole, required: true, description: "Who says it." }),
    content: t.string({ description: "What is said. May be left out for a message that calls tools." }),
    toolCalls: t.string({
      description: 'Calls of tools: JSON text of a list of {"type": "function", "function": {"name", "arguments"}}.',
    }),
    toolCallId: t.string({ description: "Of a tool's message: the call that it answers." }),
    name: t.string({ description: "A name, for templates that write one." }),
  }),
});

/** At most one of the three; the caller says which are allowed. */
export interface PromptInput {
  readonly prompt?: string | null | undefined;
  readonly tokens?: readonly number[] | null | undefined;
  readonly messages?: readonly (typeof MessageInput.$inferInput)[] | null | undefined;
  readonly tools?: string | null | undefined;
}

/** @throws INVALID_ARGUMENT unless exactly one is given, and for messages that are none */
export function promptOf({ prompt, tokens, messages, tools }: PromptInput): Asked<Prompt> {
  const given = [prompt, tokens, messages].filter((one) => one != null);
  if (given.length !== 1) throw refused("prompt", "give exactly one of prompt, messages and tokens");
  if (tools != null && messages == null) throw refused("tools", "are given to a chat template: give messages");
  if (prompt != null) return { field: "prompt", asked: { text: prompt } };
  if (tokens != null) return { field: "tokens", asked: { tokens } };
  const parsed = parseMessages((messages ?? []).map(written));
  if ("issues" in parsed) throw messagesRefused(parsed.issues);
  return { field: "messages", asked: { messages: parsed.messages, tools: tools == null ? null : toolsOf(tools) } };
}

function written({ role, content, toolCalls, toolCallId, name }: typeof MessageInput.$inferInput, index: number) {
  return {
    role,
    content,
    ...(toolCalls != null && { tool_calls: jsonOf(toolCalls, `messages.${index}.toolCalls`) }),
    ...(toolCallId != null && { tool_call_id: toolCallId }),
    ...(name != null && { name }),
  };
}

function toolsOf(text: string): readonly object[] {
  const { data } = z.array(z.record(z.string(), z.unknown())).max(limits.turns).safeParse(jsonOf(text, "tools"));
  if (data) return data;
  throw refused("tools", 'must be JSON text of a list of {"type": "function", "function": {"name", ...}}');
}

function jsonOf(text: string, field: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refused(field, "is not JSON");
  }
}

function messagesRefused(issues: readonly { readonly field?: string; readonly message: string }[]): SteplogError {
  const text = issues.map(({ message }) => message).join("; ");
  return new SteplogError("INVALID_ARGUMENT", `${text}.`, issues);
}

export function refused(field: string, message: string): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", `${field}: ${message}.`, [{ field, message }]);
}

/** Does something with an input, whose fields its errors name without a prefix. @throws its errors, with the prefix */
export async function underInput<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SteplogError)) throw error;
    const issues = error.issues.map((issue) =>
      issue.field === undefined || issue.field.startsWith("input.")
        ? issue
        : { ...issue, field: `input.${issue.field}` },
    );
    throw withIssues(error, issues);
  }
}
