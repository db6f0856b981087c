/**
 * The worker: claim a job, run it in the engine thread, write what comes, finish; one job at a time, until told to stop.
 *
 * While a job runs, its lease is renewed from here, whatever the engine does. When the lease is lost, the engine is
 * killed and nothing more is written: the store would refuse it. When the worker is told to stop, the engine ends after
 * its step, the log is flushed and the lease given back, so that another worker goes on at once.
 */
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError, asSteplogError, invariant } from "../schema/errors.ts";
import { hyperparametersSchema } from "../schema/hyperparameters.ts";
import { leaseMs, pollMs, renewMs } from "../schema/limits.ts";
import { decodeHeader, encodeStepLog, unpackEntries } from "../schema/step-log.ts";
import type { WeightsFile } from "../schema/tables.ts";
import type { ClaimedJob, Store } from "../store/store.ts";
import type { EngineRun } from "./engine.ts";
import { startEngine } from "./engine.ts";
import type { EngineMessage, EngineRequest } from "../engine/thread/messages.ts";
import { failureOf } from "../engine/thread/messages.ts";
import { hashesDirOf } from "../models/registration.ts";
import { Recorder } from "./recorder.ts";
import type { Log } from "../schema/log.ts";

/** Claims after which a job that makes its workers die is failed instead of tried again. */
const maxAttempts = 20;

export interface WorkerOptions {
  readonly store: Store;
  /** Name of this worker, for people. */
  readonly name: string;
  readonly modelsDir: string;
  /** Name of the compute device, and what it is and why it was chosen, which the run records. */
  readonly device: string;
  readonly deviceNote: string;
  /** Of the native device; 0 for as many as there are cores. */
  readonly threads: number;
  readonly log: Log;
  /** Aborted to stop: the job at hand is given back. */
  readonly signal: AbortSignal;
}

/** Works until the signal. Errors of one job end that job; an unreachable store is waited for. */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const { store, signal, log } = options;
  while (!signal.aborted) {
    try {
      const job = await store.claimJob({ worker: options.name, leaseMs });
      if (job) await runJob(options, job);
      else await store.waitForJob({ timeoutMs: pollMs, signal });
    } catch (error) {
      log.error({ error }, "The store does not answer; trying again.");
      await delay(pollMs, undefined, { signal }).catch(() => {});
    }
  }
}

