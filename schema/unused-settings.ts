/**
 * Settings that somebody gave though the run would not use them: surely a mistake, since a run with them trains as one
 * without. Only what is given is judged, never what a fork inherits. It has no dependencies, so the page can load it.
 */
import type { HyperparameterName, Hyperparameters } from "./hyperparameter-table.ts";
import { hyperparameterEntries } from "./hyperparameter-table.ts";
import type { Setting, UnusedWithout } from "./setting.ts";

/** The settings of a run, and which rows it has besides those that it trains on. */
export interface RunToJudge {
  readonly hyperparameters: Hyperparameters;
  readonly validated: boolean;
  readonly tested: boolean;
}

interface Unused {
  readonly path: readonly [HyperparameterName];
  readonly message: string;
}

/** @param given the names of those that were given. What has its default's value is no mistake. */
export function unusedSettings(given: readonly string[], run: RunToJudge): Unused[] {
  const names = new Set(given);
  return hyperparameterEntries.flatMap(([name, one]) => {
    const value = run.hyperparameters[name];
    if (!names.has(name) || JSON.stringify(value) === JSON.stringify(one.default)) return [];
    const why = whyUnused(one, run);
    return why === null ? [] : [{ path: [name], message: `has no effect ${why}; it is ${JSON.stringify(value)}` }];
  });
}

/** And what to do. */
function whyUnused(one: Setting, run: RunToJudge): string | null {
  const { method } = run.hyperparameters;
  if (one.method !== undefined && one.method !== method)
    return `with method ${method}, only with ${one.method}: leave it out, or choose method ${one.method}`;
  return one.unusedWithout === undefined ? null : withoutRows[one.unusedWithout](run);
}

const withoutRows: Readonly<Record<UnusedWithout, (run: RunToJudge) => string | null>> = {
  validation: ({ validated }) =>
    validated ? null : "without validation rows: leave it out, or give a validation dataset",
  answers: ({ hyperparameters: { objective }, validated, tested }) =>
    validated || tested || objective === "F1" || objective === "EXACT_MATCH"
      ? null
      : `with objective ${objective} without validation or test rows: leave it out, or give such rows`,
};
