/** Usage as a table for a spreadsheet. Numbers have no commas, days are ISO's. */
import type { UsageByDayQuery } from "../operations.ts";

const columns = [
  "day",
  "steps",
  "stepSeconds",
  "tokensTrained",
  "tokensGenerated",
  "bytes",
  "evaluationSeconds",
  "completionSeconds",
  "rebuildSeconds",
] as const;

export function csvOf(days: UsageByDayQuery["usage"]): string {
  const lines = days.map((day) => columns.map((name) => String(day[name])).join(","));
  return `${[columns.join(","), ...lines].join("\r\n")}\r\n`;
}