async function runJob(options: WorkerOptions, job: ClaimedJob): Promise<void> {
  const { log, store } = options;
  const about = { job: job.id, kind: job.kind, fineTune: job.fineTune.id, attempt: job.attempts };
  log.info(about, "Claimed a job.");
  const folder = await mkdtemp(join(tmpdir(), "steplog-worker-"));
  try {
    if (job.attempts > maxAttempts) throw tooManyAttempts();
    await workOn(options, job, folder);
    log.info(about, "Done with the job.");
  } catch (caught) {
    const error = asSteplogError(caught);
    log.warn({ ...about, code: error.code, error: caught }, `The job ended with an error: ${error.message}`);
    await giveUp(store, job, error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function tooManyAttempts(): SteplogError {
  const advice = "Look at the workers' logs; the model may be too large for their memory.";
  return new SteplogError("INTERNAL", `${maxAttempts} workers took this job and did not come back. ${advice}`);
}

/** A lost lease is another's job now, and a store out of reach keeps the job for later; anything else fails the job. */
async function giveUp(store: Store, job: ClaimedJob, error: SteplogError): Promise<void> {
  if (error.code === "LEASE_LOST" || error.code === "UNAVAILABLE") return;
  const { code, message, issues } = error;
  if (job.kind === "FINE_TUNE") await store.finishFineTune(job, { status: "FAILED", code, message, issues });
  else await store.finishMaterialise(job, { error: `${code}: ${message}` });
}

async function workOn(options: WorkerOptions, job: ClaimedJob, weightsDir: string): Promise<void> {
  const { store, signal } = options;
  const request = await requestFor(options, job, weightsDir);
  const engine = startEngine(request, options.device, options.threads);
  const stop = () => engine.stop();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const recorder = new Recorder(store, job, stop);
  const renewal = keepLease(store, job, engine);
  try {
    const take = (message: EngineMessage) => takeMessage(options, job, recorder, message);
    await Promise.race([renewal.lost, forEachMessage(engine, take)]);
  } finally {
    renewal.end();
    recorder.abandon();
    signal.removeEventListener("abort", stop);
    await engine.kill();
  }
}

async function requestFor(options: WorkerOptions, job: ClaimedJob, weightsDir: string): Promise<EngineRequest> {
  const { store, modelsDir } = options;
  const { fineTune, checkpoint } = job;
  const place = { modelPath: join(modelsDir, job.baseModel.name), hashesDir: hashesDirOf(modelsDir) };
  if (job.kind === "MATERIALISE") {
    invariant(checkpoint, "a materialise job names its checkpoint");
    const log = await store.fineTunes.logPrefix(fineTune.id, checkpoint.entries);
    invariant(log, "a checkpoint's run has a log");
    return {
      kind: "MATERIALISE",
      ...place,
      log: encodeStepLog(log),
      digest: checkpoint.weightsDigest,
      weightsDir,
    };
  }
  const log = await store.fineTunes.log(fineTune.id);
  const evaluations = await store.fineTunes.evaluations(fineTune.id);
  return {
    kind: "FINE_TUNE",
    ...place,
    base: job.baseModel.hash,
    datasetPath: store.blobs.path(job.dataset.sha256),
    validationPath: job.validationDataset && store.blobs.path(job.validationDataset.sha256),
    testPath: job.testDataset && store.blobs.path(job.testDataset.sha256),
    labelWords: fineTune.labelWords,
    calibrationPrompt: fineTune.calibrationPrompt,
    // What a run was stored without, by a release that did not know it, has its default.
    hyperparameters: hyperparametersSchema.parse(fineTune.hyperparameters),
    fork: log && fineTune.fromCheckpointId !== null ? { ...log, firstStep: fineTune.firstStep } : null,
    entries: log ? unpackEntries({ seed: decodeHeader(log.headerBytes).seed, ...log }) : [],
    stepsDone: fineTune.stepsDone,
    evaluated: evaluations,
    pickedRate: fineTune.pickedRate,
    weightsDir: fineTune.keepWeights ? weightsDir : null,
  };
}

/** Renews until `end`; `lost` rejects when the lease is lost, and stops the engine when a cancel was asked for. */
function keepLease(store: Store, job: ClaimedJob, engine: EngineRun): { lost: Promise<never>; end(): void } {
  const { promise: lost, reject } = withReject();
  lost.catch(() => {});
  let lastRenewed = performance.now();
  const renew = async () => {
    try {
      const { cancelRequested } = await store.renewLease(job, leaseMs);
      lastRenewed = performance.now();
      if (cancelRequested) engine.stop();
    } catch (error) {
      const gone = error instanceof SteplogError && error.code === "LEASE_LOST";
      if (gone || performance.now() - lastRenewed > leaseMs) reject(error);
    }
  };
  const timer = setInterval(() => void renew(), renewMs);
  return { lost, end: () => clearInterval(timer) };
}

function withReject(): { promise: Promise<never>; reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<never>((_, rejectPromise) => (reject = rejectPromise));
  return { promise, reject };
}

async function forEachMessage(engine: EngineRun, take: (message: EngineMessage) => Promise<void>): Promise<void> {
  for await (const message of engine.messages) await take(message);
}

async function takeMessage(
  options: WorkerOptions,
  job: ClaimedJob,
  recorder: Recorder,
  message: EngineMessage,
): Promise<void> {
  const { store } = options;
  if (message.type === "step") {
    await recorder.add(message);
    return;
  }
  await recorder.flush();
  switch (message.type) {
    case "began":
      await recorder.begin(message.headerBytes, options.deviceNote, message.pickedRate);
      break;
    case "note":
      await store.recordEvent(job, { type: message.event, message: message.message });
      break;
    case "evaluation":
      await store.recordEvaluation(job, message);
      break;
    case "checkpoint":
      await recordCheckpoint(store, job, recorder, message);
      break;
    case "failed":
      throw failureOf(message);
    case "stopped":
      await finishStopped(options, job);
      break;
    case "materialised":
      await store.finishMaterialise(job, { weightsFiles: await storeFiles(store, message.files) });
      break;
    case "done":
      await store.finishFineTune(job, { status: "SUCCEEDED" });
      break;
  }
}

async function recordCheckpoint(
  store: Store,
  job: ClaimedJob,
  recorder: Recorder,
  { entries, step, digest, files }: EngineMessage & { type: "checkpoint" },
): Promise<void> {
  invariant(entries === recorder.entries, "a checkpoint lies at the end of the acknowledged log");
  await store.recordCheckpoint(job, {
    entries,
    step,
    chain: recorder.chain,
    weightsDigest: digest,
    weightsFiles: await storeFiles(store, files),
  });
}

/** Each is gone from the worker's own disk once it is in the store. */
async function storeFiles(store: Store, paths: readonly string[]): Promise<WeightsFile[]> {
  const stored: WeightsFile[] = [];
  for (const path of paths) {
    stored.push({ name: basename(path), ...(await store.blobs.put(createReadStream(path))) });
    await rm(path);
  }
  return stored;
}

/** Stopped before its last step: by a cancel, which ends the run, or because this worker goes. */
async function finishStopped({ store }: WorkerOptions, job: ClaimedJob): Promise<void> {
  const { cancelRequested } = await store.renewLease(job, leaseMs);
  if (cancelRequested) await store.finishFineTune(job, { status: "CANCELLED" });
  else await store.releaseJob(job);
}
