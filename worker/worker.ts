/**
 * The worker: claim a job, run it in the engine thread, record what comes, end it; one job at a time, until it is told to
 * stop. What differs between kinds of jobs is in jobs/. Beside it, requests are answered (serving/).
 *
 * While a job runs, its lease is renewed (kept-lease.ts). If the lease is lost, the engine is killed and nothing more is written:
 * the store would refuse it. When the worker is told to stop, the engine ends before its next pass
 * and the job is released, so that another worker continues at once. A pass that takes longer is given up (`giveBackMs`).
 */
import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Precision } from "../engine/devices/device.ts";
import type { EngineMessage, ThreadDevice } from "../engine/thread/messages.ts";
import type { TrainerPlace } from "../engine/thread/turns.ts";
import { failureOf } from "../engine/thread/messages.ts";
import type { ModelsAtHand } from "../models/registration.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import { loggable } from "../schema/faults.ts";
import { toldToClients } from "../schema/folders-in-messages.ts";
import type { JobKind } from "../schema/jobs.ts";
import { soleJobKinds } from "../schema/jobs.ts";
import { giveBackMs, leaseMs, maxAttempts, pollMs } from "../schema/limits.ts";
import type { Log } from "../schema/log.ts";
import { version } from "../schema/package.ts";
import type { Tracing } from "../schema/tracing.ts";
import { type ClaimedJob, type Store, withFiles } from "../store/store.ts";
import { attemptsFor, doubtsModel } from "./attempts.ts";
import { withBases } from "./bases.ts";
import { capabilitiesOf } from "./capabilities.ts";
import type { EngineRun } from "./engine-run.ts";
import { SpareThread, startEngine, trainerPlaces } from "./engine-run.ts";
import { Idleness } from "./idleness.ts";
import { inJobFolder } from "./job-folder.ts";
import { JobTrace } from "./job-trace.ts";
import { handlerOf } from "./jobs/all.ts";
import type { JobContext, RunningJob } from "./jobs/job.ts";
import { keepLease } from "./kept-lease.ts";
import { startReporting } from "./report.ts";
import { ServingLane, type ServingSettings } from "./serving/lane.ts";
import { type StartServing, startServing } from "./serving/serving-run.ts";
import { Sharing } from "./sharing.ts";
import { type TimeSlice, timeSliceOf } from "./time-slice.ts";

export interface WorkerOptions {
  readonly store: Store;
  /** Name of this worker, unique among processes. */
  readonly name: string;
  readonly modelsDir: string;
  /** What the models folder holds; changes while the worker runs. */
  readonly models: ModelsAtHand;
  /** The compute device; and what it is and why it was chosen, which the run records. */
  readonly device: ThreadDevice;
  readonly deviceNote: string;
  /** What the device can multiply in. */
  readonly precisions: readonly Precision[];
  /** The memory for weights, of jobs and of requests. */
  readonly memoryBytes: number;
  readonly log: Log;
  /** Aborted to stop: the current job and all requests are released. */
  readonly signal: AbortSignal;
  /** Of its row in the list of workers, when somebody starts it again; and whether it then ends only to sleep. */
  readonly id?: string;
  readonly isAsleep?: () => boolean;
  /** Of workers that are alike; null, or left out, for one by itself. */
  readonly pool?: string | null;
  /** When a run gives way to others, and where its weights are kept then; null, or left out, for never. */
  readonly timeSlice?: TimeSlice | null;
  /** Is told of all work. */
  readonly idleness?: Idleness;
  /** Whether it does jobs; true when left out. */
  readonly doesJobs?: boolean;
  /** How it answers requests; null, or left out, when it does not. */
  readonly serving?: ServingSettings | null;
  /** Of jobs and requests; none when left out. */
  readonly tracing?: Tracing | null;
  /** Starts the thread that answers them; for tests. */
  readonly startServing?: StartServing;
}

