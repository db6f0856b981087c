/** Which days are shown, in UTC, as the service counts them: in the address, else the last 30. */
import { mostUsageDays } from "../../../../schema/usage.ts";

export interface DayRange {
  /** 2026-01-31; both are shown. */
  readonly from: string;
  readonly to: string;
}

export const ranges = [
  { days: 7, name: "The last 7" },
  { days: 30, name: "The last 30" },
  { days: 90, name: "The last 90" },
  { days: 365, name: "The last year" },
] as const;

const dayMs = 86_400_000;
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

export function rangeOf(query: Readonly<Record<string, string>>, now = Date.now()): DayRange {
  const { from, to, days } = query;
  if (from !== undefined && to !== undefined) return { from, to };
  const count = ranges.find((one) => String(one.days) === days)?.days ?? 30;
  return { from: dayOf(now - (count - 1) * dayMs), to: dayOf(now) };
}

/** Each day of a range; none of one that is the wrong way round, which the service refuses. */
export function daysOf({ from, to }: DayRange): string[] {
  const count = Math.round((Date.parse(to) - Date.parse(from)) / dayMs) + 1;
  return Array.from({ length: Math.max(0, Math.min(count, mostUsageDays)) }, (_, index) =>
    dayOf(Date.parse(from) + index * dayMs),
  );
}
