/** Why a job waits, in words: which of its needs no live worker meets, what failed last, or who comes first. */
import { type SQL, and, eq, getTableColumns, inArray, or } from "drizzle-orm";
import type { PrecisionKind } from "../../schema/hyperparameters.ts";
import { type Capabilities, type JobKind, type Needs, soleJobKinds } from "../../schema/jobs.ts";
import { leaveToOthersMs } from "../../schema/limits.ts";
import { type Job, type ServingReport, jobs } from "../../schema/tables.ts";
import { counted, formatBytes } from "../../schema/units.ts";
import type { Database } from "../postgres/database.ts";
import { fits, isFree, waitsMs } from "./claimable.ts";
import { leaseNameOf } from "./lease-names.ts";
import { type MostRuns, type Room, jobsAhead, roomFor } from "./turns.ts";
import { liveWorkers } from "./workers.ts";

/** A worker as far as a waiting job is concerned. */
export interface Candidate extends Capabilities {
  readonly name: string;
  /** The job that it holds now; null when it is idle. */
  readonly job: unknown;
  /** Whether its process has ended, and starts again when there is work. */
  readonly asleep?: boolean;
  /** How it answers requests; null, or left out, when it does not. */
  readonly serving?: ServingReport | null;
}

/** A free job. */
export interface WaitingJob extends Pick<Job, "kind" | "needs" | "failedBy" | "lastError"> {
  /** How long it still waits after a failed attempt; negative when that is over, null without one. */
  readonly waitsMs: number | null;
  /** How many more runs may be trained at once; null, or left out, for any number. */
  readonly room?: Room | null;
}

/** Null when the job does not exist, is held by a worker, or can be claimed now. */
export async function whyJobWaits(
  database: Database,
  kind: JobKind,
  subject: string,
  mostRuns: MostRuns = null,
): Promise<string | null> {
  const job = await freeJob(database, kind, subject);
  if (!job) return null;
  const room = kind === "FINE_TUNE" ? await roomFor(database, job, mostRuns) : null;
  const workers = await liveWorkers(database);
  const ahead = await jobsAhead(database, job, mostRuns, rivalsOf(job, workers));
  return waitingReason({ ...job, room }, workers, ahead);
}

/**
 * How many jobs workers would claim before this one, if every turn takes as long; 0 when it is next. Null when the job does
 * not exist, or a worker has it.
 */
export async function queuePosition(
  database: Database,
  kind: JobKind,
  subject: string,
  mostRuns: MostRuns = null,
): Promise<number | null> {
  const job = await freeJob(database, kind, subject);
  return job && jobsAhead(database, job, mostRuns, rivalsOf(job, await liveWorkers(database)));
}

/** The job about a subject, if nobody holds it. */
export async function freeJob(database: Database, kind: JobKind, subject: string) {
  const about = and(eq(jobs.kind, kind), eq(jobs.subject, subject), isFree);
  const [job] = await database
    .select({ ...getTableColumns(jobs), waitsMs })
    .from(jobs)
    .where(about);
  return job ?? null;
}

/**
 * In SQL: the jobs for which a worker that could do this one could be taken, whatever their kind: a worker does one at a
 * time. Without such a worker nobody knows, and all are.
 */
function rivalsOf({ kind, needs }: Pick<Job, "kind" | "needs">, workers: readonly Candidate[]): SQL | undefined {
  const kinds = kind === "COMPLETE" || kind === "MEASURE" ? [kind] : waitingKinds;
  const can = ableTo(workers, kind, needs).map((worker) => ({
    families: worker.families,
    models: worker.models,
    precisions: worker.precisions,
    memoryBytes: memoryOf(worker, kind),
    kinds,
  }));
  // Workers that are equal in all of it count as one. The name is that of none: only measurements are for one by name.
  const each = new Map(can.map((one) => [JSON.stringify(one), one]));
  return and(inArray(jobs.kind, kinds), or(...[...each.values()].map((one) => fits("", one))));
}

const waitingKinds = soleJobKinds.filter((kind) => kind !== "MEASURE");

