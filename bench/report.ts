/** Results for people: a few lines for a terminal, or Markdown tables for a page. */
import type { GemmResult } from "./gemm.ts";
import type { GenerateResult } from "./generate.ts";
import type { LlamaResult } from "./llama/llama.ts";
import type { LoadResult } from "./load.ts";
import type { Summary } from "./measure.ts";
import type { NoiseResult } from "./noise.ts";
import type { Contender, PeersResult } from "./peers.ts";
import type { RebuildResult } from "./rebuild.ts";
import type { ReplayResult } from "./replay.ts";
import type { ScalingResult } from "./scaling.ts";
import { type BesideResult, besideLines } from "./serve/beside.ts";
import { type ColdResult, coldLines } from "./serve/cold.ts";
import { type ManyResult, manyLines } from "./serve/many.ts";
import { type ServeResult, serveLines } from "./serve/serve.ts";
import { type WakeResult, wakeLines } from "./serve/wake.ts";
import type { StepResult } from "./step.ts";

export type AnyResult =
  | StepResult
  | ReplayResult
  | RebuildResult
  | LoadResult
  | GenerateResult
  | GemmResult
  | NoiseResult
  | ScalingResult
  | ServeResult
  | ColdResult
  | BesideResult
  | ManyResult
  | WakeResult
  | LlamaResult
  | PeersResult;

/** A few lines for a terminal; for peers, Markdown tables. */
export function report(result: AnyResult): string {
  return result.bench === "peers" ? contenderTables(result) : lines(linesOf(result));
}

function rates({ ours, theirs }: LlamaResult, what: keyof LlamaResult["ours"]): string {
  const ratio = number(ours[what] / theirs[what]);
  return `${number(ours[what])} tokens per second; llama.cpp ${number(theirs[what])}; ratio ${ratio}`;
}

type Line = readonly [name: string, value: string];

function linesOf(result: Exclude<AnyResult, PeersResult>): readonly Line[] {
  const device: Line = ["device", result.device];
  switch (result.bench) {
    case "step":
      return [device, ...stepLines(result)];
    case "replay":
      return [
        device,
        ["replay", seconds(result.replay)],
        ["updates", `${number(result.gigaUpdatesPerSecond)} G per second, of ${result.elements} elements`],
        ["peak memory", `${number(result.peakMemory)} MB`],
      ];
    case "rebuild":
      return [
        device,
        ["rebuild", `${number(result.seconds)} s, from a log of ${result.logBytes} bytes`],
        [
          "predicted",
          `${number(result.foretold)} s of replay alone; the rebuild took ${number(result.ratio)} times that`,
        ],
        ["peak memory", `${number(result.peakMemory)} MB, for ${number(result.bytes / 1e6)} MB of weights`],
      ];
    case "load":
      return [
        device,
        ["read", `${seconds(result.read)}, of ${number(result.bytes / 1e6)} MB`],
        ["load", `${seconds(result.load)}; ${number(result.loadOverRead)} times the read`],
        ["new process", `${seconds(result.process)} from its start to the loaded model`],
        ["first step", seconds(result.firstStep)],
        ["memory", `${number(result.memory.loaded)} MB loaded, ${number(result.memory.stepped)} MB after the step`],
      ];
    case "generate":
      return [
        device,
        ["first token", seconds(result.first)],
        ["token", seconds(result.token)],
        ["tokens", `${number(result.tokensPerSecond)} per second`],
        [
          "weights",
          `${number(result.weightGbPerSecond)} GB read per second; a copy reads and writes ${number(result.copyGbPerSecond)}`,
        ],
        ["peak memory", `${number(result.peakMemory)} MB`],
      ];
    case "serve":
      return [device, ...serveLines(result)];
    case "cold":
      return [device, ...coldLines(result)];
    case "beside":
      return [device, ...besideLines(result)];
    case "many":
      return [device, ...manyLines(result)];
    case "wake":
      return [device, ...wakeLines(result)];
    case "llama":
      return [
        device,
        ["prompt", rates(result, "prompt")],
        ["one text", rates(result, "one")],
        ["together", `${rates(result, "together")}, ${result.options.sequences} texts`],
      ];
    case "gemm":
      return [device, ["product", seconds(result.product)], ["speed", speed(result)]];
    case "noise":
      return [device, ["run", seconds(result.run)], ["speed", `${number(result.gigaElementsPerSecond)} G elements/s`]];
    case "scaling":
      return [
        device,
        ["one thread", seconds(result.one)],
        [`${result.threads} threads`, seconds(result.all)],
        ["side by side", `${seconds(result.sideBySide)}: ${result.threads} devices at once, one thread each`],
        ["speedup", `${number(result.speedup)} times; side by side ${number(result.sideBySideGain)} times`],
      ];
    default:
      return result satisfies never;
  }
}

