/** An error that can be shown. */
import { SteplogError } from "../../../client/browser.ts";
import { needsKey } from "./session.ts";

export interface Issue {
  readonly line?: number | null;
  readonly field?: string | null;
  readonly message: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly issues: readonly Issue[];
}

/** A service that wants a key, or another one, is answered by the form that signs in. */
export function asFailure(error: unknown): Failure {
  if (error instanceof SteplogError && error.code === "UNAUTHENTICATED") needsKey.value = true;
  return error instanceof SteplogError ? error : { code: "INTERNAL", message: String(error), issues: [] };
}
