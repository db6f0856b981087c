/**
 * What runs learn from a task's rows: accuracy and loss on the validation rows by forward passes and by seconds, for each
 * contender (a name and settings) and seed; what the base model knows, from a few examples or by a linear probe. Every run is the
 * one that a worker would do. tests/interop/learning.py measures backpropagation on the same rows, and writes the same JSON.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Device } from "../engine/devices/device.ts";
import { countRun } from "../engine/estimate/count.ts";
import { runFineTune } from "../engine/train/run.ts";
import { SteplogError } from "../schema/errors.ts";
import type { RunCounts } from "../schema/estimate.ts";
import type { Hyperparameters } from "../schema/hyperparameters.ts";
import { hyperparametersSchema, wrongHyperparameters } from "../schema/hyperparameters.ts";
import type { EvaluationKind } from "../schema/states.ts";
import { openDevice } from "./device.ts";
import type { Task } from "./fine-tune.ts";
import { demoTask, requestOf } from "./fine-tune.ts";
import type { LearningRun } from "./learning-run.ts";
import { recordRun } from "./learning-run.ts";
import type { Machine } from "./measure.ts";
import { machine } from "./measure.ts";
import { hashOfTokens } from "./tokens.ts";

/** Settings under a name. What they leave out has its default. */
export interface Contender {
  readonly name: string;
  /** Forward passes of its runs; those of all contenders by default. */
  readonly passes?: number;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface LearningOptions {
  readonly device: string;
  readonly threads?: number;
  /** What the page calls the task. */
  readonly task: string;
  readonly base?: string;
  readonly train?: string;
  readonly validation?: string;
  readonly test?: string;
  readonly labelWords?: readonly string[];
  readonly contenders: readonly Contender[];
  readonly passes: number;
  readonly seeds: readonly number[];
  /** Evaluations along each run. */
  readonly evaluations: number;
  /** Examples of the in-context baseline. */
  readonly inContextRows: number;
  readonly baselines: boolean;
}

export interface LearningResult {
  readonly bench: "learning";
  readonly options: LearningOptions;
  readonly machine: Machine;
  readonly device: string;
  readonly rows: TaskRows;
  /** Null if they were not measured. */
  readonly baselines: Baselines | null;
  readonly contenders: readonly MeasuredContender[];
}

interface TaskRows {
  readonly training: number;
  readonly validation: number;
  /** SHA-256 of the tokens of all rows (tokens.ts). */
  readonly tokens: string;
}

/** Shares of the validation rows that are right, without training. */
export interface Baselines {
  readonly base: number | null;
  readonly inContext: number | null;
  readonly linearProbe: number | null;
  /** Of the test rows, by the base. */
  readonly test: number | null;
}

export interface MeasuredContender extends Contender {
  readonly runs: readonly LearningRun[];
}

/** Those of the page. */
export const usualContenders: readonly Contender[] = [
  { name: "defaults", settings: {} },
  { name: "SPSA, AUTO", settings: { estimator: "SPSA" } },
  { name: "SPSA, rate 1e-4", settings: { estimator: "SPSA", learningRate: 1e-4 } },
  { name: "LORA", settings: { method: "LORA" } },
  { name: "HEAD", settings: { method: "HEAD" } },
];

/** @throws INVALID_ARGUMENT for settings that no run can have; DATASET_INVALID, MODEL_INVALID as a run would */
export async function benchLearning(options: LearningOptions): Promise<LearningResult> {
  options.contenders.forEach(refuseWrong);
  const task = taskOf(options);
  const device = await openDevice(options);
  const scratch = await mkdtemp(join(tmpdir(), "steplog-bench-"));
  try {
    const contenders: MeasuredContender[] = [];
    for (const contender of options.contenders) {
      contenders.push({ ...contender, runs: await runsOf(contender, options, { task, device, scratch }) });
    }
    const { training, validation } = await countRun({ ...task, hyperparameters: oneStep }, quiet);
    return {
      bench: "learning",
      options,
      machine: machine(),
      device: device.description,
      rows: { training: training.rows, validation: validation?.rows ?? 0, tokens: await hashOfTokens(task) },
      baselines: options.baselines ? await baselinesOf(options, { task, device, scratch }) : null,
      contenders,
    };
  } finally {
    device.dispose();
    await rm(scratch, { recursive: true, force: true });
  }
}

const quiet = { progress() {} };
const oneStep = hyperparametersSchema.parse({ steps: 1, learningRate: 1e-6 });

function refuseWrong({ name, settings }: Contender): void {
  const [issue] = wrongHyperparameters(settings);
  if (!issue) return;
  const message = `${issue.path.join(".")} of contender ${JSON.stringify(name)} ${issue.message}`;
  throw new SteplogError("INVALID_ARGUMENT", `${message}.`, [{ field: "settings", message }]);
}

/** Files that are not given are the demo's, but for the test rows if other rows are given. */
function taskOf({ base, train, validation, test, labelWords }: LearningOptions): Task {
  return {
    ...demoTask,
    ...(base !== undefined && { modelPath: base }),
    ...(train !== undefined && { datasetPath: train }),
    ...(validation !== undefined && { validationPath: validation }),
    ...(test !== undefined && { testPath: test }),
    ...(labelWords !== undefined && { labelWords }),
  };
}

interface Bench {
  readonly task: Task;
  readonly device: Device;
  readonly scratch: string;
}

async function runsOf(
  contender: Contender,
  options: LearningOptions,
  { task, device, scratch }: Bench,
): Promise<LearningRun[]> {
  const planned = await planOf(contender, options, task);
  const runs: LearningRun[] = [];
  for (const seed of options.seeds) {
    const hyperparameters = { ...planned.hyperparameters, seed };
    const request = await requestOf({ ...task, hyperparameters }, scratch);
    const run = await recordRun(request, device, planned.counts);
    runs.push(run);
    console.error(`${contender.name}, seed ${seed}: ${JSON.stringify({ ...run, points: run.points.at(-1) })}`);
  }
  return runs;
}

interface Plan {
  readonly hyperparameters: Hyperparameters;
  readonly counts: RunCounts;
}

/** As many steps as the passes allow, unless the settings say how many. */
async function planOf({ settings, passes }: Contender, options: LearningOptions, task: Task): Promise<Plan> {
  const planned = async (steps: number) => {
    const evaluateEvery = Math.max(1, Math.floor(steps / options.evaluations));
    const hyperparameters = hyperparametersSchema.parse({ steps, evaluateEvery, ...settings });
    return { hyperparameters, counts: await countRun({ ...task, hyperparameters }, quiet) };
  };
  const { counts } = await planned(1);
  const perStep = counts.steps.passes / (Number(settings["steps"]) || 1);
  return planned(Number(settings["steps"]) || Math.max(1, Math.round((passes ?? options.passes) / perStep)));
}

async function baselinesOf(options: LearningOptions, { task, device, scratch }: Bench): Promise<Baselines> {
  const { inContextRows } = options;
  const hyperparameters = { ...oneStep, inContextRows, linearProbe: true };
  const request = await requestOf({ ...task, hyperparameters }, scratch);
  const measured = new Map<EvaluationKind, number | null>();
  for await (const message of runFineTune(request, device, () => false)) {
    if (message.type === "step") break;
    if (message.type === "evaluation") measured.set(message.kind, message.accuracy);
  }
  const of = (kind: EvaluationKind) => measured.get(kind) ?? null;
  return { base: of("VALIDATION"), inContext: of("IN_CONTEXT"), linearProbe: of("LINEAR_PROBE"), test: of("TEST") };
}
