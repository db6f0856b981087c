/** An error that can be shown. */
import { SteplogError } from "../../../client/browser.ts";
import { readKey, refused } from "./session.ts";

export interface Issue {
  readonly line?: number | null;
  readonly field?: string | null;
  readonly message: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly issues: readonly Issue[];
  /** Seconds after which trying again may help; undefined for the usual time of its code. */
  readonly retryAfterS?: number | undefined;
  /** The service wants a key, or another one: the form that signs in says so. */
  readonly wantsKey?: boolean;
}

/** What a request was answered that had this key, or none (""). */
export class KeyRefused extends SteplogError {
  readonly key: string;

  constructor(key: string, { code, message, issues }: SteplogError) {
    super(code, message, issues);
    this.key = key;
  }
}

/** A service that wants a key, or another one, is answered by the form that signs in. */
export function asFailure(error: unknown): Failure {
  if (!(error instanceof SteplogError)) return { code: "INTERNAL", message: String(error), issues: [] };
  if (error.code !== "UNAUTHENTICATED") return error;
  refused(error instanceof KeyRefused ? error.key : readKey());
  const { code, message, issues } = error;
  return { code, message, issues, wantsKey: true };
}

/**
 * For what a page asks beside what it is about, such as a line beside a number: a failure is not shown, but where the service
 * wants another key the page asks for it, as for any other.
 */
export function quietly(error: unknown): null {
  asFailure(error);
  return null;
}
