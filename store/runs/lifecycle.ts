/**
 * The life of a run, and the only code that changes its status.
 *
 * - QUEUED: stored together with its job; waits for a worker that can run it.
 * - RUNNING: a worker has claimed it. When that worker stops it releases the run, when it cannot go on it gives the run back
 *   to be repeated, and when it dies its lease expires; the run stays RUNNING, and the next claim continues it from its log.
 * - PAUSED: on request; the job is gone, and a resume queues the run again, to be continued from its log.
 * - SUCCEEDED: all steps are done, or it stopped early. FAILED: it cannot continue; the error explains. CANCELLED: ended on
 *   request. These three are final, and the job is gone.
 *
 *     create -> QUEUED -- claim --> RUNNING -- finish --> SUCCEEDED, FAILED, CANCELLED
 *                 |                  claim, release, failed attempt, cancel and pause: it stays RUNNING
 *                 +----- cancel --> CANCELLED
 *     QUEUED, RUNNING -- pause --> PAUSED -- resume --> QUEUED; PAUSED -- cancel --> CANCELLED
 *
 * `wanted` is what people want of the run: RUN, PAUSE or CANCEL. Its worker reads it with every renewal and append, and ends
 * or leaves the run after the current step, so that the log ends where the weights do. pause.ts has pause and resume.
 *
 * Every move is made by `move` (../moves.ts), and adds an event.
 */
import { and, eq, inArray, sql } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import { adapterBytes } from "../../schema/adapter-size.ts";
import { type ErrorCode, type InputIssue, SteplogError, invariant } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import type { Needs } from "../../schema/jobs.ts";
import { type FineTuneStatus, fineTuneTransitions } from "../../schema/states.ts";
import { type BaseModel, type FineTune, type Job, fineTunes, jobs } from "../../schema/tables.ts";
import { weightsInMemory } from "../../schema/weights-memory.ts";
import { type Life, lockRow, moveLocked, moveRow } from "../moves.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import type { JobHooks } from "../queue/claimers.ts";
import { addJob, finishJob, lockJobAbout, withdrawJob } from "../queue/jobs.ts";
import { type Lease, jobOf, lockJob } from "../queue/leases.ts";
import { type Parts, partsOf } from "../models/part-names.ts";
import { announceRun } from "../webhooks/announce.ts";
import { addEvent } from "./events.ts";

/** An event that is no move. */
export interface RunNote {
  readonly type: string;
  readonly message: string;
}

export type FineTuneOutcome =
  | { readonly status: "SUCCEEDED"; readonly notes?: readonly RunNote[]; readonly diverged?: boolean }
  | { readonly status: "CANCELLED" }
  | {
      readonly status: "FAILED";
      readonly code: ErrorCode;
      readonly message: string;
      readonly issues: readonly InputIssue[];
    };

export interface Move {
  readonly to: FineTuneStatus;
  readonly event: string;
  readonly message: string;
  readonly set?: PgUpdateSetSource<typeof fineTunes>;
}

/** Each move adds an event. */
const life: Life<FineTuneStatus, FineTune, Move> = {
  noun: "fine-tune",
  transitions: fineTuneTransitions,
  lock: (tx, id) => tx.select().from(fineTunes).where(eq(fineTunes.id, id)).for("no key update"),
  write: (tx, id, { to, set }) =>
    tx
      .update(fineTunes)
      .set({ ...set, status: to })
      .where(eq(fineTunes.id, id))
      .returning(),
  note: (tx, id, { event, message }) => addEvent(tx, id, event, message),
  announce: announceRun,
};

/** Makes the move that `decide` chooses for the locked run; none when that is null. @throws NOT_FOUND */
export async function move(tx: Transaction, id: string, decide: (run: FineTune) => Move | null): Promise<FineTune> {
  return (await moveRow(tx, life, id, decide)) ?? noRun(id);
}

/** The run, locked against everything else that moves it or adds an event. @throws NOT_FOUND */
export async function lockRun(tx: Transaction, id: string): Promise<FineTune> {
  return (await lockRow(tx, life, id)) ?? noRun(id);
}

function noRun(id: string): never {
  throw new SteplogError("NOT_FOUND", `There is no fine-tune ${JSON.stringify(id)}.`);
}

/** Lease and run together, for what only the worker that trains the run may write. @throws LEASE_LOST */
export async function lockRunOf(tx: Transaction, lease: Lease): Promise<FineTune> {
  return (await lockJobAndRun(tx, lease)).run;
}