/**
 * @param ahead jobs that are claimed before this one
 * @returns null when an idle worker can claim the job now
 */
export function waitingReason(job: WaitingJob, workers: readonly Candidate[], ahead: number): string | null {
  const reason = reasonOf(job, workers, ahead);
  return reason === null || job.lastError === null ? reason : `${reason} The last attempt failed: ${job.lastError}`;
}

function reasonOf(job: WaitingJob, workers: readonly Candidate[], ahead: number): string | null {
  const able = ableTo(workers, job.kind, job.needs);
  if (able.length > 0) return waitForRoom(job) ?? waitForTime(job, able) ?? waitForTurn(job, able, ahead);
  return whyNobody(job.kind, job.needs, workers);
}

export function ableTo<Worker extends Candidate>(workers: readonly Worker[], kind: JobKind, needs: Needs): Worker[] {
  const demands = demandsOf(kind, needs);
  return workers.filter((worker) => demands.every(({ isMet }) => isMet(worker)));
}

/** What keeps all of the workers from such a job, now and later; null when one of them can do it in its turn. */
export function whyNobody(kind: JobKind, needs: Needs, workers: readonly Candidate[]): string | null {
  if (workers.length === 0) return "No worker is running. Start one: steplog worker.";
  if (ableTo(workers, kind, needs).length > 0) return null;
  const demands = demandsOf(kind, needs);
  const unmet = demands.find(({ isMet }) => !workers.some(isMet));
  if (unmet) return unmet.whyNobody(workers);
  const everything = demands.map(({ what }) => what).join(", ");
  return `No live worker has everything that the job needs: ${everything}. Start one that has it all.`;
}

/** As isDue of claimable.ts. */
function dueInMs({ kind, waitsMs: ms, failedBy }: WaitingJob, { name }: Candidate): number {
  return ms === null ? 0 : ms + (leaseNameOf(kind, name) === failedBy ? leaveToOthersMs : 0);
}

/** Null when nothing keeps a worker from training one more. */
function waitForRoom({ room }: WaitingJob): string | null {
  if (!room || room.left > 0) return null;
  const whose = room.of === "project" ? "The project" : "The service";
  return `${whose} trains ${counted(room.limit, "run")} at once at most: waiting for one to end.`;
}

/** Null when some worker may claim it by now. */
function waitForTime(job: WaitingJob, able: readonly Candidate[]): string | null {
  const dueMs = Math.min(...able.map((worker) => dueInMs(job, worker)));
  if (dueMs <= 0) return null;
  return `Waiting for the next attempt, in ${counted(Math.ceil(dueMs / 1000), "second")}.`;
}

function waitForTurn(job: WaitingJob, able: readonly Candidate[], ahead: number): string | null {
  const idle = able.filter((worker) => isIdle(worker, job.kind) && dueInMs(job, worker) <= 0);
  if (idle.length > 0) return idle.every(({ asleep = false }) => asleep) ? "A worker starts for it." : null;
  if (ahead === 0) return "Waiting for a worker: next in line.";
  const others = counted(ahead, job.kind === "COMPLETE" ? "request" : "job");
  return `Waiting for a worker: ${others} ${ahead === 1 ? "is" : "are"} ahead.`;
}

/** Whether an idle worker will take such a job. One that is asleep starts for it. */
export function hasIdle(workers: readonly Candidate[], kind: JobKind, needs: Needs): boolean {
  return ableTo(workers, kind, needs).some((worker) => isIdle(worker, kind));
}

function isIdle({ job, serving }: Candidate, kind: JobKind): boolean {
  if (kind !== "COMPLETE") return job === null;
  return serving ? serving.requests < serving.places : false;
}

/** One thing that a job needs. */
interface Demand {
  readonly what: string;
  readonly isMet: (worker: Candidate) => boolean;
  readonly whyNobody: (workers: readonly Candidate[]) => string;
}

const precisionAdvice: Readonly<Record<PrecisionKind, string>> = {
  FLOAT32: "Start a worker with another device.",
  BFLOAT16: "Start a worker whose device does (docs/devices.md), or create the run with precision FLOAT32.",
};

