/** Why a run failed, and the error codes, which are those of errors of requests too. */
import { errorCodes, type ErrorCode, type InputIssue } from "../../../schema/errors.ts";
import type { FineTune } from "../../../schema/tables.ts";
import { isErrorCode } from "../../errors.ts";
import { builder } from "../builder.ts";

const ErrorCodeRef = builder.enumType("ErrorCode", {
  description:
    "Stable codes to switch on. Every error of a request carries one in extensions.code, and the wrong places of the " +
    "input in extensions.issues.",
  values: valuesOf(errorCodes),
});

function valuesOf(texts: Readonly<Record<ErrorCode, string>>) {
  const values = Object.entries(texts).map(([code, description]) => [code, { description }]);
  return Object.fromEntries(values) as Record<ErrorCode, { description: string }>;
}

const IssueRef = builder.objectRef<InputIssue>("Issue").implement({
  description: "One thing wrong with one place of the input.",
  fields: (t) => ({
    line: t.exposeInt("line", { nullable: true, description: "Line of the dataset, from 1." }),
    field: t.exposeString("field", { nullable: true, description: "Path of the field, its parts joined by dots." }),
    message: t.exposeString("message", { description: "What is wrong, for people." }),
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
    code: t.expose("code", { type: ErrorCodeRef, description: "Stable code, to switch on." }),
    message: t.exposeString("message", { description: "What happened and what to do, for people." }),
    issues: t.field({
      type: [IssueRef],
      description: "Places of the input that are wrong, when it was the input.",
      resolve: (error) => error.issues,
    }),
  }),
});

/** A code that a newer worker wrote, unknown here, is a fault of this installation. */
export function errorOf(run: FineTune): RunError | null {
  if (run.errorCode === null) return null;
  const code = isErrorCode(run.errorCode) ? run.errorCode : "INTERNAL";
  return { code, message: run.errorMessage ?? "", issues: run.errorIssues ?? [] };
}
