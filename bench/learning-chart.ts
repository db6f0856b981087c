/** bench learning-chart: draws the results of learning benchmarks as lines, and writes them as tables into a page. */
import { readFile, writeFile } from "node:fs/promises";
import { mean } from "../engine/numbers/mean.ts";
import type { ChartOptions } from "./chart.ts";
import type { LearningResult, MeasuredContender } from "./learning.ts";
import type { Point } from "./learning-run.ts";
import type { TaskResults } from "./learning-table.ts";
import { byTask, learningTable } from "./learning-table.ts";
import type { Level, Line, Panel } from "./line-chart.ts";
import { lineCharts } from "./line-chart.ts";
import { deviation } from "./measure.ts";
import { replaceBlock } from "./page.ts";

export interface LearningChartOptions extends ChartOptions {
  /** Contenders that are drawn; all by default. */
  readonly curves?: readonly string[];
}

/** Tables have all tasks, the chart the first one. */
export async function chartLearning(files: readonly string[], options: LearningChartOptions): Promise<void> {
  const results = await Promise.all(
    files.map(async (file) => JSON.parse(await readFile(file, "utf8")) as LearningResult),
  );
  const [first] = byTask(results);
  await writeFile(options.svg, lineCharts("Accuracy while runs learn", first ? panelsOf(first, options.curves) : []));
  if (options.page === undefined) return;
  const machines = [...new Set(results.map(machineLine))];
  const body = [...machines, learningTable(results)].join("\n\n");
  await replaceBlock(options.page, "results: made by npm run bench -- learning-chart", body);
}

/** Programs differ: Node and Steplog, or torch and transformers. */
function machineLine({ machine, device }: LearningResult): string {
  const { processor, cores, memoryGb, ...programs } = machine;
  const versions = Object.entries(programs).map(([name, version]) => `${name} ${version}`);
  return `${[`${processor}, ${cores} cores, ${memoryGb} GB`, ...versions].join("; ")}; ${device}.`;
}

const axes = [
  { key: "passes", title: "by forward passes", xName: "forward passes of a batch; a backward pass counts as two" },
  { key: "cpuSeconds", title: "by processor seconds", xName: "seconds of processor time, without evaluations" },
] as const;

function panelsOf({ task, results, contenders }: TaskResults, curves: readonly string[] | undefined): Panel[] {
  const drawn = contenders.filter(({ name }) => curves?.includes(name) ?? true);
  const levels = results.flatMap(levelsOf);
  return axes.map(({ key, title, xName }) => {
    const lines = drawn.map(({ name, runs }) => ({ name, points: pointsOf(runs, key) }));
    return { title: `${task}: accuracy on validation rows ${title}`, xName, lines, levels };
  });
}

function levelsOf({ baselines }: LearningResult): Level[] {
  const levels = [
    ["base model", baselines?.base],
    ["in-context learning", baselines?.inContext],
    ["linear probe", baselines?.linearProbe],
  ] as const;
  return levels.flatMap(([name, share]) => (typeof share === "number" ? [{ name, y: 100 * share }] : []));
}

/** The means of all runs at the same evaluation, after the first. A run that ended early stays at its last one. */
function pointsOf(runs: MeasuredContender["runs"], key: "passes" | "cpuSeconds"): Line["points"] {
  const most = Math.max(...runs.map(({ points }) => points.length));
  return Array.from({ length: Math.max(0, most - 1) }, (_, i) => {
    const reached = runs.flatMap(({ points }) => points[i + 1] ?? []);
    const known = runs.flatMap(({ points }) => points[i + 1] ?? points.at(-1) ?? []);
    const percents = known.map((point: Point) => 100 * (point.accuracy ?? NaN));
    return { x: mean(reached.map((point) => point[key])), y: mean(percents), spread: deviation(percents) };
  });
}
