/** What was measured on rows, in words. */
import type { Evaluation } from "../client/index.ts";
import { counted, formatLoss } from "../schema/units.ts";

export type Measurements = Pick<Evaluation, "loss" | "accuracy" | "f1" | "exactMatch" | "rows">;

export function inWords({ loss, accuracy, f1, exactMatch, rows }: Measurements, noun: string): string {
  const shares = { accuracy, F1: f1, "exact match": exactMatch };
  const known = Object.entries(shares).flatMap(([name, share]) =>
    share === null ? [] : [`, ${name} ${(100 * share).toFixed(1)}%`],
  );
  return `loss ${loss === null ? "not finite" : formatLoss(loss)}${known.join("")} on ${counted(rows, noun)}`;
}
