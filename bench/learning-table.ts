/** Results of learning benchmarks as Markdown: each contender's runs as one line, seeds of several files together. */
import { mean } from "../engine/numbers/mean.ts";
import type { LearningResult, MeasuredContender } from "./learning.ts";
import { deviation } from "./measure.ts";
import { markdownTable, number } from "./report.ts";

/** The results of one task. */
export interface TaskResults {
  readonly task: string;
  readonly results: readonly LearningResult[];
  readonly contenders: readonly MeasuredContender[];
}

/** In the order in which tasks, and contenders, first appear. */
export function byTask(results: readonly LearningResult[]): TaskResults[] {
  const tasks = [...new Set(results.map(({ options }) => options.task))];
  return tasks.map((task) => {
    const own = results.filter(({ options }) => options.task === task);
    return { task, results: own, contenders: together(own.flatMap(({ contenders }) => contenders)) };
  });
}

function together(contenders: readonly MeasuredContender[]): MeasuredContender[] {
  const names = [...new Set(contenders.map(({ name }) => name))];
  return names.flatMap((name) => {
    const same = contenders.filter((one) => one.name === name);
    return same.slice(0, 1).map((first) => ({ ...first, runs: same.flatMap(({ runs }) => runs) }));
  });
}

export function learningTable(results: readonly LearningResult[]): string {
  return byTask(results)
    .map(({ task, results: own, contenders }) => {
      const rows = [...contenders.map(contenderCells), ...own.flatMap(baselineCells)];
      const title = `${task}: ${own[0]?.rows.training ?? 0} training rows`;
      const columns = [title, "runs", "rate", "passes", "CPU seconds", "validation", "test", "MB"];
      const used = columns.map((_, at) => rows.some((row) => row[at] !== ""));
      const shown = (row: readonly string[]) => row.filter((_, at) => used[at]);
      return markdownTable(shown(columns), rows.map(shown));
    })
    .join("\n\n");
}

function contenderCells({ name, runs }: MeasuredContender): string[] {
  const ends = runs.flatMap(({ points }) => points.slice(-1));
  const failed = runs.filter(({ ended }) => ended !== "DONE").length;
  const memory = runs.flatMap((run) => (run.memory ? [run.memory.peak - run.memory.loaded] : []));
  return [
    name,
    failed > 0 ? `${runs.length}, ${failed} diverged` : String(runs.length),
    range(runs.map(({ learningRate }) => learningRate)),
    mean(ends.map(({ passes }) => passes)).toFixed(0),
    number(mean(ends.map(({ cpuSeconds }) => cpuSeconds))),
    percentOf(ends.map(({ accuracy }) => accuracy)),
    percentOf(runs.map(({ test }) => test)),
    memory.length > 0 ? Math.max(...memory).toFixed(0) : "",
  ];
}

function baselineCells({ baselines, options }: LearningResult): string[][] {
  if (!baselines) return [];
  const cells = (name: string, share: number | null, test: number | null = null) =>
    share === null ? [] : [[name, "", "", "", "", percentOf([share]), percentOf([test]), ""]];
  return [
    ...cells("base model", baselines.base, baselines.test),
    ...cells(`in-context learning, up to ${options.inContextRows} examples`, baselines.inContext),
    ...cells("linear probe of the base", baselines.linearProbe),
  ];
}

/** Mean and standard deviation, in percent. */
function percentOf(shares: readonly (number | null)[]): string {
  const percents = shares.flatMap((share) => (share === null ? [] : [100 * share]));
  if (percents.length === 0) return "";
  const spread = percents.length > 1 ? ` ± ${deviation(percents).toFixed(1)}` : "";
  return `${mean(percents).toFixed(1)}${spread}`;
}

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => String(Number(value.toPrecision(2))));
  return least === most ? String(least) : `${least} to ${most}`;
}
