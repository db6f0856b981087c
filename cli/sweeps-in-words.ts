/** Sweeps in the words of a command line. */
import type { FineTuneStatus } from "../client/schema-types.ts";
import { counted } from "../schema/units.ts";

interface Counted {
  readonly status: FineTuneStatus;
  readonly count: number;
}

/** "16: 2 running, 14 queued". */
export function runsInWords(statuses: readonly Counted[]): string {
  const all = statuses.reduce((sum, { count }) => sum + count, 0);
  if (all === 0) return "none";
  return `${all}: ${statuses.map(({ status, count }) => `${count} ${status.toLowerCase()}`).join(", ")}`;
}

export const passesInWords = (passes: number) => counted(passes, "forward pass", "forward passes");
