/** docs/SETTINGS.md: every hyperparameter with its range, default and meaning, from their table. */
import type { HyperparameterName } from "./hyperparameter-table.ts";
import type { Setting } from "./setting.ts";
import { defaultInWords } from "./hyperparameter-defaults.ts";
import { hyperparameterEntries } from "./hyperparameter-table.ts";
import { allowedInWords, choiceInWords, conditionInWords } from "./setting.ts";

export function settingsPage(): string {
  const rows = hyperparameterEntries.map(
    ([name, one]) => `| \`${name}\` | ${allowedInWords(one)} | ${defaultInWords(name)} | ${meaningOf(one)} |`,
  );
  const choices = hyperparameterEntries.flatMap(([name, one]) => (one.type === "choice" ? [choicesOf(name, one)] : []));
  return [
    "<!-- Made by `npm run settings:print` from schema/hyperparameter-table.ts. Do not edit. -->",
    "",
    "# Hyperparameters",
    "",
    "The settings of a fine-tune, as `hyperparameters` of the API's `createFineTune` and of a file for `steplog tune`. What is",
    "left out takes its default; in a fork, its value in the run that the fork starts from.",
    "",
    "| name | value | default | meaning |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    ...choices,
  ].join("\n");
}

function meaningOf(one: Setting): string {
  return [one.meaning, conditionInWords(one)].filter(Boolean).join(" ");
}

function choicesOf(name: HyperparameterName, one: Setting & { type: "choice" }): string {
  const rows = Object.entries(one.values).map(([value, choice]) => `| \`${value}\` | ${choiceInWords(choice)} |`);
  return [`## ${name}`, "", "| value | meaning |", "| --- | --- |", ...rows, ""].join("\n");
}
