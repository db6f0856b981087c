/**
 * One shape of error for the whole server. A failure that the caller can act on is a SteplogError, and is sent as
 *
 *     {"errors": [{"message": "...", "extensions": {"code": "NOT_FOUND", "issues": [{"line", "field", "message"}]}}]}
 *
 * in GraphQL answers, in subscriptions and by the plain HTTP routes, where the code also decides the status. `code` is
 * one of schema/errors.ts. Where the same request may succeed later, `retryAfter` says after how many seconds, and HTTP answers
 * have the header Retry-After. Errors that GraphQL finds in a request become INVALID_ARGUMENT. Any other failure is our
 * fault: the caller gets INTERNAL and an id, and the server's log has the details under that id.
 */
import { randomUUID } from "node:crypto";
import { GraphQLError, type GraphQLFormattedError } from "graphql";
import { PothosValidationError } from "@pothos/core";
import type { Logger } from "pino";
import { limits } from "../schema/limits.ts";
import { currentRequestId } from "./request-id.ts";
import type { QuotaUse } from "../schema/usage.ts";
import { asDiskError, errorCodes, passing, SteplogError, type ErrorCode, type InputIssue } from "../schema/errors.ts";
import { toldToClients } from "../schema/folders-in-messages.ts";

/** Characters of a message, which may quote what was sent. */
const messageLength = 2_000;

/**
 * A request that is refused before anything runs. The status is for clients that accept application/graphql-response+json,
 * and for all where it says more than that the request is wrong.
 */
export function requestError(message: string, http: { readonly status: number; readonly spec?: true } = badRequest) {
  return new GraphQLError(message, { extensions: { code: "INVALID_ARGUMENT", issues: [], http } });
}

const badRequest = { status: 400, spec: true } as const;

/** An expected failure before anything runs, with the status of its code. */
export function refusal(error: SteplogError): GraphQLError {
  const later = laterOf(error);
  const http = { status: statusOf(error.code), headers: headersOf(later.retryAfter) };
  return new GraphQLError(error.message, { extensions: { code: error.code, issues: error.issues, ...later, http } });
}

/** `error` as the client may see it. Idempotent. */
export function toClientError(error: unknown, log: Logger): GraphQLError {
  const variable = ofVariable(error);
  if (variable) {
    const { message, issues } = invalidArgument([variable]);
    return clientError(error, "INVALID_ARGUMENT", message, issues);
  }
  // A disk of this machine that is full, say, is for its operators to mend, and no fault of ours.
  const root = asDiskError(rootOf(error), "A folder of the gateway");
  if (root instanceof GraphQLError && isErrorCode(root.extensions["code"])) return root;
  if (root instanceof SteplogError && root.code !== "INTERNAL") {
    // What is not found may be an address, which looks like a path.
    const { message, issues } = root.code === "NOT_FOUND" ? root : toldToClients(root);
    return clientError(error, root.code, message, issues, laterOf(root));
  }
  if (root instanceof GraphQLError && isRequestError(root)) {
    return clientError(root, requestErrorCode(root), root.message, []);
  }
  return clientError(error, "INTERNAL", maskedMessage(root, log), []);
}

/** An error as it is sent where there is no HTTP status. */
export function withoutStatus(error: GraphQLError): GraphQLFormattedError {
  const { http: _, ...extensions } = error.extensions;
  return { ...error.toJSON(), extensions };
}

/** The answer of a plain HTTP route: the same shape, and a status. */
export function toHttpError(error: unknown, log: Logger): HttpError {
  const { message, extensions: given } = toClientError(error, log);
  const { http: _, ...extensions } = given;
  const code = isErrorCode(extensions["code"]) ? extensions["code"] : "INTERNAL";
  const body = `${JSON.stringify({ errors: [{ message, extensions }] })}\n`;
  return { status: statusOf(code), headers: headersOf(extensions["retryAfter"]), body };
}

export interface HttpError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** @param retryAfter seconds; anything else for an error that does not pass with time */
export function headersOf(retryAfter: unknown): Readonly<Record<string, string>> {
  return typeof retryAfter === "number" ? { "retry-after": String(retryAfter) } : {};
}

interface Later {
  readonly retryAfter?: number;
  readonly quota?: QuotaUse;
}