/** Works until the signal. An error ends a job or its attempt (attempts.ts); while the store is unreachable the worker waits. */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const { store, name, precisions, models, memoryBytes, deviceNote: device, log } = options;
  const { doesJobs = true, serving = null, idleness = new Idleness() } = options;
  const { id = randomUUID(), isAsleep = () => false, pool = null } = options;
  const sharing = new Sharing(idleness);
  const capabilities = () => capabilitiesOf(precisions, models.list(), memoryBytes);
  const lane = serving && new ServingLane({ ...options, ...laneOf(options), settings: serving, sharing, capabilities });
  const kinds = [...(doesJobs ? soleJobKinds : []), ...(lane ? (["COMPLETE"] as const) : [])];
  const report = () => ({
    id,
    name,
    device,
    version,
    pool,
    ...capabilities(),
    kinds,
    heeds,
    serving: lane?.report() ?? null,
  });
  const reporting = startReporting(store, report, log);
  try {
    const upToDate = () => reporting.upToDate();
    const claim = async () => {
      await upToDate();
      const can = { ...capabilities(), kinds: sharing.claimJobs(soleJobKinds) };
      let job: ClaimedJob | null = null;
      try {
        job = await store.claimJob({ worker: name, leaseMs, capabilities: can });
        return job;
      } finally {
        sharing.claimedJob(job && { kind: job.kind, memoryBytes: job.needs.memoryBytes ?? 0 });
      }
    };
    const jobs = async () => {
      const spare = new SpareThread();
      while (!options.signal.aborted) await claimAndRun({ ...options, spare }, sharing, claim);
      await spare.end();
    };
    await Promise.all([doesJobs && jobs(), lane?.run(upToDate)]);
  } finally {
    await reporting.end({ asleep: isAsleep() });
  }
}

/** What may be wanted of a run, so that its training stops. */
const heeds = ["PAUSE", "CANCEL"] as const;

const laneOf = ({ startServing: start = startServing }: WorkerOptions) => ({ start });

/** What the lane of jobs has between two of them. */
interface Lane extends WorkerOptions {
  readonly spare: SpareThread;
}

async function claimAndRun(options: Lane, sharing: Sharing, claim: () => Promise<ClaimedJob | null>): Promise<void> {
  const { store, signal, log } = options;
  try {
    const job = await claim();
    if (!job) {
      await options.spare.end();
      return await store.waitForJob({ timeoutMs: pollMs, signal });
    }
    try {
      await runJob(options, job);
    } finally {
      sharing.claimedJob(null);
    }
  } catch (error) {
    log.error({ error }, "The store does not answer; trying again.");
    await delay(pollMs, undefined, { signal }).catch(() => {});
  }
}

async function runJob(options: Lane, job: ClaimedJob): Promise<void> {
  const { log } = options;
  const about = { job: job.id, kind: job.kind, subject: job.subject, attempt: job.attempts };
  const trace = options.tracing ? new JobTrace(options.tracing, job) : null;
  log.info(about, "Claimed a job.");
  try {
    if (job.attempts > maxAttempts) throw tooManyAttempts(job);
    const { blobs } = options.store;
    await inJobFolder((weightsDir) =>
      withFiles(
        (sha256: string) => blobs.local(sha256),
        (pathOf) => withBases(options, (baseOf) => workOn(options, job, { weightsDir, pathOf, baseOf, trace })),
      ),
    );
    log.info(about, "The job has ended.");
    trace?.end();
  } catch (caught) {
    const error = asSteplogError(caught);
    log.warn({ ...about, code: error.code, error: caught }, `The job ended with an error: ${loggable(error)}`);
    const { store, signal } = options;
    await (signal.aborted ? store.releaseJob(job) : endAttempt(store, job, error)).catch(unlessLost);
    trace?.end(error.code);
  }
}

function tooManyAttempts({ lastError }: ClaimedJob): SteplogError {
  const last = lastError === null ? "" : ` The last error that a worker told: ${lastError}`;
  const advice = "Look at the logs of the workers; the model may be too large for their memory.";
  return new SteplogError("INTERNAL", `${maxAttempts} workers claimed this job and died. ${advice}${last}`);
}

/** Has the attempt repeated, by another worker if there is one, or ends the job. */
async function endAttempt(store: Store, job: ClaimedJob, failed: SteplogError): Promise<void> {
  if (failed.code === "LEASE_LOST") return;
  const attempts = attemptsFor[failed.code];
  const error = toldToClients(failed);
  const message = `${error.code}: ${error.message}`;
  if (attempts > 1 && (await store.repeatJob(job, { message, attempts }))) return;
  await handlerOf(job.kind).fail(store, job, attempts > 1 ? afterAttempts(error, job.attempts) : error);
}

function afterAttempts({ code, message, issues }: SteplogError, attempts: number): SteplogError {
  return new SteplogError(code, `${message} ${attempts} attempts without progress have failed.`, issues);
}

