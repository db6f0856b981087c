/** Defaults of hyperparameters. Like their table, the page can load it. */
import type { HyperparameterName } from "./hyperparameter-table.ts";
import { hyperparameterEntries, hyperparameterTable } from "./hyperparameter-table.ts";
import type { Setting } from "./setting.ts";
import { choiceOf } from "./setting.ts";

/** The defaults, which depend on the values that are given for others, such as `method`. */
export function defaultsWith(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const usual: Record<string, unknown> = {};
  for (const [name, one] of hyperparameterEntries) usual[name] = one.default;
  for (const [name, one] of hyperparameterEntries) Object.assign(usual, withNumber(one, given[name]));
  // A choice that is not given has its default's defaults.
  const special = hyperparameterEntries.map(([name, one]) => choiceOf(one, given[name] ?? usual[name])?.defaults ?? {});
  return Object.assign({}, usual, ...special) as Record<string, unknown>;
}

function withNumber(one: Setting, given: unknown): object {
  return typeof given === "number" && one.type === "number" ? (one.defaultsWithNumber ?? {}) : {};
}

/** What settings are worth that a stored run or a log does not have: those of the release that they are from. */
export function valueOfAbsence(one: Setting): unknown {
  return one.absent ?? one.default;
}

/** The default in words, with those that other settings change: "0.001 (0.01 for LORA, 0.1 for PREFIX)". */
export function defaultInWords(name: HyperparameterName): string {
  const one: Setting = hyperparameterTable[name];
  const usual = one.type === "names" ? one.whenEmpty : String(one.default);
  const others = hyperparameterEntries.flatMap(([otherName, other]) => [
    ...(other.type === "choice" ? Object.entries(other.values) : []).flatMap(([value, { defaults }]) =>
      defaults?.[name] === undefined ? [] : [`${defaults[name]} for ${value}`],
    ),
    ...(other.type === "number" && other.defaultsWithNumber?.[name] !== undefined
      ? [`${other.defaultsWithNumber[name]} if ${otherName} is a number`]
      : []),
  ]);
  return others.length > 0 ? `${usual} (${others.join(", ")})` : usual;
}
