/** A sweep in words. */
import type { FineTuneStatus } from "../../../client/schema-types.ts";
import { hyperparameterTable, type HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { settingInWords, shortLabel } from "../parts/form/settings.ts";
import { isFinal, statusWords } from "../parts/status.tsx";
import type { SweptRun } from "./metric.ts";

interface Counted {
  readonly status: FineTuneStatus;
  readonly count: number;
}

export const isGoing = (statuses: readonly Counted[]) => statuses.some(({ status }) => !isFinal(status));

/** "4 running, 11 queued". */
export const statusesInWords = (statuses: readonly Counted[]) =>
  statuses.map(({ status, count }) => `${formatInteger(count)} ${statusWords[status].toLowerCase()}`).join(", ");

export function countsOf(runs: readonly SweptRun[]): Counted[] {
  const statuses = Object.keys(statusWords) as FineTuneStatus[];
  const counts = statuses.map((status) => ({ status, count: runs.filter((run) => run.status === status).length }));
  return counts.filter(({ count }) => count > 0);
}

/** How it is going: "5 of 16 runs have ended; 2 running, 9 queued." */
export function progressInWords(runs: readonly SweptRun[]): string {
  const counts = countsOf(runs);
  const going = counts.filter(({ status }) => !isFinal(status));
  const failed = counts.filter(({ status }) => status === "FAILED" || status === "CANCELLED");
  const ended = runs.filter(({ status }) => isFinal(status)).length;
  const all = formatCounted(runs.length, "run");
  const notes = going.length > 0 ? going : failed;
  const rest = notes.length > 0 ? `: ${statusesInWords(notes)}` : "";
  if (ended === runs.length) return `${runs.length === 1 ? "The run has" : `All ${all} have`} ended${rest}.`;
  return `${formatInteger(ended)} of ${all} ${ended === 1 ? "has" : "have"} ended${rest}.`;
}

const known = (name: string): name is HyperparameterName => name in hyperparameterTable;

/** "Learning rate, Seed". */
export const variedInWords = (varied: readonly string[]) =>
  varied.map((name) => (known(name) ? shortLabel(name) : name)).join(", ");

/** What tells a run from the others: "learning rate 1e-5, seed 2". */
export const settingsInWords = (run: SweptRun, varied: readonly string[]) =>
  varied
    .filter(known)
    .map((name) => `${lower(shortLabel(name))} ${settingInWords(name, run.hyperparameters[name])}`)
    .join(", ");

const lower = (text: string) => (/^[A-Z][a-z ]/u.test(text) ? text[0]?.toLowerCase() + text.slice(1) : text);
