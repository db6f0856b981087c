/** Defaults of hyperparameters. Like their table, the page can load it. */
import type { HyperparameterName } from "./hyperparameter-table.ts";
import { hyperparameterEntries, hyperparameterTable } from "./hyperparameter-table.ts";
import type { Setting } from "./setting.ts";
import { choiceOf } from "./setting.ts";

/** The defaults, which depend on the values that are given for others, such as `method`. */
export function defaultsWith(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const defaults = Object.fromEntries(hyperparameterEntries.map(([name, one]) => [name, one.default]));
  const special = hyperparameterEntries.map(([name, one]) => choiceOf(one, given[name])?.defaults ?? {});
  return Object.assign(defaults, ...special) as Record<string, unknown>;
}

/** The default in words, with those of other methods and estimators: "0.001 (0.01 for LORA, 0.1 for PREFIX)". */
export function defaultInWords(name: HyperparameterName): string {
  const one: Setting = hyperparameterTable[name];
  const usual = one.type === "names" ? one.whenEmpty : String(one.default);
  const others = hyperparameterEntries.flatMap(([, other]) =>
    other.type === "choice"
      ? Object.entries(other.values).flatMap(([value, { defaults }]) =>
          defaults?.[name] === undefined ? [] : [`${defaults[name]} for ${value}`],
        )
      : [],
  );
  return others.length > 0 ? `${usual} (${others.join(", ")})` : usual;
}
