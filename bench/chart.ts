/** bench chart: draws result files as an SVG, and writes them as tables into a page, so that both show the same numbers. */
import { readFile, writeFile } from "node:fs/promises";
import type { Machine } from "./measure.ts";
import { replaceBlock } from "./page.ts";
import type { Contender, PeersResult } from "./peers.ts";
import type { AnyResult } from "./report.ts";
import { number, ratioTo, report, titleOf } from "./report.ts";
import type { Group } from "./svg.ts";
import { barChart } from "./svg.ts";

export interface ChartOptions {
  readonly svg: string;
  readonly page?: string;
}

export async function chart(files: readonly string[], options: ChartOptions): Promise<void> {
  const results = await Promise.all(files.map(async (file) => JSON.parse(await readFile(file, "utf8")) as AnyResult));
  const groups = results.flatMap((result) => (result.bench === "peers" ? peerGroups(result) : []));
  await writeFile(options.svg, barChart("Speed of Steplog and other programs", groups));
  if (options.page !== undefined) await writePage(options.page, results);
}

function peerGroups(result: PeersResult): Group[] {
  const kinds = (["step", "replay"] as const).flatMap((group) =>
    (["f32", "bf16"] as const).map((d) => [group, d] as const),
  );
  return kinds.flatMap(([group, dtype]) => {
    const contenders = result.contenders.filter((one) => one.group === group && one.dtype === dtype);
    if (contenders.length === 0) return [];
    const title = `${titleOf(group, result)}, ${dtype}: seconds, lower is better`;
    return [{ title, bars: contenders.map((one) => barOf(one, contenders)) }];
  });
}

function barOf(one: Contender, contenders: readonly Contender[]) {
  const ratio = one.ours ? "" : ` (${number(ratioTo(contenders, one))} times ours)`;
  return { label: one.name, value: one.seconds, text: `${number(one.seconds)} s${ratio}`, ours: one.ours };
}

async function writePage(path: string, results: readonly AnyResult[]): Promise<void> {
  const body = results.length === 0 ? "Nothing has been measured yet." : results.map(section).join("\n\n");
  await replaceBlock(path, "results: made by npm run bench -- chart", body);
}

function section(result: AnyResult): string {
  const shown = report(result);
  const text = result.bench === "peers" ? shown : ["```", shown, "```"].join("\n");
  return [machineLine(result.machine), commands(result), text].join("\n\n");
}

function machineLine({ processor, cores, memoryGb, node, steplog }: Machine): string {
  return `${processor}, ${cores} cores, ${memoryGb} GB; Node ${node}, Steplog ${steplog}.`;
}

function commands(result: AnyResult): string {
  const list = result.bench === "peers" ? result.contenders.map(({ command }) => command) : [commandOf(result)];
  return ["```", ...list, "```"].join("\n");
}

function commandOf({ bench, options }: Exclude<AnyResult, PeersResult>): string {
  const flags = Object.entries(options).map(([name, value]) => `--${name} ${flagValue(value)}`);
  return `npm run -s bench -- ${bench} ${flags.join(" ")}`;
}

function flagValue(value: unknown): string {
  return value === "F32" || value === "BF16" ? value.toLowerCase() : String(value);
}