/** Sent together, and locked in this order: without the job, no run is found either. */
export async function lockJobAndRun(tx: Transaction, lease: Lease): Promise<{ job: Job; run: FineTune }> {
  const subject = tx
    .select({ id: sql`${jobs.subject}::uuid` })
    .from(jobs)
    .where(and(jobOf(lease), isTraining));
  const locking = tx.select().from(fineTunes).where(inArray(fineTunes.id, subject)).for("no key update");
  const [job, runs] = await Promise.all([lockJob(tx, lease), locking]);
  invariant(job.kind === "FINE_TUNE", `job ${job.id} trains a run`);
  return { job, run: runs[0] ?? noRun(job.subject) };
}

const isTraining = eq(jobs.kind, sql`'FINE_TUNE'`);

// Create

/** Starts the life of a run that has just been inserted: its job and its first events. */
export async function queueRun(
  tx: Transaction,
  run: FineTune,
  baseModel: BaseModel,
  notes: readonly RunNote[],
): Promise<void> {
  invariant(run.status === "QUEUED", `new fine-tune ${run.id} is QUEUED`);
  await addTrainingJob(tx, run, baseModel);
  await addEvent(tx, run.id, "QUEUED", "Waiting for a worker.");
  for (const { type, message } of notes) await addEvent(tx, run.id, type, message);
  await announceRun(tx, run);
  await wakeWatchers(tx, run.id);
}

export async function addTrainingJob(tx: Transaction, run: FineTune, baseModel: BaseModel): Promise<void> {
  const needs = trainingNeeds(run.hyperparameters, baseModel, await partsOf(tx, baseModel.id));
  const { id: subject, projectId, priority } = run;
  await addJob(tx, { kind: "FINE_TUNE", projectId, subject, needs, priority });
}

/**
 * What a worker needs to train such a run.
 * @param parts null for a model that an earlier release registered: then an adapter is not counted
 */
export function trainingNeeds(settings: Hyperparameters, baseModel: BaseModel, parts: Parts | null): Needs {
  const { name, hash, family } = baseModel;
  const adapter = parts?.adapters ? adapterBytes(settings, parts, parts.adapters) : 0;
  const memoryBytes = weightsInMemory(baseModel) + adapter;
  return { models: [{ name, hash }], families: [family], precisions: [settings.precision], memoryBytes };
}

// Claim and release

export const fineTuneJobs: JobHooks = {
  claimed: (tx, job, worker) => startOrContinue(tx, job, worker),
  released: pauseOrRelease,
  async waits(tx, { subject }, message) {
    await lockRun(tx, subject);
    await addEvent(tx, subject, "STORAGE_AWAY", message);
    await wakeWatchers(tx, subject);
  },
  failed: (tx, job, message) => repeatOrEnd(tx, job.subject, message),
  wanted: (database, jobs) => Promise.all(jobs.map(({ subject }) => wantedOf(database, subject))),
};

/** A run that is to pause, and whose worker has died, has paused. */
async function startOrContinue(tx: Transaction, job: Job, worker: string): Promise<"done" | "go on"> {
  const moved = await move(tx, job.subject, ({ status, wanted, startedAt, stepsDone }) => {
    if (wanted === "PAUSE") return pausedAfter(stepsDone);
    const set = { startedAt: sql`coalesce(${fineTunes.startedAt}, now())` };
    return status === "QUEUED" && startedAt === null
      ? { to: "RUNNING", event: "RUNNING", message: `Worker ${worker} starts.`, set }
      : { to: "RUNNING", event: "RESUMED", message: `Worker ${worker} continues after step ${stepsDone}.`, set };
  });
  return moved.status === "PAUSED" ? "done" : "go on";
}

async function pauseOrRelease(tx: Transaction, { subject, givesWayTo }: Job): Promise<"done" | "go on"> {
  const { status } = await move(tx, subject, ({ wanted, stepsDone }) => {
    if (wanted === "PAUSE") return pausedAfter(stepsDone);
    if (givesWayTo !== null) return gaveWayAfter(stepsDone);
    return { to: "RUNNING", event: "RELEASED", message: "The worker stopped and released the run." };
  });
  return status === "PAUSED" ? "done" : "go on";
}

