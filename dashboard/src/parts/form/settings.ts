/** Settings as texts of a form and in words: without a document, so that tests read it too. Labels and ranges come from their table. */
import type { CreateFineTuneInput } from "../../../../client/schema-types.ts";
import { defaultsWith } from "../../../../schema/hyperparameter-defaults.ts";
import type { HyperparameterName, Hyperparameters } from "../../../../schema/hyperparameter-table.ts";
import { hyperparameterEntries, hyperparameterTable } from "../../../../schema/hyperparameter-table.ts";
import type { NumberSetting, Setting } from "../../../../schema/setting.ts";
import { choiceOf, rangeInWords } from "../../../../schema/setting.ts";
import { unusedSettings } from "../../../../schema/unused-settings.ts";
import { formatInteger } from "../../format.ts";

/** The hyperparameters that apply to a method, in the table's order. */
export function hyperparametersFor(method: unknown = "FULL"): HyperparameterName[] {
  return hyperparameterEntries.flatMap(([name, one]) =>
    one.method === undefined || one.method === method ? [name] : [],
  );
}

/** Those that differ from the defaults, which depend on the settings themselves, such as the method. In the table's order. */
export function settingsChanged(hyperparameters: Hyperparameters): HyperparameterName[] {
  const defaults = defaultsWith(hyperparameters);
  return hyperparametersFor(hyperparameters.method).filter(
    (name) => JSON.stringify(hyperparameters[name]) !== JSON.stringify(defaults[name]),
  );
}

interface Copied {
  readonly hyperparameters: Hyperparameters;
  readonly from: object | null;
  readonly validationDataset: object | null;
  readonly testDataset: object | null;
}

/**
 * What a copy of a run names; of a fork all that it may have: what it leaves out is as in the run that it forked. What the run
 * has and does not use, as older releases took it, would be refused.
 */
export function settingsToCopy({ hyperparameters, from, validationDataset, testDataset }: Copied) {
  const names = from ? settingsToFork(hyperparameters.method) : settingsChanged(hyperparameters);
  const rows = { validated: validationDataset !== null, tested: testDataset !== null };
  const unused = new Set(unusedSettings(names, { hyperparameters, ...rows }).map(({ path: [name] }) => name));
  return names.filter((name) => !unused.has(name));
}

/** Those that a fork may change: the others are fixed by the log that it continues. */
export function settingsToFork(method: unknown): HyperparameterName[] {
  const isFixed = (name: HyperparameterName) => (hyperparameterTable[name] as Setting).fixedByLog === true;
  return hyperparametersFor(method).filter((name) => !isFixed(name));
}

export const isTyped = (text: string | undefined) => text !== undefined && text !== "";

/** Those that apply to the method among texts. */
export const settingsApplied = (texts: SettingTexts) =>
  hyperparametersFor(isTyped(texts["method"]) ? texts["method"] : undefined);

/** The form's values; fields that are empty, unchecked or absent are left out. The server checks them. */
export function hyperparametersIn(form: FormData): NonNullable<CreateFineTuneInput["hyperparameters"]> {
  const texts = [...form].flatMap(([name, text]) => (typeof text === "string" ? [[name, text] as const] : []));
  return settingsIn(Object.fromEntries(texts));
}

/** Of a form that begins with the settings of a run: those that a fork of it changes. A switch says no by its absence. */
export function settingsForked(form: FormData, run: Hyperparameters): ReturnType<typeof hyperparametersIn> {
  const given = hyperparametersIn(form);
  const changed = settingsToFork(run.method).flatMap((name) => {
    const value = hyperparameterTable[name].type === "switch" ? form.has(name) : given[name];
    return value === undefined || JSON.stringify(value) === JSON.stringify(run[name]) ? [] : [[name, value] as const];
  });
  return Object.fromEntries(changed);
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
  return hyperparameterEntries.flatMap(([name]) => {
    const message = textIssue(name, (texts[name] ?? "").trim());
    return message === null ? [] : [{ field: name, message }];
  });
}

/** What is wrong with the text of one; null if nothing is. */
export function textIssue(name: HyperparameterName, text: string): string | null {
  const one: Setting = hyperparameterTable[name];
  if (text === "" || (one.type !== "integer" && one.type !== "number") || isAllowed(one, text)) return null;
  return `must be ${rangeInWords(one)}; it is ${text}`;
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
  const picked = name === "learningRate" && pickedRate !== null ? `${exactly(pickedRate)}, chosen by AUTO` : null;
  const value = settings[name];
  const words = typeof value === "number" ? numberInWords(name, value) : valueInWords(one, value);
  return [labelOf(one), picked ?? words] as const;
}

/** A value of a setting in the words of the page: "Two-sided (SPSA)", "1e-6". */
export function settingInWords(name: HyperparameterName, value: Hyperparameters[HyperparameterName]): string {
  if (typeof value === "number") return numberInWords(name, rounded(value));
  return valueInWords(hyperparameterTable[name], value);
}

/** A number as a field takes it, where commas part several. */
export const numberAsText = (value: number) => exactly(rounded(value));

/** To four digits, since rates are often computed. */
const rounded = (value: number) => (Number.isInteger(value) ? value : Number(value.toPrecision(4)));

/** A seed is a name more than a number. */
function numberInWords(name: HyperparameterName, value: number): string {
  return Number.isInteger(value) && name !== "seed" ? formatInteger(value) : exactly(value);
}

/** With all digits; what is small as rates are written. */
const exactly = (value: number) => (value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value));

/** The label without what a field says of its unit or values. */
export const shortLabel = (name: HyperparameterName) => hyperparameterTable[name].label.replace(/ \(.*\)$/u, "");

function valueInWords(one: Setting, value: Hyperparameters[HyperparameterName]): string {
  if (typeof value === "object")
    return value.length > 0 ? value.join(", ") : ("whenEmpty" in one && one.whenEmpty) || "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return choiceOf(one, value)?.label ?? String(value);
}

export function labelOf(one: Setting): string {
  return "unit" in one && one.unit !== undefined ? `${one.label} (${one.unit})` : one.label;
}
