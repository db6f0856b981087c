/** Times as options take them. */
import { InvalidArgumentError } from "commander";

/** A date, or a date and a time. */
export function timeIn(text: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError("Give a time such as 2026-01-31 or 2026-01-31T12:00:00Z.");
}
