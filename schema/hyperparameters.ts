/** Validation of hyperparameters, made from their table: the API, the command line and the worker all use this schema. */
import { didYouMean } from "./did-you-mean.ts";
import { z } from "zod";
import type { HyperparameterName, Hyperparameters } from "./hyperparameter-table.ts";
import type { Setting } from "./setting.ts";
import { defaultsWith, valueOfAbsence } from "./hyperparameter-defaults.ts";
import { hyperparameterEntries, hyperparameterTable } from "./hyperparameter-table.ts";
import { choiceOf, rangeInWords } from "./setting.ts";
import { limits } from "./limits.ts";
import { counted } from "./units.ts";

export type {
  BestMetric,
  EstimatorKind,
  Hyperparameters,
  MethodKind,
  ObjectiveKind,
  PrecisionKind,
  ScheduleKind,
  Truncation,
} from "./hyperparameter-table.ts";

const fields = z.strictObject(Object.fromEntries(hyperparameterEntries.map(([name, one]) => [name, fieldOf(one)])));

/** All hyperparameters. Missing ones get their defaults; those of stored runs are for `settingsOf`. */
export const hyperparametersSchema = z
  .preprocess((given) => (isRecord(given) ? withDefaults(given) : given), fields)
  // The fields were made from the table, and so was the type.
  .transform((parsed) => parsed as Hyperparameters);

/** A run's settings, as it is stored with them. */
export interface StoredSettings {
  /** What the release before knows; runs of older releases have less. */
  readonly hyperparameters: Partial<Hyperparameters>;
  /** What it does not know, where it is not the default. */
  readonly lateSettings: Readonly<Record<string, unknown>> | null;
}

/** The settings of a stored run. What it lacks is what it was then, and what only a later release knows is left out. */
export function settingsOf({ hyperparameters, lateSettings }: StoredSettings): Hyperparameters {
  const known = Object.entries(lateSettings ?? {}).filter(([name]) => isName(name));
  const changed = hyperparameterEntries.flatMap(([name, one]) =>
    one.absent === undefined ? [] : [[name, valueOfAbsence(one)] as const],
  );
  return hyperparametersSchema.parse({
    ...Object.fromEntries(changed),
    ...hyperparameters,
    ...Object.fromEntries(known),
  });
}

/** The inverse of settingsOf. */
export function settingsToStore(settings: Hyperparameters) {
  const late = new Map(
    hyperparameterEntries.flatMap(([name, one]) => (one.late ? [[name as string, one.default]] : [])),
  );
  const all = Object.entries(settings);
  const changed = all.filter(([name, value]) => late.has(name) && value !== late.get(name));
  return {
    hyperparameters: Object.fromEntries(all.filter(([name]) => !late.has(name))) as Hyperparameters,
    ...(changed.length > 0 && { lateSettings: Object.fromEntries(changed) }),
  };
}

function fieldOf(one: Setting): z.ZodType {
  if (one.type === "switch") return z.boolean();
  if (one.type === "choice") return z.enum(Object.keys(one.values));
  if (one.type === "names") return z.array(z.string().min(1).max(limits.nameLength)).max(limits.patterns);
  const number = (one.type === "integer" ? z.int() : z.number()).max(one.max);
  const bounded = one.above === undefined ? number.min(one.min ?? -Infinity) : number.gt(one.above);
  return one.auto ? z.union([bounded, z.literal("AUTO")]) : bounded;
}

function withDefaults(given: Record<string, unknown>): Record<string, unknown> {
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaultsWith(given), ...Object.fromEntries(set) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** What is wrong with a hyperparameter. */
export interface HyperparameterIssue {
  readonly path: readonly string[];
  readonly message: string;
}

/** Every wrong value, with what is allowed and what was given; then unknown names. */
export function wrongHyperparameters(given: Readonly<Record<string, unknown>>): HyperparameterIssue[] {
  const issues = hyperparametersSchema.safeParse(given).error?.issues ?? [];
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") return issue.keys.map(unknownIssue);
    const path = issue.path.map(String);
    const [name] = path;
    if (!isName(name)) return [];
    const one = hyperparameterTable[name];
    const value = given[name];
    const seen = typeof value === "number" ? String(value) : JSON.stringify(value);
    return [{ path, message: `must be ${rangeInWords(one)}; it is ${seen}${meant(one, value)}` }];
  });
}

/** `. Did you mean "SPSA"?` of a mistyped choice. */
function meant(one: Setting, value: unknown): string {
  const hint = one.type === "choice" && typeof value === "string" ? didYouMean(value, Object.keys(one.values)) : "";
  return hint === "" ? "" : `.${hint}`;
}

function isName(name: string | undefined): name is HyperparameterName {
  return name !== undefined && Object.hasOwn(hyperparameterTable, name);
}

function unknownIssue(name: string): HyperparameterIssue {
  const known = Object.keys(hyperparameterTable);
  return { path: [name], message: `is not a hyperparameter.${didYouMean(name, known)} There are ${known.join(", ")}` };
}

/** Values that are allowed, but not together, or not without a validation dataset. Each issue names the setting to change. */
export function conflictingHyperparameters(settings: Hyperparameters, validated: boolean): HyperparameterIssue[] {
  const values: Readonly<Record<string, unknown>> = settings;
  return hyperparameterEntries.flatMap(([name, one]) => {
    const value = values[name];
    const changed = JSON.stringify(value) !== JSON.stringify(one.default);
    const unvalidated = changed && one.needsValidation === true && !validated;
    const needs = { ...(changed && one.needs), ...choiceOf(one, value)?.needs };
    const most = "atMost" in one && one.atMost ? Number(values[one.atMost]) : Infinity;
    const cause = one.type === "choice" ? `${name} ${String(value)}` : name;
    return [
      ...(Number(value) > most
        ? [{ path: [name], message: `must be at most the ${counted(most, "step")} of the run; it is ${String(value)}` }]
        : []),
      ...(unvalidated ? [{ path: [name], message: "needs a validation dataset" }] : []),
      ...Object.entries(needs)
        .map(([other, least]) => ({ other, least, seen: Number(values[other]) }))
        // An estimatesAtEnd of 0 stands for `estimates`.
        .filter(({ other, least, seen }) => seen < least && !(other === "estimatesAtEnd" && seen === 0))
        .map(({ other, least, seen }) => ({
          path: [other],
          message: `must be at least ${least} with ${cause}; it is ${seen}`,
        })),
    ];
  });
}

/** The warm-up of a run that goes on after `done` steps of another: none, or a new one where that was not over. */
export function warmupAfter(
  done: number,
  { warmupSteps }: Pick<Hyperparameters, "warmupSteps">,
  steps: number,
): number {
  return done < warmupSteps ? Math.min(warmupSteps, steps) : 0;
}

/** Tokens of the model's context that a prefix takes up. */
export function contextTaken({ method, prefixLength }: Pick<Hyperparameters, "method" | "prefixLength">): number {
  return method === "PREFIX" ? prefixLength : 0;
}
