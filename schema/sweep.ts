/** Which runs a sweep has: all combinations of the values of some settings, or a list of settings. */
import { type HyperparameterName, hyperparameterEntries } from "./hyperparameter-table.ts";

/** Settings by their names, as clients give them: null counts as left out. */
export type GivenSettings = Readonly<Partial<Record<HyperparameterName, unknown>>>;

/** Several values of some settings. */
export type SettingsGrid = Readonly<Partial<Record<HyperparameterName, readonly unknown[] | null | undefined>>>;

/** How many runs a grid has, without making them. */
export function sizeOfGrid(grid: SettingsGrid): number {
  return axesOf(grid).reduce((size, [, values]) => size * values.length, axesOf(grid).length === 0 ? 0 : 1);
}

/** All combinations, the setting that comes first in the table changing last. */
export function combinationsOf(grid: SettingsGrid): GivenSettings[] {
  const axes = axesOf(grid);
  if (axes.length === 0) return [];
  return axes.reduce<GivenSettings[]>(
    (made, [name, values]) => made.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  );
}

function axesOf(grid: SettingsGrid): [HyperparameterName, readonly unknown[]][] {
  return hyperparameterEntries.flatMap(([name]) => {
    const values = grid[name];
    return values == null ? [] : [[name, values] as [HyperparameterName, readonly unknown[]]];
  });
}

/** Settings that are given, and not the same in all. */
export function variedIn(runs: readonly GivenSettings[]): HyperparameterName[] {
  return hyperparameterEntries.flatMap(([name]) => {
    const values = new Set(runs.map((run) => JSON.stringify(run[name] ?? null)));
    return values.size > 1 ? [name] : [];
  });
}

/** What tells a run from the others of its sweep: "learningRate 0.001, seed 2". */
export function variedInWords(run: GivenSettings, varied: readonly HyperparameterName[]): string {
  const worded = (value: unknown) => (Array.isArray(value) ? value.join(" ") : String(value));
  return varied.flatMap((name) => (run[name] == null ? [] : [`${name} ${worded(run[name])}`])).join(", ");
}
