/** What the service says against a run, sorted into the steps in which it can be mended. */
import type { Failure, Issue } from "../api/failure.ts";
import type { StepName } from "./draft.ts";
import type { EstimateFineTuneQuery } from "./operations.ts";

type FineTuneEstimate = EstimateFineTuneQuery["estimateFineTune"];

/** All that would be refused as one failure; null if nothing would be. */
export function refusalOf({ errors }: Pick<FineTuneEstimate, "errors">): Failure | null {
  const [first] = errors;
  if (!first) return null;
  const issues = errors.flatMap(({ code, message, argument, issues: own }): Issue[] =>
    own.length > 0 ? own.map((issue) => ofArgument(issue, argument)) : [{ field: argument ?? placeOf(code), message }],
  );
  return { code: first.code, message: errors.map(({ message }) => message).join(" "), issues };
}

/** Lines are those of the training rows unless something else is said. */
function ofArgument(issue: Issue, argument: string | null): Issue {
  const rows = { "input.validationDataset": "validation", "input.testDataset": "test" }[argument ?? ""];
  return issue.line == null || rows === undefined ? issue : { ...issue, message: `(${rows} rows) ${issue.message}` };
}

const placeOf = (code: string) => (code.startsWith("MODEL_") ? "input.baseModel" : null);

const dataFields = new Set(["dataset", "validationDataset", "testDataset", "labelWords"]);
const modelFields = new Set(["baseModel", "from"]);

function stepOf({ line, field }: Issue): StepName {
  const parts = field?.split(".") ?? [];
  if (line != null || parts.some((part) => dataFields.has(part))) return "data";
  return parts.some((part) => modelFields.has(part)) ? "model" : "settings";
}

/** The part of a failure that belongs to a step; null if none does. What names no place belongs to the settings. */
export function problemOf(failure: Failure | null, step: StepName): Failure | null {
  if (failure === null) return null;
  if (failure.issues.length === 0) return step === (placeOf(failure.code) ? "model" : "settings") ? failure : null;
  const issues = failure.issues.filter((issue) => stepOf(issue) === step);
  if (issues.length === 0) return null;
  const isAll = issues.length === failure.issues.length;
  return { code: failure.code, message: isAll ? failure.message : "This needs fixing:", issues };
}

/** The first step that a failure belongs to. */
export function firstStepOf(failure: Failure): StepName {
  return (["data", "model", "settings"] as const).find((step) => problemOf(failure, step) !== null) ?? "settings";
}
