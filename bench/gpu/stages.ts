/**
 * The stages of bench/gpu.sh, in order of worth: what a lost machine takes with it should be what matters least. Each has a
 * limit of its own; together they stay under the whole run's, which cuts the last ones short if all were slow.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { packagePath, programPath } from "../../schema/package.ts";
import { configNamed } from "../configs.ts";
import type { BitsResult } from "./bits.ts";
import type { Conformance } from "./conformance.ts";
import type { Opening } from "./faults.ts";
import { differentBits, failedTests, notOnGpu } from "./faults.ts";
import { bytesNeeded } from "./memory.ts";
import { placementEnvironment, countPlacements } from "./placement.ts";
import type { ReplayTask } from "./replay.ts";
import type { Ending, Program } from "./run.ts";
import { runProgram } from "./run.ts";
import type { Skipped, Stage } from "./stage.ts";
import type { StepTask } from "./step.ts";

export interface StageOptions {
  readonly device: string;
  readonly python: string;
  /** Small shapes, to see in a minute that every stage works. */
  readonly tiny: boolean;
}

interface Shape {
  readonly config: string;
  /** Seconds for our steps, with loading, and for torch's. */
  readonly limits: readonly [ours: number, torch: number];
}

const shapes: readonly Shape[] = [
  { config: "opt-1.3b", limits: [60, 40] },
  { config: "opt-6.7b", limits: [75, 45] },
  { config: "opt-13b", limits: [110, 60] },
];

export async function stagesOf(options: StageOptions): Promise<Stage[]> {
  const sizes = options.tiny ? [{ config: "tiny", limits: [60, 60] } as const] : shapes;
  const [small, ...larger] = await Promise.all(sizes.map((shape) => stagesOfShape(shape, options)));
  return [
    { ...childStage("open", "open", 120, options, {}), fault: openingFault(options) },
    {
      ...childStage("bits of a log", "bits", 90, options, { vocabulary: options.tiny ? 5_000 : 70_000 }),
      fault: (result) => differentBits(result as BitsResult),
    },
    { name: "placement", limit: 90, run: (seconds) => runPlacement(options, seconds) },
    ...(small ?? []),
    {
      name: "conformance",
      limit: 100,
      run: (seconds) => runConformance(options, seconds),
      fault: (result) => failedTests(result as Conformance),
    },
    ...larger.flat(),
    childStage("replay", "replay", 50, options, replayTask(options)),
    ...(options.tiny ? [] : [exactMemory(options)]),
  ];
}

/** Whoever names tfjs-cpu wants the processor. */
function openingFault({ device }: StageOptions): NonNullable<Stage["fault"]> {
  return (result, gpu) => (device === "tfjs-cpu" ? null : notOnGpu(result as Opening, gpu));
}

function childOf(kind: string, { device }: StageOptions, task: object): Program {
  const args = [programPath("bench/gpu/child"), kind, JSON.stringify({ ...task, device })];
  return { file: process.execPath, args };
}

function childStage(name: string, kind: string, limit: number, options: StageOptions, task: object): Stage {
  return { name, limit, run: (seconds) => runProgram(childOf(kind, options, task), seconds) };
}

function replayTask({ tiny }: StageOptions): Omit<ReplayTask, "device"> {
  return tiny ? { config: "tiny", seconds: 0.2 } : { config: "opt-1.3b", seconds: 3 };
}

function stepTask(config: string, tiny: boolean): Omit<StepTask, "device"> {
  const size = tiny ? { batch: 2, tokens: 16, steps: 3 } : { batch: 16, tokens: 256, steps: 5 };
  return { config, dtype: "BF16", multiply: "bfloat16", labels: 8, ...size };
}

/** Our steps, then torch's. */
async function stagesOfShape({ config, limits }: Shape, options: StageOptions): Promise<Stage[]> {
  const task = stepTask(config, options.tiny);
  const values = await configNamed(config);
  const needs = await bytesNeeded(config);
  return [
    { ...childStage(`step of ${config}`, "step", limits[0], options, task), needs },
    { name: `torch, ${config}`, limit: limits[1], needs, run: (seconds) => runTorch(options, values, task, seconds) },
  ];
}

/** TensorFlow's own pool takes regions that double, so it says little; cudaMallocAsync takes what is asked for. */
function exactMemory(options: StageOptions): Stage {
  const task = { ...stepTask("opt-1.3b", options.tiny), steps: 2 };
  const program = { ...childOf("step", options, task), environment: { TF_GPU_ALLOCATOR: "cuda_malloc_async" } };
  return { name: "step of opt-1.3b, cuda_malloc_async", limit: 60, run: (seconds) => runProgram(program, seconds) };
}

async function runPlacement(options: StageOptions, seconds: number): Promise<Ending> {
  const count = countPlacements();
  const program = { ...childOf("operations", options, {}), environment: placementEnvironment, onError: count.line };
  const ending = await runProgram(program, seconds);
  return ending.status === "ok" ? { status: "ok", result: count.placements() } : ending;
}

async function runTorch(
  { python }: StageOptions,
  config: object,
  task: Omit<StepTask, "device">,
  seconds: number,
): Promise<Ending | Skipped> {
  const script = packagePath("bench/gpu/mezo.py");
  const began = performance.now();
  const check = await runProgram({ file: python, args: [script, "--check"] }, Math.min(30, seconds));
  if (check.status !== "ok") return { status: "skipped", why: `${python} has no torch that works: ${check.why}` };
  const { batch, tokens, labels, steps } = task;
  const numbers = Object.entries({ batch, tokens, labels, steps, replay: 2 });
  const args = [
    script,
    "--config",
    JSON.stringify(config),
    ...numbers.flatMap(([name, n]) => [`--${name}`, String(n)]),
  ];
  return runProgram({ file: python, args }, seconds - (performance.now() - began) / 1000);
}

/** The conformance suite on this device alone. It belongs to a clone with its development packages. */
async function runConformance({ device, tiny }: StageOptions, seconds: number): Promise<Ending | Skipped> {
  const vitest = programOf("vitest");
  const suite = packagePath("tests/engine/devices.test.ts");
  if (vitest === null || !existsSync(suite)) return { status: "skipped", why: "There is no vitest here (npm ci)." };
  const pattern = `device '?${device}'? agrees with the plain one on ${tiny ? "every bit" : ""}`;
  const args = [programPath("bench/gpu/conformance"), vitest, suite, pattern];
  return runProgram(
    { file: process.execPath, args, environment: { STEPLOG_TEST_DEVICES: device, STEPLOG_TEST_ONLY: device } },
    seconds,
  );
}

function programOf(name: string): string | null {
  try {
    const manifest = createRequire(packagePath("package.json")).resolve(`${name}/package.json`);
    return join(dirname(manifest), `${name}.mjs`);
  } catch {
    return null;
  }
}
