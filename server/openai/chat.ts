/** POST /v1/chat/completions. */
import type { GivenTools } from "../../schema/completion.ts";
import { checkText } from "../completions.ts";
import { answeringByName } from "../targets.ts";
import { ChatChunks, chatAnswer } from "./chat-answer.ts";
import type { ChatRequest } from "./chat-request.ts";
import { type Dialect, type Exchange, writeStream, writeWhole } from "./write.ts";

/** Of the ids of chat completions; the row's follows. */
export const chatPrefix = "chatcmpl-";

/** Unless the request says how many, and where they fit. */
const usualTokens = 4_096;

export async function answerChat(exchange: Exchange, request: ChatRequest): Promise<void> {
  const { asking } = exchange;
  const { model, messages, tools, store: keep, stream, ...wanted } = request;
  const answering = await answeringByName(asking.store, model, "model");
  const prompts = [{ field: "messages", asked: { messages, tools } }];
  const { tasks } = await checkText(asking, answering, { ...wanted, usualTokens, prompts });
  const write = stream ? writeStream : writeWhole;
  const read = tools && keep ? toolsOf(tools, request.parallelCalls) : null;
  const kept = tasks.map((checked) => ({ ...checked, task: { ...checked.task, ...(read && { tools: read }) } }));
  await write(exchange, { answering, tasks: kept, model, keep }, dialectOf(request));
}

function dialectOf({ tools, parallelCalls, includeUsage }: ChatRequest): Dialect {
  const options = { tools: tools && toolsOf(tools, parallelCalls), includeUsage };
  return {
    prefix: chatPrefix,
    whole: (head, pieces, usage) => chatAnswer(head, pieces, usage, options),
    chunks: (head) => new ChatChunks(head, options),
  };
}

function toolsOf(tools: NonNullable<ChatRequest["tools"]>, parallel: boolean): GivenTools {
  return { names: tools.map((tool) => tool.function.name), parallel };
}
