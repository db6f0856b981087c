/** The OpenAI protocol under /v1: models, completions, chat completions, and stored ones of these. Every error has the protocol's shape. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { whenGone, type Services, type ViewerServices } from "../context.ts";
import { readBody } from "../http/body.ts";
import { sendJson } from "../http/json.ts";
import { answerChat } from "./chat.ts";
import { readChatRequest } from "./chat-request.ts";
import { readCompletionRequest } from "./completion-request.ts";
import { errorAnswer, Refusal } from "./errors.ts";
import { sendModel, sendModels } from "./list-models.ts";
import { deleteStored, sendStored } from "./stored-chat.ts";
import { answerText } from "./text.ts";
import type { Exchange } from "./write.ts";

export interface OpenAIOptions {
  readonly services: ViewerServices;
  /** Has the server end a response when it closes. */
  readonly track: (response: ServerResponse) => void;
}

export function isOpenAI(pathname: string): boolean {
  return pathname === "/v1" || pathname.startsWith("/v1/");
}

interface Asked {
  readonly services: ViewerServices;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly exchange: Exchange;
  /** What the path names; "" where it names nothing. */
  readonly id: string;
}

interface OpenAIRoute {
  readonly method: "GET" | "POST" | "DELETE";
  /** ":model" is any text, ":id" any without "/". */
  readonly path: string;
  readonly answer: (asked: Asked) => Promise<void>;
}

/** All of them: tests walk this list with keys of other projects. */
export const openAIRoutes: readonly OpenAIRoute[] = [
  {
    method: "GET",
    path: "/v1/models",
    answer: ({ services, request, response }) => sendModels(services.store, queryOf(request), response),
  },
  {
    method: "GET",
    path: "/v1/models/:model",
    answer: ({ services, response, id }) => sendModel(services.store, id, response),
  },
  {
    method: "POST",
    path: "/v1/completions",
    answer: async ({ exchange, request, response }) =>
      answerText(exchange, readCompletionRequest(await readBody(request, response))),
  },
  {
    method: "POST",
    path: "/v1/chat/completions",
    answer: async ({ exchange, request, response }) =>
      answerChat(exchange, readChatRequest(await readBody(request, response))),
  },
  {
    method: "GET",
    path: "/v1/chat/completions/:id",
    answer: ({ services, response, id }) => sendStored(services.store, id, response),
  },
  {
    method: "DELETE",
    path: "/v1/chat/completions/:id",
    answer: ({ services, response, id }) => deleteStored(services.store, id, response),
  },
];

const compiled = openAIRoutes.map((route) => {
  const pattern = route.path.replace(":model", "(?<id>.+)").replace(":id", "(?<id>[^/]+)");
  return { ...route, pattern: new RegExp(`^${pattern}$`, "u") };
});

/** @throws what `sendOpenAIError` sends */
export async function handleOpenAI(
  { services, track }: OpenAIOptions,
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const exchange = { asking: { ...services, signal: whenGone(response) }, response, track };
  for (const { method, pattern, answer } of compiled) {
    const found = request.method === method ? pattern.exec(pathname) : null;
    // Before a body is read and a prompt is made of it.
    if (found && method === "POST") services.store.demand("infer");
    if (found) return answer({ services, request, response, exchange, id: found.groups?.["id"] ?? "" });
  }
  const seen = `${request.method} ${pathname.length > 100 ? "/v1/..." : pathname}`;
  const there = openAIRoutes.map(({ method, path }) => `${method} ${path}`).join(", ");
  throw new Refusal("unknown_url", [{ message: `Unknown request URL: ${seen}. There are ${there}.` }], "NOT_FOUND");
}

function queryOf({ url = "" }: IncomingMessage): URLSearchParams {
  return new URLSearchParams(url.split("?")[1] ?? "");
}

export function sendOpenAIError(
  { log }: Services,
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (response.headersSent || response.destroyed) {
    log.debug({ err: error, path: "/v1" }, "an answer was cut off");
    response.destroy();
    return;
  }
  const { status, headers, body } = errorAnswer(error, log);
  // A client reads the answer after it has sent its body, so the rest of a refused body is read and dropped.
  if (!request.complete) request.resume();
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendJson(response, response.statusCode === 200 ? status : response.statusCode, body);
}
