/** Hyperparameters in forms and on a run's page. Labels, ranges, placeholders and help come from their table. */
import { useId } from "preact/hooks";
import type { HyperparameterName, Hyperparameters } from "../../../../schema/hyperparameter-table.ts";
import type { NumberSetting, Setting } from "../../../../schema/setting.ts";
import { hyperparameterEntries, hyperparameterTable } from "../../../../schema/hyperparameter-table.ts";
import { choiceOf, conditionInWords, rangeInWords } from "../../../../schema/setting.ts";
import { useFieldError } from "./checked-form.tsx";
import type { CreateFineTuneInput } from "../../../../client/browser.ts";

interface FieldProps {
  readonly name: HyperparameterName;
  /** What an empty field stands for. */
  readonly defaultTo: unknown;
  /** What was typed or chosen, for a form that keeps it; "" for the default. */
  readonly text?: string;
  readonly onText?: (text: string) => void;
}

export function HyperparameterField({ name, defaultTo, text, onText }: FieldProps) {
  const id = useId();
  const one: Setting = hyperparameterTable[name];
  const { attributes, error } = useFieldError(name, `${id}-help`);
  const shared = { id, name, ...attributes };
  return (
    <div class={one.type === "switch" ? "field check" : "field"}>
      <label for={id}>{labelOf(one)}</label>
      {one.type === "choice" ? (
        <select {...shared} onChange={({ currentTarget }) => onText?.(currentTarget.value)}>
          {Object.entries(one.values).map(([value, choice]) => (
            <option
              key={value}
              value={value}
              title={choice.meaning}
              selected={value === (isTyped(text) ? text : defaultTo)}
            >
              {choice.label}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...shared}
          {...inputAttributes(one, defaultTo)}
          {...(text !== undefined && (one.type === "switch" ? { checked: text !== "" } : { value: text }))}
          onInput={({ currentTarget }) => onText?.(textIn(one, currentTarget))}
        />
      )}
      {error}
      <small id={`${id}-help`}>{[one.meaning.replaceAll("`", ""), conditionInWords(one)].join(" ")}</small>
    </div>
  );
}

const isTyped = (text: string | undefined) => text !== undefined && text !== "";

function textIn({ type }: Setting, input: HTMLInputElement): string {
  if (type === "switch") return input.checked ? "on" : "";
  return input.value;
}

function inputAttributes(one: Exclude<Setting, { type: "choice" }>, defaultTo: unknown) {
  if (one.type === "switch") return { type: "checkbox" } as const;
  if (one.type === "names") return { type: "text", placeholder: one.whenEmpty, spellcheck: false } as const;
  const placeholder = String(defaultTo);
  // A text, since it may be AUTO; the server checks its range.
  if (one.auto)
    return { type: "text", pattern: String.raw`\s*(AUTO|[0-9.eE+\-]+)\s*`, placeholder, spellcheck: false } as const;
  const step = one.type === "integer" ? 1 : "any";
  return { type: "number", step, min: one.min ?? one.above, max: one.max, placeholder } as const;
}

/** The hyperparameters that apply to a method, in the table's order. */
export function hyperparametersFor(method: unknown = "FULL"): HyperparameterName[] {
  return hyperparameterEntries.flatMap(([name, one]) =>
    one.method === undefined || one.method === method ? [name] : [],
  );
}

/** Those that apply to the method among texts. */
export const settingsApplied = (texts: SettingTexts) =>
  hyperparametersFor(isTyped(texts["method"]) ? texts["method"] : undefined);

/** The form's values; fields that are empty, unchecked or absent are left out. The server checks them. */
export function hyperparametersIn(form: FormData): NonNullable<CreateFineTuneInput["hyperparameters"]> {
  const texts = [...form].flatMap(([name, text]) => (typeof text === "string" ? [[name, text] as const] : []));
  return settingsIn(Object.fromEntries(texts));
}

/** What was typed or chosen, by the settings' names. */
export type SettingTexts = Readonly<Record<string, string>>;

/** The same of texts. */
export function settingsIn(texts: SettingTexts): NonNullable<CreateFineTuneInput["hyperparameters"]> {
  const filled = hyperparameterEntries.flatMap(([name, one]) => {
    const value = filledIn(one, texts[name] ?? "");
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(filled);
}

/** The texts that stand for settings. */
export function textsOf(settings: Readonly<Record<string, unknown>>): SettingTexts {
  const text = (value: unknown) => {
    if (typeof value === "boolean") return value ? "on" : "";
    return Array.isArray(value) ? value.join(" ") : String(value);
  };
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, text(value)]));
}

/** Texts that are no numbers, or numbers out of range, in the service's words: what is no number cannot be sent to it. */
export function textIssues(texts: SettingTexts): { field: string; message: string }[] {
  return hyperparameterEntries.flatMap(([name, one]) => {
    const text = (texts[name] ?? "").trim();
    if (text === "" || (one.type !== "integer" && one.type !== "number")) return [];
    return isAllowed(one, text) ? [] : [{ field: name, message: `must be ${rangeInWords(one)}; it is ${text}` }];
  });
}

function isAllowed(one: NumberSetting, text: string): boolean {
  if (one.auto && text === "AUTO") return true;
  const value = Number(text);
  const least = one.above === undefined ? value >= (one.min ?? 0) : value > one.above;
  return least && value <= one.max && (one.type === "number" || Number.isInteger(value));
}

function filledIn(one: Setting, given: string): unknown {
  const text = given.trim();
  return text === "" ? undefined : valueOf(one, text);
}

function valueOf(one: Setting, text: string): unknown {
  if (one.type === "switch") return true;
  if (one.type === "choice") return text;
  if (one.type === "names") return text.split(/[\s,]+/u);
  return one.auto && text === "AUTO" ? "AUTO" : Number(text);
}

/** Label and value of a hyperparameter of a run. */
export function hyperparameterPair(name: HyperparameterName, settings: Hyperparameters, pickedRate: number | null) {
  const one: Setting = hyperparameterTable[name];
  const picked = name === "learningRate" && pickedRate !== null ? `${pickedRate}, chosen by AUTO` : null;
  return [labelOf(one), picked ?? valueInWords(one, settings[name])] as const;
}

function valueInWords(one: Setting, value: Hyperparameters[HyperparameterName]): string {
  if (typeof value === "object")
    return value.length > 0 ? value.join(", ") : ("whenEmpty" in one && one.whenEmpty) || "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return choiceOf(one, value)?.label ?? String(value);
}

function labelOf(one: Setting): string {
  return "unit" in one && one.unit !== undefined ? `${one.label} (${one.unit})` : one.label;
}
