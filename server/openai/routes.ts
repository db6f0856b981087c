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

export interface OpenAIOptions {
  readonly services: ViewerServices;
  /** Has the server end a response when it closes. */
  readonly track: (response: ServerResponse) => void;
}

export function isOpenAI(pathname: string): boolean {
  return pathname === "/v1" || pathname.startsWith("/v1/");
}

/** @throws what `sendOpenAIError` sends */
export async function handleOpenAI(
  { services, track }: OpenAIOptions,
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, model] = /^\/v1\/models\/(.+)$/u.exec(pathname) ?? [];
  if (request.method === "GET" && pathname === "/v1/models") {
    return sendModels(services.store, queryOf(request), response);
  }
  if (request.method === "GET" && model !== undefined) return sendModel(services.store, model, response);
  const [, stored] = /^\/v1\/chat\/completions\/([^/]+)$/u.exec(pathname) ?? [];
  if (stored !== undefined && request.method === "GET") return sendStored(services.store, stored, response);
  if (stored !== undefined && request.method === "DELETE") return deleteStored(services.store, stored, response);
  const exchange = { asking: { ...services, signal: whenGone(response) }, response, track };
  if (request.method === "POST" && pathname === "/v1/chat/completions")
    return answerChat(exchange, readChatRequest(await readBody(request, response)));
  if (request.method === "POST" && pathname === "/v1/completions")
    return answerText(exchange, readCompletionRequest(await readBody(request, response)));
  const seen = `${request.method} ${pathname.length > 100 ? "/v1/..." : pathname}`;
  const there =
    "There are GET /v1/models, POST /v1/completions, POST /v1/chat/completions, " +
    "and GET and DELETE /v1/chat/completions/ID for stored ones.";
  throw new Refusal("unknown_url", [{ message: `Unknown request URL: ${seen}. ${there}` }], "NOT_FOUND");
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