/** What a worker lacks for such a job, in words: "the base model opt-125m", "3.1 GB of memory". */
export function lackedBy(worker: Candidate, kind: JobKind, needs: Needs): string[] {
  return demandsOf(kind, needs).flatMap(({ what, isMet }) => (isMet(worker) ? [] : [what]));
}

/** The rules of claimable.ts, one by one. */
function demandsOf(kind: JobKind, needs: Needs): Demand[] {
  const { models = [], families = [], precisions = [], memoryBytes = 0, workers: wanted = [] } = needs;
  return [
    ...wanted.map((name) => ({
      what: `to be ${name}`,
      isMet: (worker: Candidate) => worker.name === name,
      whyNobody: () => `The worker ${name} has gone.`,
    })),
    {
      what: `the task to ${tasks[kind]}`,
      isMet: (worker) => worker.kinds.includes(kind),
      whyNobody: () => nobodyTakes(kind),
    },
    ...models.map(({ name, hash }) => ({
      what: `the base model ${name}`,
      isMet: (worker: Candidate) => worker.models.some((model) => model.name === name && model.hash === hash),
      whyNobody: (workers: readonly Candidate[]) => noModel(name, hash, workers),
    })),
    ...families.map((family) => ({
      what: `the family ${family}`,
      isMet: (worker: Candidate) => worker.families.includes(family),
      whyNobody: () => `No live worker supports the model family ${family}. Start a worker of a newer release.`,
    })),
    ...precisions.map((precision) => ({
      what: `products in ${precision.toLowerCase()}`,
      isMet: (worker: Candidate) => worker.precisions.includes(precision),
      whyNobody: () => `No live worker multiplies in ${precision.toLowerCase()}. ${precisionAdvice[precision]}`,
    })),
    {
      what: `${formatBytes(memoryBytes)} of memory`,
      isMet: (worker) => memoryOf(worker, kind) >= memoryBytes,
      whyNobody: (workers) => lackOfMemory(kind, memoryBytes, workers),
    },
  ];
}

/** What a worker of each kind of jobs does. */
const tasks: Readonly<Record<JobKind, string>> = {
  FINE_TUNE: "train runs",
  MATERIALISE: "rebuild weights",
  EXPORT: "rebuild weights in other forms",
  EVALUATE: "evaluate models",
  MEASURE: "measure how long runs take",
  COMPLETE: "answer requests",
};

function nobodyTakes(kind: JobKind): string {
  if (kind === "COMPLETE") return "No live worker answers requests. Start one: steplog worker --serve both.";
  return `No live worker takes the task to ${tasks[kind]}. Start a worker of this release.`;
}

/** Requests have a part of a worker's memory: weights that are warm stay there while it trains. */
function memoryOf({ memoryBytes, serving }: Candidate, kind: JobKind): number {
  return kind === "COMPLETE" ? (serving?.memoryBytes ?? 0) : memoryBytes;
}

function lackOfMemory(kind: JobKind, memoryBytes: number, workers: readonly Candidate[]): string {
  const largest = formatBytes(Math.max(...workers.map((worker) => memoryOf(worker, kind))));
  const needed = `needs ${formatBytes(memoryBytes)} of memory`;
  if (kind !== "COMPLETE") {
    return `The job ${needed}; the largest live worker has ${largest}. Start a worker where there is more.`;
  }
  return (
    `The model ${needed}; the most that a live worker gives to requests is ${largest}. ` +
    "Give more (STEPLOG_SERVE_MEMORY), or start a worker where there is more."
  );
}

function noModel(name: string, hash: string, workers: readonly Candidate[]): string {
  const short = hash.slice(0, 12);
  const other = workers.flatMap(({ models }) => models).find((model) => model.name === name);
  if (other) {
    return (
      `No live worker has the base model ${name} with hash ${short}; the folder of that name has ` +
      `${other.hash.slice(0, 12)}. Put the registered files back.`
    );
  }
  return `No live worker has the base model ${name} (hash ${short}). Put it into the models folder of one (steplog model add).`;
}
