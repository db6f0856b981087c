/**
 * bench drain: short runs that wait in the queue, drained by a few workers, compared with long runs of as many steps in all, one
 * for each worker. What a run costs besides its steps, on a base so small that steps hide none of it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../schema/errors.ts";
import { hyperparametersSchema } from "../schema/hyperparameters.ts";
import { packagePath, programPath } from "../schema/package.ts";
import { isFinal } from "../schema/states.ts";
import type { FineTune } from "../schema/tables.ts";
import type { NewFineTune, Store } from "../store/store.ts";
import { withBenchStore } from "./bench-store.ts";
import { type Machine, machine } from "./measure.ts";

export interface DrainOptions {
  readonly device: string;
  readonly threads?: number;
  readonly runs: number;
  /** Of each run. */
  readonly steps: number;
  readonly batch: number;
  readonly workers: number;
}

export interface DrainResult {
  readonly bench: "drain";
  readonly options: DrainOptions;
  /** Steps a second of each worker, from the claim of the first run to the end of the last. */
  readonly long: number;
  readonly queued: number;
  /** Of `queued` to `long`. */
  readonly ratio: number;
  /** Milliseconds that a run takes longer than its steps in a long run. */
  readonly perRun: number;
  readonly machine: Machine;
}

export async function benchDrain(options: DrainOptions): Promise<DrainResult> {
  return withBenchStore("drain", async ({ store, databaseUrl, folder }) => {
    const workers: ChildProcess[] = [];
    try {
      await cp(packagePath("demo/base"), join(folder, "models", "demo"), { recursive: true });
      for (let at = 0; at < options.workers; at++) workers.push(await startWorker(options, databaseUrl, folder));
      return await measured({ store, workers, input: await demoRun(store), options });
    } finally {
      for (const worker of workers) worker.kill("SIGTERM");
      await Promise.all(workers.map(async (worker) => worker.exitCode ?? (await once(worker, "exit"))));
    }
  });
}

async function measured(drain: Drain): Promise<DrainResult> {
  const { options } = drain;
  const { runs, steps, workers: count } = options;
  const allSteps = runs * steps;
  // Workers read models, and the system its files, for the first time.
  await trained(drain, { runs: count, steps: 10 });
  const longSeconds = await trained(drain, { runs: count, steps: Math.floor(allSteps / count) });
  const queuedSeconds = await trained(drain, { runs, steps });
  const rate = (seconds: number) => allSteps / seconds / count;
  const perRun = ((queuedSeconds - longSeconds) * count * 1_000) / runs;
  const [long, queued] = [rate(longSeconds), rate(queuedSeconds)];
  return { bench: "drain", options, long, queued, ratio: queued / long, perRun, machine: machine() };
}

async function startWorker({ device, threads = 1 }: DrainOptions, url: string, folder: string): Promise<ChildProcess> {
  const settings = { STEPLOG_DEVICE: device, STEPLOG_THREADS: String(threads), STEPLOG_SERVE: "training" };
  const own = { DATABASE_URL: url, STEPLOG_DATA: folder, STEPLOG_LOG_LEVEL: "warn", ...settings };
  const env = { ...process.env, ...own };
  const child = fork(programPath("cli/steplog"), ["worker"], { env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  await once(child, "message");
  return child;
}

interface Drain {
  readonly store: Store;
  readonly workers: readonly ChildProcess[];
  readonly input: Input;
  readonly options: DrainOptions;
}

type Input = Omit<NewFineTune, "hyperparameters">;

/** On the rows of the demo, once a worker has found its base. */
async function demoRun(store: Store): Promise<Input> {
  const rows = await readFile(packagePath("demo/train.jsonl"));
  const { sha256, bytes } = await store.blobs.put(Readable.toWeb(Readable.from([rows])));
  const { id: datasetId } = await store.datasets.create({ name: "demo", sha256, bytes, rows: 1_024 });
  const base = await soon("the base", () => store.baseModels.getByName("demo"));
  const none = { idempotencyKey: null, validationDatasetId: null, testDatasetId: null };
  return { ...none, name: "drain", baseModelId: base.id, datasetId, labelWords: [] };
}

/** Seconds from the start of the first run to the end of the last. The workers, who have nothing to do, stand still until all wait. */
async function trained(
  { store, workers, input, options }: Drain,
  { runs, steps }: { readonly runs: number; readonly steps: number },
): Promise<number> {
  const shape = { steps, batchSize: options.batch, estimator: "SPSA", learningRate: 1e-4 } as const;
  const hyperparameters = hyperparametersSchema.parse(shape);
  for (const worker of workers) worker.kill("SIGSTOP");
  const made = Array.from({ length: runs }, () => store.fineTunes.create({ ...input, hyperparameters }));
  const ids = (await Promise.all(made)).map(({ fineTune }) => fineTune.id);
  for (const worker of workers) worker.kill("SIGCONT");
  let first = Infinity;
  let last = 0;
  for (const id of ids) {
    const { startedAt, finishedAt } = await soon("the end of a run", () => endedRun(store, id));
    first = Math.min(first, startedAt?.getTime() ?? Infinity);
    last = Math.max(last, finishedAt?.getTime() ?? 0);
  }
  return (last - first) / 1_000;
}

async function endedRun(store: Store, id: string): Promise<FineTune | null> {
  const run = await store.fineTunes.get(id);
  if (!run || !isFinal(run.status)) return null;
  if (run.status !== "SUCCEEDED") throw new SteplogError("INTERNAL", `A run has not succeeded: ${run.errorMessage}`);
  return run;
}

const longestMs = 1_800_000;

async function soon<Value>(what: string, look: () => Promise<Value | null>): Promise<Value> {
  const until = performance.now() + longestMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > until) throw new SteplogError("UNAVAILABLE", `Waited half an hour for ${what}.`);
    await delay(200);
  }
}

export function drainLines({ long, queued, ratio, perRun }: DrainResult) {
  const rate = (steps: number) => `${steps.toFixed(0)} steps per second of each worker`;
  return [
    ["long runs", rate(long)],
    ["queued runs", `${rate(queued)}; ${ratio.toFixed(3)} times that`],
    ["per run", `${perRun.toFixed(0)} ms besides its steps`],
  ] as const;
}
