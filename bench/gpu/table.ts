/** A report for people: a line for a terminal when a stage ends, and the Markdown of docs/GPU.md. */
import type { Machine } from "../measure.ts";
import { markdownTable, number } from "../report.ts";
import type { StepResult } from "../step.ts";
import type { BitsResult } from "./bits.ts";
import type { Conformance } from "./conformance.ts";
import { differentBits, failedTests } from "./faults.ts";
import type { Placement } from "./placement.ts";
import { onCpu } from "./placement.ts";
import type { ReplayRate } from "./replay.ts";
import type { GpuReport, StageReport } from "./result.ts";

/** What mezo.py prints. */
interface TorchResult {
  readonly torch: string;
  readonly device: string;
  readonly labelled: { readonly median: number };
  readonly everyPosition: { readonly median: number };
  readonly peakMb: number | null;
  readonly weightsMb: number;
  readonly gigaUpdatesPerSecond: number;
}

export function stageLine({ name, status, why, seconds }: StageReport): string {
  return `${name.padEnd(40)}${status}, ${number(seconds)} s${why === undefined ? "" : `: ${why.split("\n", 1)[0] ?? ""}`}`;
}

export function reportTable(report: GpuReport): string {
  return [about(report), stages(report), ...steps(report), ...replays(report)].join("\n\n");
}

function about({ gpu, machine, device, started, tiny }: GpuReport): string {
  const where = gpu
    ? `${gpu.name}, compute capability ${gpu.computeCapability}, ${number(gpu.memoryMb / 1000)} GB, driver ${gpu.driver}`
    : "No GPU";
  const size = tiny ? " Small shapes, which only show that every stage works: the times mean nothing." : "";
  return `${where}; ${machineText(machine)}. Device ${device}, ${started.slice(0, 10)}.${size}`;
}

function machineText({ processor, cores, memoryGb, node, steplog }: Machine): string {
  return `${processor}, ${cores} cores, ${memoryGb} GB; Node ${node}, Steplog ${steplog}`;
}

function stages({ stages: all }: GpuReport): string {
  const rows = all.map((stage) => [
    stage.name,
    stage.status,
    number(stage.seconds),
    finding(stage).replaceAll("|", "/"),
  ]);
  return markdownTable(["stage", "ended", "s", "found"], rows);
}

/** One line on what a stage found, or why it did not. */
function finding({ name, status, why = "", result }: StageReport): string {
  if (status !== "ok") return why.replaceAll("\n", " ").slice(0, 400);
  if (name === "open") return (result as { device: string }).device;
  if (name === "bits of a log") return bitsFinding(result as BitsResult);
  if (name === "placement") return placementFinding(result as Placement[]);
  if (name === "conformance") {
    return failedTests(result as Conformance) ?? `${(result as Conformance).passed} tests passed`;
  }
  return "see below";
}

function bitsFinding(result: BitsResult): string {
  const { cases, updates, reference } = result;
  return differentBits(result) ?? `${cases.length} digests equal those of ${reference}, ${updates} updates each`;
}

function placementFinding(placements: readonly Placement[]): string {
  const cpu = onCpu(placements);
  const which = cpu.length === 0 ? "none" : cpu.length === placements.length ? "all" : cpu.join(", ");
  return `${placements.length} operations; on the CPU: ${which}`;
}

/** Our steps beside torch's, one row a config. */
function steps({ stages: all }: GpuReport): string[] {
  const rows = all.flatMap((stage) => {
    const { name, status, result, gpuMemory } = stage;
    if (!name.startsWith("step of ") || status !== "ok") return [];
    const ours = result as StepResult;
    const torch = all.find((other) => other.name === `torch, ${ours.options.config}` && other.status === "ok");
    return [stepRow(name, ours, gpuMemory, (torch?.result ?? null) as TorchResult | null)];
  });
  if (rows.length === 0) return [];
  const header = [
    "",
    "weights",
    "step",
    "/ 2 passes",
    "TFLOP/s",
    "torch, labelled",
    "torch, all",
    "peak",
    "torch's peak",
  ];
  return [markdownTable(header, rows), legend];
}

const legend =
  "Weights and peaks in MB (10^6 bytes; ours is the GPU's memory in use less what was used before, or the process's where there " +
  "is no GPU), steps in seconds. torch runs MeZO's published loop (bench/gpu/mezo.py): labelled, with logits where there are " +
  "labels, as ours; all, at every position, as the published code. In brackets, torch's time divided by ours.";

function stepRow(
  name: string,
  { memory, step, stepOverForwards, gflopPerSecond, options }: StepResult,
  gpuMemory: StageReport["gpuMemory"],
  torch: TorchResult | null,
): string[] {
  const peak = gpuMemory ? gpuMemory.peak - gpuMemory.before : memory.peak - memory.bare;
  const against = (seconds: number | undefined) =>
    seconds === undefined ? "-" : `${number(seconds)} (${number(seconds / step.median)})`;
  return [
    `${name.slice("step of ".length)}, ${options.dtype}, ${options.multiply} products, ${options.batch} x ${options.tokens}`,
    number(memory.weights),
    number(step.median),
    number(stepOverForwards),
    number(gflopPerSecond / 1000),
    against(torch?.labelled.median),
    against(torch?.everyPosition.median),
    number(peak),
    torch === null ? "-" : number(torch.peakMb ?? NaN),
  ];
}

function replays({ stages: all }: GpuReport): string[] {
  const stage = all.find(({ name, status }) => name === "replay" && status === "ok");
  if (!stage) return [];
  const { rates } = stage.result as { rates: ReplayRate[] };
  const torch = all.find(({ name, status }) => name.startsWith("torch, ") && status === "ok");
  const theirs = torch ? [["torch, BF16", "normal", number((torch.result as TorchResult).gigaUpdatesPerSecond)]] : [];
  const ours = rates.map(({ dtype, noise, gigaUpdatesPerSecond }) => [dtype, noise, number(gigaUpdatesPerSecond)]);
  return [markdownTable(["replay of a log", "noise", "G updates/s"], [...ours, ...theirs])];
}