/** What helps a client that wants to try again. */
function laterOf({ code, retryAfterS: given, quota }: SteplogError): Later {
  const retryAfter = given ?? passing[code];
  return { ...(retryAfter !== undefined && { retryAfter }), ...(quota && { quota }) };
}

/** The HTTP status of a code. */
export function statusOf(code: ErrorCode): number {
  return httpStatus[code] ?? 400;
}

const httpStatus: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  INVALID_STATE: 409,
  PAYLOAD_TOO_LARGE: 413,
  DATASET_INVALID: 422,
  INTERNAL: 500,
  BUSY: 429,
  RATE_LIMITED: 429,
  QUOTA_EXCEEDED: 429,
  UNAVAILABLE: 503,
};

/** GraphQL wraps what a resolver throws; this is the innermost error. */
function rootOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError ? rootOf(error.originalError) : error;
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorCodes, code);
}

/**
 * What is wrong with the value of a variable, and where in it; null for other errors. GraphQL has the place in the message of
 * the outer error alone, before that of the inner one: `Variable "$input" got invalid value 0.5 at "input.sizes[0]"; Int cannot`.
 */
function ofVariable(error: unknown): SchemaIssue | null {
  if (!(error instanceof GraphQLError) || !(error.originalError instanceof GraphQLError)) return null;
  const { message } = error.originalError;
  if (error.path !== undefined || !error.message.endsWith(`; ${message}`)) return null;
  const outer = error.message.slice(0, -message.length - 2);
  const [, name] = /^Variable "\$(\w+)" got invalid value /u.exec(outer) ?? [];
  if (name === undefined) return null;
  const [, place = name] = / at "([^" ]+)"$/u.exec(outer) ?? [];
  return { path: place.replaceAll(/\[(\d+)\]/gu, ".$1").split("."), message };
}

/** Errors of syntax, validation, variables and HTTP have no path; an error with a path came from a resolver. */
function isRequestError(error: GraphQLError): boolean {
  return error instanceof PothosValidationError || error.path === undefined;
}

function requestErrorCode(error: GraphQLError): ErrorCode {
  const http = error.extensions["http"];
  const tooLarge = typeof http === "object" && http !== null && "status" in http && http.status === 413;
  return tooLarge ? "PAYLOAD_TOO_LARGE" : "INVALID_ARGUMENT";
}

function clientError(
  from: unknown,
  code: ErrorCode,
  message: string,
  issues: readonly InputIssue[],
  later: Later = {},
): GraphQLError {
  const located = from instanceof GraphQLError ? from : null;
  const given = located?.extensions["http"];
  const headers = headersOf(later.retryAfter);
  const http = later.retryAfter === undefined ? given : { ...(typeof given === "object" ? given : {}), headers };
  return new GraphQLError(cut(message), {
    nodes: located?.nodes ?? null,
    source: located?.source ?? null,
    positions: located?.positions ?? null,
    path: located?.path ?? null,
    extensions: {
      code,
      issues: issues.map((issue) => ({ ...issue, message: cut(issue.message) })),
      ...later,
      ...(http !== undefined && { http }),
    },
  });
}

function cut(message: string): string {
  return message.length <= messageLength ? message : `${message.slice(0, messageLength)}…`;
}

function maskedMessage(error: unknown, log: Logger): string {
  const requestId = currentRequestId();
  const errorId = requestId ?? randomUUID();
  log.error({ err: error, errorId, requestId }, "request failed");
  return `Something went wrong inside Steplog. The server's log has the details under ${errorId}.`;
}

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly unknown[] | undefined;
}

/** Issues of a zod schema (or of any Standard Schema) as INVALID_ARGUMENT, each naming its field. */
export function invalidArgument(issues: readonly SchemaIssue[], under: readonly string[] = []): SteplogError {
  const named = issues.slice(0, limits.issuesReported).map((issue) => ({
    field: [...under, ...(issue.path ?? []).map(segmentName)].join("."),
    message: issue.message,
  }));
  const message = named.map((issue) => `${issue.field}: ${issue.message}`).join("; ");
  const more = issues.length > named.length ? `; and ${issues.length - named.length} more` : "";
  return new SteplogError("INVALID_ARGUMENT", `${message}${more}`, named);
}

function segmentName(segment: unknown): string {
  return typeof segment === "object" && segment !== null && "key" in segment ? String(segment.key) : String(segment);
}
