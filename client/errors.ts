/** What the service answers when something fails, as a SteplogError. */
import type { ErrorCode, InputIssue } from "../schema/errors.ts";
import { SteplogError, errorCodes } from "../schema/errors.ts";

interface WireError {
  readonly message?: string;
  readonly extensions?: {
    readonly code?: string;
    readonly issues?: readonly InputIssue[];
    readonly retryAfter?: number;
  };
}

/** The first of a response's errors. A code that this version of the client does not know becomes INTERNAL. */
export function errorFrom(errors: readonly unknown[]): SteplogError {
  const { message = "The service gave no reason.", extensions = {} } = (errors[0] ?? {}) as WireError;
  const { code = "INTERNAL", issues = [], retryAfter: retryAfterS } = extensions;
  return new SteplogError(code in errorCodes ? (code as ErrorCode) : "INTERNAL", message, issues, { retryAfterS });
}

/** The error in a JSON response; null where it has none. */
export function errorIn(answer: unknown): SteplogError | null {
  const errors = typeof answer === "object" && answer !== null && "errors" in answer ? answer.errors : null;
  return Array.isArray(errors) && errors.length > 0 ? errorFrom(errors) : null;
}

/** Of a text "CODE: message", as the service keeps why a job failed. Where it has no known code: INTERNAL, with the whole text. */
export function failureOfText(text: string): SteplogError {
  const [, code = "", message = ""] = /^([A-Z_]+): (.*)$/su.exec(text) ?? [];
  if (code in errorCodes) return new SteplogError(code as ErrorCode, message);
  return new SteplogError("INTERNAL", text === "" ? "The service gave no reason." : text);
}

/** Why a request got no answer: its own body failed, such as a file that cannot be read, or nobody answered. */
export function failureOf(url: string, error: unknown): SteplogError {
  const cause = error instanceof Error ? error.cause : undefined;
  const own = [error, cause].find((one) => one instanceof SteplogError);
  if (own) return own;
  const reason = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  const message = `The service at ${url} does not answer${reason}. Check that it is running and that the URL is right.`;
  return new SteplogError("UNAVAILABLE", message, [], { cause: error });
}
