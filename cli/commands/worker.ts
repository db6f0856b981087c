/** steplog worker: a worker alone, against DATABASE_URL. */
import { hostname } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { Logger } from "pino";
import { chooseDevice } from "../../engine/devices/choose.ts";
import { counted } from "../../schema/units.ts";
import { openStore } from "../../store/store.ts";
import { FolderChecks } from "../../models/folder-checks.ts";
import { watchDownloads } from "../../models/downloads.ts";
import { pausesMs } from "../../models/hub/download.ts";
import { ModelsAtHand, registerModels, watchModels } from "../../models/registration.ts";
import { shareModels } from "../../models/sharing.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { memoryFor } from "../../worker/capabilities.ts";
import { Idleness } from "../../worker/idleness.ts";
import { sweepJobFolders } from "../../worker/job-folder.ts";
import { forgetKeptWeights } from "../../worker/kept-weights.ts";
import { WorkerMetrics } from "../../worker/metrics.ts";
import type { TimeSlice } from "../../worker/time-slice.ts";
import { runWorker } from "../../worker/worker.ts";
import {
  type ServeMode,
  type ServiceConfig,
  needDatabaseUrl,
  readConfig,
  readHubAccess,
  readProxies,
  storeOptions,
} from "../config.ts";
import { integer, serveOption } from "../options.ts";
import { keptDirOf, servingSettings, shareThreads } from "../serving.ts";
import { sweepMachineRegularly } from "../../worker/sweep-machine.ts";
import { serveMetrics } from "../metrics-port.ts";
import { closeTraces, openTraces } from "../traces.ts";
import { createLog, prepareWhenUp, reportReady, runService, stopSignal } from "../process.ts";

export function define(command: Command): void {
  command
    .description("Run a worker alone: it trains, answers and rebuilds until it is told to stop. It needs DATABASE_URL.")
    .addOption(serveOption())
    .option("--exit-when-idle <seconds>", "end, with exit code 0, after so long without work", integer(0, longestIdleS))
    .addOption(new Option("--sleep-as <id>", "for steplog start: stay listed, as this row, when idle").hideHelp())
    .addHelpText(
      "after",
      "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog STEPLOG_DEVICE=tfjs steplog worker",
    )
    .action(worker);
}

const longestIdleS = 31_536_000;

interface WorkerOptions {
  readonly serve?: ServeMode;
  readonly exitWhenIdle?: number;
  /** The row by which whoever started this process knows it. */
  readonly sleepAs?: string;
}

async function worker(options: WorkerOptions): Promise<void> {
  const read = readConfig();
  const config = { ...read, serve: { ...read.serve, mode: options.serve ?? read.serve.mode } };
  const log = createLog("worker", config.logLevel);
  await runService(log, () => work(config, options, log));
}

async function work(config: ServiceConfig, options: WorkerOptions, log: Logger): Promise<void> {
  const databaseUrl = needDatabaseUrl(config);
  const ending = new AbortController();
  const signal = AbortSignal.any([stopSignal(), ending.signal]);
  // Before what may take minutes: a probe asks it from the start on.
  const metrics = new WorkerMetrics();
  const scraped = await serveMetrics(metrics.registry, config);
  signal.addEventListener("abort", () => scraped?.close(), { once: true });
  const { devicesDir } = config;
  const { threads, servingThreads } = shareThreads(config);
  const { device, name, why } = await chooseDevice(config.device, { threads, devicesDir });
  const deviceNote = `${device.name}: ${device.description} (${why})`;
  const memoryBytes = memoryFor(device);
  device.dispose();
  log.info({ device: device.name }, `Computes on ${deviceNote}.`);
  const store = await openStore({ databaseUrl, ...storeOptions(config), log });
  const tracing = await openTraces(config, "steplog-worker", log);
  // One model at a time: the memory is for training.
  const sandbox = new Sandbox({ places: 1 });
  try {
    if (!(await prepareWhenUp(store, log, signal))) return;
    await sweepJobFolders();
    const { modelsDir } = config;
    const atHand = new ModelsAtHand();
    const checks = new FolderChecks(sandbox);
    const models = await registerModels({ store, modelsDir, atHand, checks, log }, signal);
    if (signal.aborted) return;
    log.info({ models, modelsDir }, `Registered ${counted(models.length, "base model")}.`);
    reportReady({ models, device: deviceNote });
    const shared = { store: metrics.watched(store), name: nameOf(options), modelsDir, log, signal };
    const own = { device: { name, threads, devicesDir }, deviceNote, precisions: device.precisions };
    const compute = { ...own, memoryBytes };
    const serving = servingSettings(config, { name, threads: servingThreads, devicesDir }, memoryBytes);
    const doesJobs = config.serve.mode !== "inference";
    const idleness = new Idleness();
    void whenIdle(options, idleness, signal).then((seconds) => {
      log.info(`Nothing to do for ${counted(seconds, "second")}: ending.`);
      ending.abort();
    });
    const timeSlice = timeSliceOf(config);
    const { sleepAs } = options;
    const { workerPool: pool } = config;
    const row = sleepAs === undefined ? {} : { id: sleepAs, isAsleep: () => ending.signal.aborted };
    await Promise.all([
      runWorker({
        ...shared,
        ...compute,
        ...row,
        pool,
        models: atHand,
        serving,
        doesJobs,
        idleness,
        tracing,
        timeSlice,
      }),
      forgetKeptWeights({ ...shared, kept: timeSlice?.kept ?? null }),
      watchModels({ ...shared, atHand, checks, reading: (isReading) => idleness.set("models", isReading ? 1 : 0) }),
      watchDownloads({
        ...shared,
        atHand,
        checks,
        hubOf,
        pausesMs,
        reading: (isReading) => idleness.set("downloads", isReading ? 1 : 0),
      }),
      sweepMachineRegularly({ ...shared, keptDir: keptDirOf(config.dataDir), keptBytes: config.serve.diskBytes }),
      shareModels({
        ...shared,
        atHand,
        checks,
        sharesModels: config.sharesModels,
        storing: (isStoring) => idleness.set("stored models", isStoring ? 1 : 0),
      }),
    ]);
  } finally {
    sandbox.close();
    await store.close();
    await closeTraces(tracing);
  }
}

/** Loaded only when needed: the hub's library is large. */
async function hubOf() {
  const [{ Hub }, { fetchThrough }] = await Promise.all([
    import("../../models/hub/hub.ts"),
    import("../../models/hub/proxy.ts"),
  ]);
  return new Hub(await readHubAccess(), { fetch: await fetchThrough(readProxies()) });
}

/** Null where runs never give way. */
function timeSliceOf({ timeSlice: { seconds, keptBytes }, cacheDir }: ServiceConfig): TimeSlice | null {
  if (seconds === 0) return null;
  return { ms: seconds * 1_000, kept: { folder: join(cacheDir, "kept"), budgetBytes: keptBytes } };
}

/** A worker that is started again keeps its name: jobs may wait for it. Then it is that of the process that starts it. */
function nameOf({ sleepAs }: WorkerOptions): string {
  return `${hostname()}-${sleepAs === undefined ? process.pid : process.ppid}`;
}

/** Never, unless it was asked for. */
async function whenIdle({ exitWhenIdle }: WorkerOptions, idleness: Idleness, signal: AbortSignal): Promise<number> {
  if (exitWhenIdle === undefined) return new Promise(() => {});
  await idleness.lasts(exitWhenIdle * 1_000, signal);
  return exitWhenIdle;
}
