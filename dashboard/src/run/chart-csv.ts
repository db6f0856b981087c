/** The numbers of a chart as a table: a row for each step that any series has, with nothing where a series has no value there. */
import type { Chart } from "./chart-data.ts";

export function csvOf({ steps, series }: Pick<Chart, "steps" | "series">): string {
  const head = ["step", ...series.map(({ label }) => quoted(label))];
  const rows = steps.map((step, index) => [step, ...series.map(({ values }) => values[index] ?? "")]);
  return [head, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

/** Of merged steps, a label has a number with commas. */
const quoted = (label: string) => (/[",]/u.test(label) ? `"${label.replaceAll('"', '""')}"` : label);