/** A run that nobody wants any more, or not now, is not repeated. */
async function repeatOrEnd(tx: Transaction, id: string, message: string): Promise<"done" | "repeat"> {
  const { status } = await move(tx, id, ({ wanted, stepsDone }) => {
    if (wanted === "CANCEL") return cancelledAfter(stepsDone);
    if (wanted === "PAUSE") return pausedAfter(stepsDone, `The last attempt failed: ${message}`);
    return { to: "RUNNING", event: "ATTEMPT_FAILED", message: `It will be repeated. ${message}` };
  });
  return status === "RUNNING" ? "repeat" : "done";
}

/** @param more what else there is to say */
export function pausedAfter(stepsDone: number, more?: string): Move {
  const message = `Paused after ${counted(stepsDone, "step")}.${more === undefined ? "" : ` ${more}`}`;
  return { to: "PAUSED", event: "PAUSED", message };
}

function gaveWayAfter(stepsDone: number): Move {
  const message = `Gave way after ${counted(stepsDone, "step")}: others had their turn. It goes on in its own.`;
  return { to: "RUNNING", event: "GAVE_WAY", message };
}

function cancelledAfter(stepsDone: number): Move {
  const set = { finishedAt: sql`now()` };
  return { to: "CANCELLED", event: "CANCELLED", message: `Cancelled after ${counted(stepsDone, "step")}.`, set };
}

/** One that was deleted in this moment is not wanted. */
async function wantedOf(database: Database, id: string) {
  const [run] = await database.select({ wanted: fineTunes.wanted }).from(fineTunes).where(eq(fineTunes.id, id));
  return run?.wanted ?? "CANCEL";
}

// Cancel

/**
 * A QUEUED or PAUSED run ends at once, and so does one whose last attempt failed and that nobody holds; another RUNNING one is asked
 * to; a cancelled one stays as it is. @throws INVALID_STATE, NOT_FOUND
 */
export async function cancel(tx: Transaction, id: string): Promise<FineTune> {
  const { leaseWorker = null, lastError = null } = (await lockJobAbout(tx, "FINE_TUNE", id)) ?? {};
  const waitsForAttempt = leaseWorker === null && lastError !== null;
  const run = await move(tx, id, (current) => {
    if (current.status === "SUCCEEDED" || current.status === "FAILED") throw tooLate(current);
    if (current.status === "CANCELLED" || current.wanted === "CANCEL") return null;
    const set = { wanted: "CANCEL" as const };
    if (current.status === "RUNNING" && waitsForAttempt) {
      const end = cancelledAfter(current.stepsDone);
      return { ...end, set: { ...end.set, ...set } };
    }
    if (current.status === "RUNNING") {
      return { to: "RUNNING", event: "CANCEL_REQUESTED", message: "Stops after the current step.", set };
    }
    const end = { ...set, finishedAt: sql`now()` };
    if (current.startedAt !== null) return { ...cancelledAfter(current.stepsDone), set: end };
    return { to: "CANCELLED", event: "CANCELLED", message: "Cancelled before it started.", set: end };
  });
  if (run.status === "CANCELLED") await withdrawJob(tx, "FINE_TUNE", id);
  return run;
}

function tooLate({ status }: FineTune): SteplogError {
  return new SteplogError("INVALID_STATE", `The fine-tune is ${status} and cannot be cancelled.`);
}

// Finish

export async function finishFineTune(tx: Transaction, lease: Lease, outcome: FineTuneOutcome): Promise<void> {
  const run = await lockRunOf(tx, lease);
  const notes = outcome.status === "SUCCEEDED" ? (outcome.notes ?? []) : [];
  for (const { type, message } of notes) await addEvent(tx, run.id, type, message);
  await Promise.all([finishJob(tx, lease), moveLocked(tx, life, run, lastMove(run, outcome))]);
}

function lastMove({ stepsDone }: FineTune, outcome: FineTuneOutcome): Move {
  const end = { finishedAt: sql`now()` };
  if (outcome.status === "FAILED") {
    const { code: errorCode, message, issues: errorIssues } = outcome;
    return { to: "FAILED", event: "FAILED", message, set: { ...end, errorCode, errorMessage: message, errorIssues } };
  }
  const how = outcome.status === "SUCCEEDED" ? "Finished" : "Cancelled";
  const but = outcome.status === "SUCCEEDED" && outcome.diverged ? ", but it had diverged" : "";
  const message = `${how} after ${counted(stepsDone, "step")}${but}.`;
  return { to: outcome.status, event: outcome.status, message, set: end };
}
