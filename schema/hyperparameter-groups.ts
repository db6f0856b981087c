/** The settings by what they are about, in the order of their table: for forms and for the page of a run. */
import { hyperparameterEntries, type HyperparameterName } from "./hyperparameter-table.ts";

/** Each group's title, and its first setting. */
const starts = [
  ["What is trained", "method"],
  ["What is minimised", "objective"],
  ["Rows and steps", "truncate"],
  ["How the gradient is estimated", "estimator"],
  ["How far a step goes", "learningRate"],
  ["Numbers", "noise"],
  ["Evaluations, checkpoints and the end", "evaluateEvery"],
] as const satisfies readonly (readonly [string, HyperparameterName])[];

export interface SettingGroup {
  readonly title: string;
  readonly names: readonly HyperparameterName[];
}

export const hyperparameterGroups: readonly SettingGroup[] = starts.map(([title, first], index) => {
  const names = hyperparameterEntries.map(([name]) => name);
  const next = starts[index + 1]?.[1];
  return { title, names: names.slice(names.indexOf(first), next === undefined ? undefined : names.indexOf(next)) };
});
