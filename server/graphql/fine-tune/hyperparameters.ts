/** Hyperparameters in the API: types, ranges, defaults and descriptions come from schema/hyperparameter-table.ts. */
import { defaultInWords } from "../../../schema/hyperparameter-defaults.ts";
import {
  hyperparameterEntries,
  type HyperparameterName,
  type hyperparameterTable,
} from "../../../schema/hyperparameter-table.ts";
import { type ChoiceSetting, type Setting } from "../../../schema/setting.ts";
import { allowedInWords, choiceInWords, conditionInWords } from "../../../schema/setting.ts";
import type { Hyperparameters } from "../../../schema/hyperparameters.ts";
import { hyperparametersSchema, wrongHyperparameters } from "../../../schema/hyperparameters.ts";
import { invalidArgument } from "../../errors.ts";
import { builder } from "../builder.ts";

const enums = new Map(
  hyperparameterEntries.flatMap(([name, one]) => (one.type === "choice" ? [[name, enumOf(one)] as const] : [])),
);

function enumOf<One extends ChoiceSetting>({ enum: name, enumMeaning, values }: One) {
  const described = Object.entries(values).map(([value, choice]) => [value, { description: choiceInWords(choice) }]);
  return builder.enumType(name, {
    description: enumMeaning,
    values: Object.fromEntries(described) as Record<keyof One["values"] & string, { description: string }>,
  });
}

/** Also what workers report that they support. */
export const Precision = enums.get("precision") as ReturnType<typeof enumOf<(typeof hyperparameterTable)["precision"]>>;

/** Also what a preview of rows takes. */
export const Truncation = enums.get("truncate") as ReturnType<typeof enumOf<(typeof hyperparameterTable)["truncate"]>>;

/** The type of a hyperparameter in the API, both where it is given and where it is read. */
export function typeOf(name: HyperparameterName, one: Setting) {
  const choice = enums.get(name);
  if (choice) return choice;
  if (one.type === "switch") return "Boolean";
  if (one.type === "names") return ["String"] as ["String"];
  if (one.type === "number" && one.auto) return "LearningRate";
  if (one.type === "number") return "Float";
  // GraphQL's Int has 32 bits with a sign.
  return one.type === "integer" && one.max > 0x7fff_ffff ? "SafeInt" : "Int";
}

export const HyperparametersRef = builder.objectRef<Hyperparameters>("Hyperparameters").implement({
  description: "The settings of a fine-tune, defaults filled in.",
  fields: (t) =>
    Object.fromEntries(
      hyperparameterEntries.map(([name, one]) => [
        name,
        t.field({
          type: typeOf(name, one),
          description: [one.meaning, conditionInWords(one)].filter(Boolean).join(" "),
          resolve: (settings) => settings[name],
        }),
      ]),
    ),
});

export const HyperparametersInput = builder.inputType("HyperparametersInput", {
  description: "The settings of a fine-tune. What is left out takes its default.",
  fields: (t) =>
    Object.fromEntries(
      hyperparameterEntries.map(([name, one]) => [
        name,
        t.field({ type: typeOf(name, one), description: inputText(name, one) }),
      ]),
    ),
});

function inputText(name: HyperparameterName, one: Setting): string {
  const allowed = `Must be ${allowedInWords(one)}; default: ${defaultInWords(name)}.`;
  return [one.meaning, conditionInWords(one), allowed].filter(Boolean).join(" ");
}

/** Null counts as left out. @throws INVALID_ARGUMENT naming each wrong setting, its range and what it was */
export function parseHyperparameters(value: object, under: readonly string[]): Hyperparameters {
  const given = Object.fromEntries(Object.entries(value).filter(([, setting]) => setting != null));
  const issues = wrongHyperparameters(given);
  if (issues.length > 0) throw invalidArgument(issues, under);
  return hyperparametersSchema.parse(given);
}
