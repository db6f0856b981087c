/**
 * bench wake: from the mutation that creates a run to its first stored step, in a service of `steplog start` whose worker is
 * asleep, and in the same service while its worker still runs. The clock is Postgres' alone: when the run's row was created,
 * and when its first step was stored. Besides, the memory of the service asleep and awake.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { packagePath } from "../../schema/package.ts";
import { type Machine, machine, median } from "../measure.ts";
import { graphql } from "./client.ts";
import { residentMb } from "./resident.ts";
import { createDataset } from "./runs.ts";
import { type Service, startOwnService } from "./service.ts";

export interface WakeOptions {
  readonly device: string;
  readonly rounds: number;
  readonly threads?: number;
}

export interface WakeResult {
  readonly bench: "wake";
  readonly options: WakeOptions;
  readonly device: string;
  /** Seconds to the first step, of each round. */
  readonly asleep: readonly number[];
  readonly awake: readonly number[];
  /** Resident memory of all processes but Postgres, MB; private pages, and a part of what processes share. */
  readonly memory: { readonly asleep: number; readonly awake: number };
  readonly machine: Machine;
}

/** As short as it can be set. */
const idleS = 1;

export async function benchWake(options: WakeOptions): Promise<WakeResult> {
  const { device, threads = 0 } = options;
  const service = await startOwnService({
    STEPLOG_DEVICE: device,
    STEPLOG_THREADS: String(threads),
    STEPLOG_WORKER_IDLE: String(idleS),
  });
  try {
    const dataset = await createDataset(service.url, await readFile(packagePath("demo/train.jsonl"), "utf8"));
    const asleep: number[] = [];
    const awake: number[] = [];
    const memory = { asleep: 0, awake: 0 };
    // The first round fills the caches and is not counted.
    for (let round = 0; round <= options.rounds; round++) {
      await fallsAsleep(service);
      memory.asleep = await residentMb(service.pid);
      const cold = await firstStep(service, dataset);
      memory.awake = Math.max(memory.awake, await residentMb(service.pid));
      const warm = await firstStep(service, dataset);
      if (round === 0) continue;
      asleep.push(cold);
      awake.push(warm);
    }
    return { bench: "wake", options, device, asleep, awake, memory, machine: machine() };
  } finally {
    await service.stop();
  }
}

export function wakeLines({ asleep, awake, memory }: WakeResult) {
  const all = (seconds: readonly number[]) => seconds.map((some) => some.toFixed(2)).join(", ");
  return [
    ["asleep", `${median(asleep).toFixed(2)} s to the first step (${all(asleep)})`],
    ["awake", `${median(awake).toFixed(2)} s (${all(awake)})`],
    ["memory", `${memory.asleep.toFixed(0)} MB asleep, ${memory.awake.toFixed(0)} MB after a run, without Postgres`],
  ] as const;
}

async function fallsAsleep(service: Service): Promise<unknown> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { workers } = await graphql(service.url, "{ workers { asleep } }", {}, workersSchema);
    // Its process ends a moment later.
    if (workers.every(({ asleep }) => asleep)) return delay(500);
    if (performance.now() > deadline) throw new SteplogError("UNAVAILABLE", "The worker does not fall asleep.");
    await delay(200);
  }
}

/** Trains one step of the demo's base, with its task's rows; in seconds from the row of the run to that of the step. */
async function firstStep(service: Service, dataset: string): Promise<number> {
  const hyperparameters = { steps: 1, batchSize: 8, learningRate: 1e-4 };
  const input = { name: "wake", baseModel: "demo", dataset, hyperparameters };
  const { createFineTune } = await graphql(service.url, runMutation, { input }, runSchema);
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    // Seldom, since it takes time from the worker.
    await delay(250);
    const { node } = await graphql(service.url, stepQuery, { id: createFineTune.fineTune.id }, stepSchema);
    const [step] = node.metrics;
    if (step) return (Date.parse(step.at) - Date.parse(node.createdAt)) / 1_000;
  }
  throw new SteplogError("UNAVAILABLE", "The run has no step after a minute.");
}

const runMutation = "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }";
const stepQuery = "query ($id: ID!) { node(id: $id) { ... on FineTune { createdAt metrics(first: 1) { at } } } }";
const runSchema = z.object({ createFineTune: z.object({ fineTune: z.object({ id: z.string() }) }) });
const stepSchema = z.object({
  node: z.object({ createdAt: z.string(), metrics: z.array(z.object({ at: z.string() })) }),
});
const workersSchema = z.object({ workers: z.array(z.object({ asleep: z.boolean() })) });
