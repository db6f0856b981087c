/** Why a run failed. Its codes and issues are those of request errors too. */
import { errorCodes, type ErrorCode, type InputIssue } from "../../../schema/errors.ts";
import type { FineTune } from "../../../schema/tables.ts";
import { isErrorCode } from "../../errors.ts";
import { builder } from "../builder.ts";

export const ErrorCodeRef = builder.enumType("ErrorCode", {
  description:
    "Stable error codes for programs. Every request error has one in extensions.code, and lists what is wrong with the " +
    "input in extensions.issues.",
  values: valuesOf(errorCodes),
});

function valuesOf(texts: Readonly<Record<ErrorCode, string>>) {
  const values = Object.entries(texts).map(([code, description]) => [code, { description }]);
  return Object.fromEntries(values) as Record<ErrorCode, { description: string }>;
}

export const IssueRef = builder.objectRef<InputIssue>("Issue").implement({
  description: "One problem in the input, and where it is.",
  fields: (t) => ({
    line: t.exposeInt("line", {
      nullable: true,
      description: "Line of the dataset, counted from 1; null if the problem is not in a line.",
    }),
    field: t.exposeString("field", {
      nullable: true,
      description: "Path of the field, joined by dots: input.hyperparameters.steps. Null if there is none.",
    }),
    message: t.exposeString("message", { description: "What is wrong, in words." }),
  }),
});

interface RunError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly issues: readonly InputIssue[];
}

export const FineTuneErrorRef = builder.objectRef<RunError>("FineTuneError").implement({
  description: "Why a run failed.",
  fields: (t) => ({
    code: t.expose("code", { type: ErrorCodeRef, description: "Stable code for programs." }),
    message: t.exposeString("message", { description: "What happened and what to do, in words." }),
    issues: t.field({
      type: [IssueRef],
      description: "Problems in the input; empty when the cause is elsewhere.",
      resolve: (error) => error.issues,
    }),
  }),
});

/** An unknown code, written by a newer worker, is shown as INTERNAL. */
export function errorOf(run: FineTune): RunError | null {
  if (run.errorCode === null) return null;
  const code = isErrorCode(run.errorCode) ? run.errorCode : "INTERNAL";
  return { code, message: run.errorMessage ?? "", issues: run.errorIssues ?? [] };
}
