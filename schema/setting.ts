/** What describes a setting of a fine-tune, and a description in words. The settings are in hyperparameter-table.ts. */
import { limits } from "./limits.ts";

interface Described {
  /** For forms: a few words. */
  readonly label: string;
  /** One or two sentences: what it does, and what its special values do. */
  readonly meaning: string;
  /** The only method that uses it. */
  readonly method?: "FULL" | "HEAD" | "LORA" | "PREFIX";
  /** Other values than the default need a validation dataset. */
  readonly needsValidation?: true;
  /** What must be there for it to do something; a run is refused in which it is given without. */
  readonly unusedWithout?: UnusedWithout;
  /** Other settings, and the least value they need when this is not the default. */
  readonly needs?: Needs;
  /** Whether the log of a run fixes it, so that a fork cannot change it. */
  readonly fixedByLog?: true;
  /** Whether the log's header has it; `changed`: only if it is not what its absence stands for. */
  readonly inLogHeader?: "always" | "changed";
  /** What stored runs and logs without it have, where the default is another one today. */
  readonly absent?: string;
  /** Whether the release before does not know it. It refuses what it does not know, so a run has it in a column of its own. */
  readonly late?: true;
}

/** Validation rows; or answers that are generated, by an objective or for validation or test rows. */
export type UnusedWithout = "validation" | "answers";

type Needs = Readonly<Record<string, number>>;

type Defaults = Readonly<Record<string, number | string>>;

export interface NumberSetting extends Described {
  readonly type: "integer" | "number";
  readonly unit?: string;
  /** Smallest value; `above` excludes its own value. */
  readonly min?: number;
  readonly above?: number;
  readonly max: number;
  /** The setting that it must not exceed. */
  readonly atMost?: "steps";
  /** May also be "AUTO". */
  readonly auto?: true;
  /** Defaults of other settings that are different if it is a number, not AUTO. */
  readonly defaultsWithNumber?: Defaults;
  readonly default: number | "AUTO";
}

export interface ChoiceSetting extends Described {
  readonly type: "choice";
  /** Name and description of the API's enum. */
  readonly enum: string;
  readonly enumMeaning: string;
  readonly values: Readonly<Record<string, Choice>>;
  readonly default: string;
}

export interface Choice {
  readonly label: string;
  readonly meaning: string;
  /** Defaults of other settings that are different with this value. */
  readonly defaults?: Defaults;
  /** Other settings, and the least value they need with this one. */
  readonly needs?: Needs;
}

export interface NamesSetting extends Described {
  readonly type: "names";
  /** What an empty list stands for. */
  readonly whenEmpty: string;
  readonly default: readonly [];
}

export interface SwitchSetting extends Described {
  readonly type: "switch";
  readonly default: boolean;
}

export type Setting = NumberSetting | ChoiceSetting | NamesSetting | SwitchSetting;

/** A value of a choice with its meaning; undefined for other settings and values. */
export function choiceOf(one: Setting, value: unknown): Choice | undefined {
  return one.type === "choice" && typeof value === "string" ? one.values[value] : undefined;
}

/** The allowed values in words: "a whole number from 1 to 1024". */
export function rangeInWords(one: Setting): string {
  if (one.type === "switch") return "true or false";
  if (one.type === "choice") return listInWords(Object.keys(one.values));
  if (one.type === "names") return `at most ${limits.patterns} names of 1 to ${limits.nameLength} characters`;
  const kind = one.type === "integer" ? "a whole number" : "a number";
  const from = one.above === undefined ? `from ${one.min}` : `above ${one.above} and up`;
  return `${kind} ${from} to ${one.max}${one.auto ? ", or AUTO" : ""}`;
}

function listInWords(items: readonly string[]): string {
  return items.length > 1 ? `${items.slice(0, -1).join(", ")} or ${items.at(-1)}` : items.join();
}

/** The same with the unit. */
export function allowedInWords(one: Setting): string {
  return "unit" in one && one.unit !== undefined ? `${rangeInWords(one)}, in ${one.unit}` : rangeInWords(one);
}

/** A value of a choice in words, with what it needs: "1 - F1. Needs answerTokens of at least 1." */
export function choiceInWords({ meaning, needs = {} }: Choice): string {
  const needed = Object.entries(needs).map(([name, least]) => `${name} of at least ${least}`);
  return needed.length > 0 ? `${meaning} Needs ${needed.join(" and ")}.` : meaning;
}

const unusedInWords: Readonly<Record<UnusedWithout, string>> = {
  validation: "Only for runs with validation rows.",
  answers: "Only for runs with validation or test rows, or with objective F1 or EXACT_MATCH.",
};

/** When it applies: "Only for method LORA." or "Needs a validation dataset."; "" if always. */
export function conditionInWords(one: Setting): string {
  const { method, needsValidation, needs } = one;
  const needed = [...(needsValidation ? ["a validation dataset"] : []), ...Object.keys(needs ?? {})];
  const parts = [
    ...(method ? [`Only for method ${method}.`] : []),
    ...(needed.length > 0 ? [`Needs ${needed.join(" and ")}.`] : []),
    ...(one.unusedWithout ? [unusedInWords[one.unusedWithout]] : []),
    ...("atMost" in one && one.atMost ? [`At most ${one.atMost}.`] : []),
  ];
  return parts.join(" ");
}
