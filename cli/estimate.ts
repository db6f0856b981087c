/** What a fine-tune would take, for people or as JSON. What would be refused sets the exit code. */
import type { FineTuneEstimate } from "../client/index.ts";
import { counted, formatBytes, formatDuration } from "../schema/units.ts";
import { exitCodes } from "./exit-codes.ts";
import { reportFailure } from "./exit.ts";
import { print, printJson, printTable } from "./output.ts";

/** `datasets` are the ids of those that were estimated, by their part in the run. */
export function printEstimate(
  estimate: FineTuneEstimate,
  datasets: Readonly<Record<string, string>>,
  json: boolean,
): void {
  if (json) printJson({ ...estimate, datasets });
  else printForPeople(estimate, datasets);
  if (estimate.errors.length > 0) process.exitCode = exitCodes.refused;
}

function printForPeople(estimate: FineTuneEstimate, datasets: Readonly<Record<string, string>>): void {
  for (const error of estimate.errors) {
    const where = error.argument === null ? "" : `${error.argument}: `;
    reportFailure({ ...error, message: `${where}${error.message}` });
  }
  for (const [role, id] of Object.entries(datasets)) print(`${role}: stored as ${id}`);
  for (const note of estimate.notes) print(note);
  if (estimate.uncounted !== null) print(`Not counted: ${estimate.uncounted}`);
  if (estimate.counts) printCounts(estimate.counts);
  const { memoryBytes, storedWeightsBytes, workers } = estimate;
  if (storedWeightsBytes !== null && storedWeightsBytes > 0)
    print(`Disk: ${formatBytes(storedWeightsBytes)} for the weights at the end.`);
  if (memoryBytes === null) return;
  print(`Memory: ${formatBytes(memoryBytes)} at least.`);
  if (workers.length === 0) print("No worker is running.");
  else printTable(["WORKER", "MEMORY", "TRAINS IT IN"], workers.map(workerRow));
}

type Counts = NonNullable<FineTuneEstimate["counts"]>;

function printCounts({ training, validation, test, ...counts }: Counts): void {
  for (const [name, rows] of Object.entries({ training, validation, test })) {
    if (!rows) continue;
    const tokens = `${counted(rows.tokens, "token")}, ${rows.scored} of them scored, at most ${rows.longest} in a row`;
    print(`${name}: ${counted(rows.rows, "row")} of ${tokens}`);
  }
  print(`steps: ${passesOf(counts.steps)}`);
  if (counts.probes.passes > 0) print(`choosing the learning rate: ${passesOf(counts.probes)}`);
  for (const { kind, times, ...passes } of counts.evaluations) {
    print(`${kind.toLowerCase().replaceAll("_", " ")}: measured ${counted(times, "time")}, ${passesOf(passes)}`);
  }
  if (counts.why !== null) print(`Passes and tokens are not exact: ${counts.why}.`);
  const { logEntries, logBytes, checkpoints } = counts;
  print(
    `log: ${counted(logEntries, "entry", "entries")}, ${formatBytes(logBytes)}; ${counted(checkpoints, "checkpoint")}`,
  );
}

function passesOf({ passes, tokens }: Counts["steps"]): string {
  return `${counted(passes, "forward pass", "forward passes")} over ${counted(tokens, "token")}`;
}

function workerRow({ worker, lacks, seconds, unmeasured }: FineTuneEstimate["workers"][number]): string[] {
  const cannot = lacks.length === 0 ? null : `cannot: it lacks ${lacks.join(", ")}`;
  const time = seconds && `${formatDuration(seconds.total)}${partsOf(seconds)}`;
  return [worker.name, formatBytes(worker.memoryBytes), cannot ?? time ?? `unknown: ${unmeasured ?? "not counted"}`];
}

function partsOf({ start, steps, evaluations }: NonNullable<FineTuneEstimate["workers"][number]["seconds"]>): string {
  const parts = { start, steps, evaluations };
  const shown = Object.entries(parts).filter(([, seconds]) => seconds >= 1);
  return shown.length < 2 ? "" : ` (${shown.map(([name, some]) => `${name} ${formatDuration(some)}`).join(", ")})`;
}