function stepLines(result: StepResult): readonly Line[] {
  const { memory, parts } = result;
  return [
    ["step", seconds(result.step)],
    ["first step", `${number(result.firstStep)} s, after ${number(result.load)} s of loading`],
    ["forward pass", seconds(result.forward)],
    ["step / 2 passes", number(result.stepOverForwards)],
    ["tokens", `${number(result.tokensPerSecond)} per second`],
    ["products", `${speed(result)}, for ${number(result.gflop)} GFLOP per step`],
    ["memory", `${number(memory.peak)} MB at the peak of the steps; ${number(memory.bare)} MB before loading weights`],
    ["weights", `${number(memory.weights)} MB stored; ${number(memory.loaded)} MB in total after loading`],
    ...Object.entries(parts ?? {}).map(([part, value]) => [`  ${part}`, `${number(value)} s`] as const),
  ];
}

function speed({ gflopPerSecond, shareOfPeak }: { gflopPerSecond: number; shareOfPeak: number }): string {
  const share = Number.isFinite(shareOfPeak) ? `, ${number(100 * shareOfPeak)} % of the processor's peak` : "";
  return `${number(gflopPerSecond)} GFLOP/s${share}`;
}

export function lines(rows: readonly Line[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${name.padEnd(width)}${value}`).join("\n");
}

function seconds({ median, min, max, samples, quiet }: Summary): string {
  const load = quiet < samples ? `, ${quiet} of ${samples} quiet` : "";
  return `${number(median)} s (${number(min)} to ${number(max)}${load})`;
}

export function number(value: number): string {
  if (!Number.isFinite(value)) return "-";
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

/** The time of a contender divided by ours in the same group and dtype. */
export function ratioTo(contenders: readonly Contender[], one: Contender): number {
  const ours = contenders.find(({ ours, group, dtype }) => ours && group === one.group && dtype === one.dtype);
  return ours ? one.seconds / ours.seconds : NaN;
}

const titles = { step: "MeZO step", replay: "Replay of a log" } as const;

export function titleOf(group: Contender["group"], { options }: PeersResult): string {
  const { config, batch, tokens, entries } = options;
  return `${titles[group]}, ${config}, ${group === "step" ? `${batch} x ${tokens} tokens` : `${entries} entries`}`;
}

/** Markdown, one table per group. */
function contenderTables(result: PeersResult): string {
  const groups = (["step", "replay"] as const).filter((group) => result.contenders.some((c) => c.group === group));
  return groups.map((group) => contenderTable(group, result)).join("\n\n");
}

function contenderTable(group: Contender["group"], result: PeersResult): string {
  const rows = result.contenders.filter((contender) => contender.group === group);
  const header = [titleOf(group, result), "dtype", "s, median", "s, min", "times ours", "peak MB", "what"];
  const cells = rows.map((one) => {
    const numbers = [one.seconds, one.min, ratioTo(rows, one), one.peakMemory].map(number);
    return [one.name, one.dtype, ...numbers, one.about];
  });
  return markdownTable(header, cells);
}

/** Columns are padded, as the formatter does. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, at) => Math.max(3, title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  return [header, widths.map((width) => "-".repeat(width)), ...rows].map(line).join("\n");
}
