/**
 * The axes of parallel coordinates: one for each setting that varies, and the metric. A setting with few values has them at equal
 * distances, in their order; what has many is drawn to scale.
 */
import { hyperparameterTable, type HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import type { Setting } from "../../../schema/setting.ts";
import { settingInWords, shortLabel } from "../parts/form/settings.ts";
import type { Metric, SweptRun } from "./metric.ts";

export interface Stop {
  readonly value: number;
  /** Where it is on the axis, from 0 to 1. */
  readonly at: number;
  readonly label: string;
}

export interface Axis {
  /** Name of the setting, or "best". */
  readonly key: string;
  readonly title: string;
  /** Null where a run has no value. */
  readonly valueOf: (run: SweptRun) => number | null;
  /** The values of the runs, each once, from low to high. */
  readonly stops: readonly Stop[];
  /** What is written beside it. */
  readonly ticks: readonly Stop[];
}

/** What is shown of an axis, both ends included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export type Filters = ReadonlyMap<string, Range>;

const mostApart = 12;

export function axesOf(runs: readonly SweptRun[], varied: readonly string[], metric: Metric): Axis[] {
  const names = varied.filter((name): name is HyperparameterName => name in hyperparameterTable);
  return [...names.map((name) => settingAxis(runs, name)), metricAxis(runs, metric)];
}

type Value = SweptRun["hyperparameters"][HyperparameterName];

function settingAxis(runs: readonly SweptRun[], name: HyperparameterName): Axis {
  const given = new Map<string, Value>(runs.map((run) => [keyOf(run, name), run.hyperparameters[name]]));
  const values = [...given].toSorted(([, a], [, b]) => order(name, a, b));
  const shared = { key: name, title: shortLabel(name) };
  if (values.length > mostApart && values.every(([, value]) => typeof value === "number")) {
    const whole = hyperparameterTable[name].type === "integer";
    const valueOf = (run: SweptRun) => Number(run.hyperparameters[name]);
    return { ...shared, ...toScale(runs, valueOf, { label: (value) => settingInWords(name, value), whole }) };
  }
  const indexes = new Map(values.map(([key], index) => [key, index]));
  const stops = values.map(([, value], index) => ({
    value: index,
    at: values.length === 1 ? 0.5 : index / (values.length - 1),
    label: settingInWords(name, value),
  }));
  return { ...shared, valueOf: (run) => indexes.get(keyOf(run, name)) ?? null, stops, ticks: stops };
}

const keyOf = (run: SweptRun, name: HyperparameterName) => JSON.stringify(run.hyperparameters[name]);

/** Numbers by their size, what else there is after them; choices as their table has them. */
function order(name: HyperparameterName, a: Value, b: Value): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number" || typeof b === "number") return typeof a === "number" ? -1 : 1;
  const one: Setting = hyperparameterTable[name];
  const choices = one.type === "choice" ? Object.keys(one.values) : ["false", "true"];
  return choices.indexOf(String(a)) - choices.indexOf(String(b)) || String(a).localeCompare(String(b));
}

function metricAxis(runs: readonly SweptRun[], { title, of, format }: Metric): Axis {
  return { key: "best", title, ...toScale(runs, of, { label: format, whole: false }) };
}

const tickCount = 5;

/** By powers of ten where the largest value is many times the least. */
function toScale(
  runs: readonly SweptRun[],
  valueOf: Axis["valueOf"],
  { label, whole }: { readonly label: (value: number) => string; readonly whole: boolean },
): Pick<Axis, "valueOf" | "stops" | "ticks"> {
  const found = runs.flatMap((run) => valueOf(run) ?? []).filter(Number.isFinite);
  const values = [...new Set(found)].toSorted((a, b) => a - b);
  const [least, most] = [values[0] ?? 0, values.at(-1) ?? 0];
  const isLog = least > 0 && most / least >= 30;
  const place = isLog ? Math.log : Number;
  const span = place(most) - place(least);
  const stop = (value: number): Stop => ({
    value,
    at: span === 0 ? 0.5 : (place(value) - place(least)) / span,
    label: label(value),
  });
  const rounded = (value: number) => (whole ? Math.round(value) : Number(value.toPrecision(3)));
  const valueAt = (at: number) => (isLog ? least * (most / least) ** at : least + (most - least) * at);
  const ticks =
    values.length < 2
      ? values.map(stop)
      : Array.from({ length: tickCount }, (_, index) => stop(rounded(valueAt(index / (tickCount - 1)))));
  return { valueOf: (run) => finite(valueOf(run)), stops: values.map(stop), ticks };
}

const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null);

/** Where a run crosses an axis, from 0 to 1; null where it has no value there. */
export function placeOf({ valueOf, stops }: Axis, run: SweptRun): number | null {
  const value = valueOf(run);
  return stops.find((stop) => stop.value === value)?.at ?? null;
}

/** The values between two places; the nearest one where none is. */
export function rangeBetween({ stops }: Axis, a: number, b: number): Range | null {
  const [low, high] = a <= b ? [a, b] : [b, a];
  const slack = 1e-9;
  const within = stops.filter(({ at }) => at >= low - slack && at <= high + slack);
  const near = (place: number) =>
    stops.toSorted((one, other) => Math.abs(one.at - place) - Math.abs(other.at - place)).slice(0, 1);
  const kept = within.length > 0 ? within : near((low + high) / 2);
  const [first, last] = [kept[0], kept.at(-1)];
  return first && last ? { from: first.value, to: last.value } : null;
}

/** Indexes of the first and of the last value that are shown. */
export function endsOf({ stops }: Axis, range: Range | undefined): readonly [low: number, high: number] {
  if (range === undefined) return [0, stops.length - 1];
  const low = stops.findIndex(({ value }) => value >= range.from);
  const high = stops.findLastIndex(({ value }) => value <= range.to);
  return [low < 0 ? stops.length - 1 : low, Math.max(high, 0)];
}

export function isKept(axes: readonly Axis[], filters: Filters, run: SweptRun): boolean {
  return axes.every(({ key, valueOf }) => {
    const range = filters.get(key);
    const value = valueOf(run);
    return range === undefined || (value !== null && value >= range.from && value <= range.to);
  });
}

/** "1e-6 to 1e-5", or the one value. */
export function rangeInWords(axis: Axis, range: Range): string {
  const [low, high] = endsOf(axis, range).map((index) => axis.stops[index]?.label ?? "");
  return low === high ? (low ?? "") : `${low} to ${high}`;
}

// In the address: "learningRate:0:1,best:0.5:0.9".

export function filtersIn(text: string | undefined): Filters {
  const parts = (text ?? "").split(",").map((part) => part.split(":"));
  return new Map(
    parts.flatMap(([key = "", from, to]): [string, Range][] => {
      const range = { from: Number(from ?? NaN), to: Number(to ?? NaN) };
      return key === "" || Number.isNaN(range.from) || Number.isNaN(range.to) ? [] : [[key, range]];
    }),
  );
}

export const filtersAsText = (filters: Filters) =>
  [...filters].map(([key, { from, to }]) => `${key}:${from}:${to}`).join(",");
