/** What somebody lists for a new sweep: texts with several values of a setting, and the sweep that they make of a run. */
import type { CreateFineTuneInput, CreateSweepInput } from "../../../client/schema-types.ts";
import { defaultsWith } from "../../../schema/hyperparameter-defaults.ts";
import {
  hyperparameterEntries,
  hyperparameterTable,
  type HyperparameterName,
} from "../../../schema/hyperparameter-table.ts";
import type { Setting } from "../../../schema/setting.ts";
import { inputOf } from "../new/draft.ts";
import { draftOf, type RunToCopy } from "../new/run-draft.ts";
import { hyperparametersFor, numberAsText, settingsIn, textIssue } from "../parts/form/settings.ts";

/** A setting that varies, with its values as typed. */
export interface Listed {
  readonly name: HyperparameterName;
  readonly text: string;
}

/** Every value with every other, or the first with the first, the second with the second. */
export type Combination = "grid" | "pairs";

export interface SweepDraft {
  readonly name: string;
  readonly listed: readonly Listed[];
  readonly combination: Combination;
}

/** The single values of a text. Names of tensors are listed with spaces between them, and so a line is a value. */
export function textsIn({ name, text }: Listed): string[] {
  const parts = hyperparameterTable[name].type === "names" ? text.split(/\n/u) : text.split(/[\s,;]+/u);
  return [...new Set(parts.map((part) => part.trim()).filter((part) => part !== ""))];
}

/** As the API has them. */
function valuesOf(listed: Listed): unknown[] {
  const isSwitch = hyperparameterTable[listed.name].type === "switch";
  return textsIn(listed).map((text) => (isSwitch ? text === "true" : settingsIn({ [listed.name]: text })[listed.name]));
}

export function runsOf({ listed, combination }: SweepDraft): number {
  const counts = listed.map((one) => textsIn(one).length);
  if (counts.length === 0) return 0;
  return combination === "grid" ? counts.reduce((product, count) => product * count, 1) : Math.max(...counts);
}

export interface FieldIssue {
  readonly field: string;
  readonly message: string;
}

/** What can be known to be wrong without the service. Nothing typed yet is wrong once somebody tries to start only. */
export function issuesOf(draft: SweepDraft, attempted: boolean): FieldIssue[] {
  const { name, listed, combination } = draft;
  const counts = listed.map((one) => textsIn(one).length);
  const uneven = combination === "pairs" && new Set(counts.filter((count) => count > 0)).size > 1;
  return [
    ...(attempted && name.trim() === "" ? [{ field: "name", message: "Give the sweep a name." }] : []),
    ...(attempted && listed.length === 0 ? [{ field: "more", message: "Choose a setting to vary." }] : []),
    ...listed.flatMap((one): FieldIssue[] => {
      const texts = textsIn(one);
      if (texts.length === 0) return attempted ? [{ field: one.name, message: "List one or more values." }] : [];
      const messages = texts.flatMap((text) => textIssue(one.name, text) ?? []);
      return messages.length > 0 ? [{ field: one.name, message: messages.join("; ") }] : [];
    }),
    ...(uneven
      ? [
          {
            field: "list",
            message: `Give each setting as many values as the others; these have ${counts.join(" and ")}.`,
          },
        ]
      : []),
  ];
}

/** What creates the sweep; null while a value is missing, and where the rows of the run are deleted. */
export function sweepInput(run: RunToCopy, draft: SweepDraft): CreateSweepInput | null {
  const { name, listed, combination } = draft;
  const shared = sharedBy(run, listed);
  if (shared === null || listed.length === 0 || name.trim() === "") return null;
  const values = listed.map((one) => [one.name, valuesOf(one)] as const);
  if (values.some(([, some]) => some.length === 0)) return null;
  if (combination === "grid") return { name, run: shared, vary: { grid: Object.fromEntries(values) } };
  const list = Array.from({ length: runsOf(draft) }, (_, index) =>
    Object.fromEntries(values.map(([setting, some]) => [setting, some[index]] as const)),
  );
  return { name, run: shared, vary: { list } };
}

/** The run with all of its settings but those that vary: a default that another setting moves would not be the run's. */
function sharedBy(run: RunToCopy, listed: readonly Listed[]): CreateFineTuneInput | null {
  const input = inputOf(draftOf(run));
  if (input === null) return null;
  const varied = new Set<string>(listed.map(({ name }) => name));
  const { hyperparameters: all, from } = run;
  const defaults = defaultsWith(all);
  const moved = movedBy(varied);
  const kept = hyperparameterEntries.filter(([name, one]) => {
    const isOfOther = one.method !== undefined && one.method !== all.method && !varied.has("method");
    if (varied.has(name) || isOfOther || (from && one.fixedByLog)) return false;
    return !moved.has(name) || JSON.stringify(all[name]) !== JSON.stringify(defaults[name]);
  });
  return { ...input, hyperparameters: Object.fromEntries(kept.map(([name]) => [name, all[name]])) };
}

const settingOf = (name: HyperparameterName): Setting => hyperparameterTable[name];

/** Settings whose defaults go with a choice that varies, such as epsilon with the method. */
function movedBy(varied: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(
    hyperparameterEntries.flatMap(([name, one]) => {
      if (one.method !== undefined && varied.has("method")) return [name];
      if (!varied.has(name) || one.type !== "choice") return [];
      return Object.values(one.values).flatMap(({ defaults }) => Object.keys(defaults ?? {}));
    }),
  );
}

/** Those that may vary: what a log fixes cannot in a run that continues one. */
export function settingsToVary(run: RunToCopy, listed: readonly Listed[]): HyperparameterName[] {
  const taken = new Set(listed.map(({ name }) => name));
  const methods = listed.filter(({ name }) => name === "method").flatMap(textsIn);
  const applied = new Set([run.hyperparameters.method, ...methods].flatMap((method) => hyperparametersFor(method)));
  return hyperparameterEntries.flatMap(([name, one]) =>
    !applied.has(name) || taken.has(name) || (run.from && one.fixedByLog) ? [] : [name],
  );
}

/** Values around that of the run, to begin with; null for what has no neighbours. */
export function suggestionFor(name: HyperparameterName, run: RunToCopy): string | null {
  const one = settingOf(name);
  if (one.type !== "integer" && one.type !== "number") return null;
  const own = run.hyperparameters[name];
  const value = own === "AUTO" ? run.pickedRate : Number(own);
  if (value === null || (value <= 0 && name !== "seed")) return null;
  const near = name === "seed" ? [value, value + 1, value + 2] : one.type === "integer" ? halves(value) : thirds(value);
  const texts = [...new Set(near.map(numberAsText))].filter((text) => textIssue(name, text) === null);
  return texts.length < 2 ? null : texts.join(", ");
}

const halves = (value: number) => [Math.max(1, Math.round(value / 2)), value, value * 2];
const thirds = (value: number) => [value / 3, value, value * 3].map((one) => Number(one.toPrecision(1)));
