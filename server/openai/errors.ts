/**
 * Errors in the protocol's shape:
 *
 *     {"error": {"message": "...", "type": "invalid_request_error", "param": "messages[0].content", "code": "..."}}
 *
 * `code` is the word that clients of this protocol look for, or ours in lower case. `param` is the first field at fault.
 */
import type { Logger } from "pino";
import { SteplogError, type ErrorCode, type InputIssue } from "../../schema/errors.ts";
import { spelled } from "../../schema/spelling.ts";
import { headersOf, statusOf, toClientError } from "../errors.ts";
import { NotAnswered } from "../completions.ts";
import { ContextExceeded } from "../prompts.ts";

/** What is wrong with a request, in the protocol's own words. */
export type Reason =
  | "invalid_json"
  | "unknown_parameter"
  | "unsupported_parameter"
  | "invalid_value"
  | "context_length_exceeded"
  | "unknown_url"
  | "not_found";

/** A request that this protocol has a word for. Its issues name fields as the request does. */
export class Refusal extends SteplogError {
  readonly reason: Reason;

  constructor(reason: Reason, issues: readonly InputIssue[], code: ErrorCode = "INVALID_ARGUMENT") {
    super(code, issues.map(({ message }) => message).join(" "), issues);
    this.reason = reason;
  }
}

export interface OpenAIError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
}

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: OpenAIError };
}

/** @param log gets what is our fault, under the id that the message names */
export function errorAnswer(error: unknown, log: Logger): ErrorAnswer {
  const { message, extensions } = toClientError(error, log);
  const { code, issues } = extensions as { code: ErrorCode; issues: readonly InputIssue[] };
  const status = error instanceof NotAnswered ? statusOfWorkers(code) : statusOf(code);
  const field = issues.find((issue) => issue.field !== undefined)?.field;
  return {
    status,
    headers: headersOf(extensions["retryAfter"]),
    body: {
      error: {
        message,
        type: types[status] ?? (status < 500 ? "invalid_request_error" : "server_error"),
        param: field === undefined ? null : paramOf(field),
        code: reasonOf(error) ?? words[code] ?? code.toLowerCase(),
      },
    },
  };
}

/** A worker knows its files, memory and devices: what is wrong with these is not the client's fault, and others may answer. */
function statusOfWorkers(code: ErrorCode): number {
  const isClients = code === "INVALID_ARGUMENT" || code === "MODEL_UNSUPPORTED";
  return isClients || code === "INTERNAL" ? statusOf(code) : 503;
}

function reasonOf(error: unknown): string | null {
  if (error instanceof ContextExceeded) return "context_length_exceeded";
  // A worker that lacks the files of a model has no say in whether there is one.
  if (error instanceof NotAnswered) return error.code.toLowerCase();
  return error instanceof Refusal ? error.reason : null;
}

const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
};

const words: Partial<Record<ErrorCode, string>> = {
  UNAUTHENTICATED: "invalid_api_key",
  FORBIDDEN: "insufficient_permissions",
  NOT_FOUND: "model_not_found",
  QUOTA_EXCEEDED: "insufficient_quota",
  RATE_LIMITED: "rate_limit_exceeded",
};

/** A dotted field as the protocol writes it: messages.0.content is messages[0].content, maxTokens max_tokens. */
export function paramOf(field: string): string {
  return field.replaceAll(/\.(\d+)(?=\.|$)/gu, "[$1]").replace(/^[a-zA-Z]+/u, (name) => spelled(name, "_"));
}