/** A lost job is another worker's now. */
function unlessLost(error: unknown): void {
  if (!(error instanceof SteplogError && error.code === "LEASE_LOST")) throw error;
}

/** The lease is renewed from the first moment: files may have to come from far. */
async function workOn(
  options: Lane,
  job: ClaimedJob,
  { trace, ...given }: Pick<JobContext, "weightsDir" | "pathOf" | "baseOf"> & { readonly trace: JobTrace | null },
): Promise<void> {
  const { deviceNote, signal } = options;
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const lease = keepLease(options.store, job, stop);
  const { store } = lease;
  const late = afterSignal(signal, giveBackMs);
  const kept = options.timeSlice?.kept ?? null;
  const context = { store, job, ...given, deviceNote, kept, stop, signal: stopping.signal };
  try {
    const ends = [lease.lost, late.reached] as const;
    const running = await Promise.race([...ends, handlerOf(job.kind).start(context)]);
    if (running === "late") await store.releaseJob(job);
    else await runEngine({ ...options, store, trace }, job, running, stopping.signal, ends);
  } finally {
    lease.end();
    late.end();
    signal.removeEventListener("abort", stop);
  }
}

async function runEngine(
  options: Lane & { readonly trace: JobTrace | null },
  job: ClaimedJob,
  running: RunningJob,
  stopping: AbortSignal,
  ends: readonly Promise<"late">[],
): Promise<void> {
  const { device, serving } = options;
  // A run follows a run in the same thread.
  const spare = job.kind === "FINE_TUNE" ? options.spare : null;
  if (!spare) await options.spare.end();
  const engine = startEngine(running.request, device, { turns: trainerPlace(serving, job.kind), spare });
  stopping.addEventListener("abort", () => engine.stop(), { once: true });
  if (stopping.aborted) engine.stop();
  const slice = sliceOf(options, job, () => engine.leave());
  const heard = (message: EngineMessage) => {
    options.trace?.heard(message);
    if (message.type === "began") slice.begin();
  };
  try {
    const last = await Promise.race([...ends, takeMessages(engine, running, heard)]);
    // Before the thread ends, which takes as long as its pass in the addon. What it still sends is refused.
    if (last === "late") await options.store.releaseJob(job);
  } catch (error) {
    if (doubtsModel(asSteplogError(error).code)) options.models.forget(basename(running.request.modelPath));
    throw error;
  } finally {
    slice.end();
    running.close();
    await engine.end();
  }
}

/** Measured from where the run trains: before, it has only caught up. */
function sliceOf(
  { store, name, timeSlice, precisions, models, memoryBytes }: WorkerOptions,
  job: ClaimedJob,
  leave: () => void,
) {
  const can = () => ({ ...capabilitiesOf(precisions, models.list(), memoryBytes), kinds: turnKinds });
  const isAskedFor = () => store.giveWay(job, { worker: name, capabilities: can() });
  return timeSliceOf(job.kind === "FINE_TUNE" ? (timeSlice?.ms ?? null) : null, isAskedFor, leave);
}

/** Measurements wait for workers that have nothing else to do. */
const turnKinds = soleJobKinds.filter((kind) => kind !== "MEASURE");

/** Requests are answered between its passes; a measurement has none beside it. */
function trainerPlace(serving: ServingSettings | null | undefined, kind: JobKind): TrainerPlace | null {
  const words = kind === "MEASURE" ? null : (serving?.turns ?? null);
  return words && { words, place: trainerPlaces.job };
}

async function takeMessages(
  engine: EngineRun,
  running: RunningJob,
  heard: (message: EngineMessage) => void,
): Promise<void> {
  for await (const message of engine.messages) {
    heard(message);
    if (message.type === "failed") throw failureOf(message);
    await running.take(message);
  }
}

/** `reached` resolves so long after the signal, unless `end` comes first. */
function afterSignal(signal: AbortSignal, ms: number): { reached: Promise<"late">; end(): void } {
  let timer: NodeJS.Timeout | undefined;
  let start = () => {};
  const reached = new Promise<"late">((resolve) => {
    start = () => (timer = setTimeout(() => resolve("late"), ms));
    if (signal.aborted) start();
    else signal.addEventListener("abort", start, { once: true });
  });
  const end = () => {
    signal.removeEventListener("abort", start);
    clearTimeout(timer);
  };
  return { reached, end };
}
