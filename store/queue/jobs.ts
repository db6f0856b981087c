/**
 * The queue. A job is (kind, subject, payload, priority, needs); what its kind means, the queue does not know.
 *
 * - Free: nobody holds it, or its lease has expired. A claim takes the free job of highest priority, then lowest id, among
 *   those that the worker can run and that are due (claimable.ts). It raises the token and starts a lease.
 * - Held: the worker renews the lease while it lives, and writes under its token (leases.ts). A worker that stops releases
 *   the job; when one dies, the lease expires. Either way the job is free again.
 * - Waiting to be repeated: an attempt failed for a reason of that worker. The job is free, but due only after a while:
 *   longer each time, and longer for the worker that failed.
 * - Finished jobs are deleted, by whoever records the result, in the same transaction.
 *
 * A claim costs an attempt. A release gives it back, and progress gives all of them back (madeProgress); a job that has used
 * maxAttempts is failed by its worker.
 *
 * What a kind does when its job is claimed, released or repeated happens under the lock of the job (JobHooks).
 */
import { setTimeout as delay } from "node:timers/promises";
import { and, asc, desc, eq, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import type { Capabilities, JobKind } from "../../schema/jobs.ts";
import { maxAttempts, retryMs } from "../../schema/limits.ts";
import type { Wanted } from "../../schema/states.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { wakeWorkers } from "../postgres/notify.ts";
import { fits, isDue, isFree } from "./claimable.ts";
import { endFrozenSessions } from "./frozen.ts";
import { type Lease, jobOf, leaseLost, lockJob } from "./leases.ts";

export interface ClaimedJob extends Lease, Pick<Job, "kind" | "subject" | "payload" | "attempts" | "lastError"> {}

export interface Claim {
  readonly worker: string;
  readonly leaseMs: number;
  readonly capabilities: Capabilities;
}

/** Why an attempt failed, and how often such an attempt is made. */
export interface FailedAttempt {
  readonly message: string;
  readonly attempts: number;
}

export interface Queue {
  /** The first free job that the worker can run, under a new lease; null when there is none. */
  claimJob(claim: Claim): Promise<ClaimedJob | null>;
  /** What is wanted of the job's subject. @throws LEASE_LOST, as every call with a lease does when another worker has it */
  renewLease(job: Lease, leaseMs: number): Promise<{ wanted: Wanted }>;
  /** Frees the job at once, so that another worker starts without waiting. The lease is lost thereby. */
  releaseJob(job: Lease): Promise<void>;
  /**
   * Frees the job after a failed attempt, to be repeated after a while, by another worker if there is one. False, and nothing
   * changes, when it has been attempted often enough.
   */
  repeatJob(job: Lease, failed: FailedAttempt): Promise<boolean>;
  /** Returns when there may be new work since the last claimJob, after the timeout, or on the signal. Never throws for these. */
  waitForJob(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<void>;
}

/** What a kind of job adds to the moves of the queue. The job's row is locked. */
export interface JobHooks {
  claimed?(tx: Transaction, job: Job, worker: string): Promise<void>;
  released?(tx: Transaction, job: Job): Promise<void>;
  /** Of a job that is to be repeated. `done` ends the job instead. */
  failed?(tx: Transaction, job: Job, message: string): Promise<"done" | "repeat">;
  /** RUN when left out. */
  wanted?(database: Database, job: Job): Promise<Wanted>;
}

export function queueOf(
  database: Database,
  notifications: Notifications,
  hooks: Readonly<Record<JobKind, JobHooks>>,
): Queue {
  /** News up to this number had arrived when this store last looked for work. */
  let seen = -1;
  /** Null when the job has ended, or went to another worker, since it was claimed. */
  const started = async (job: Job, worker: string): Promise<ClaimedJob | null> => {
    const { id, kind, subject, payload, attempts, leaseToken: token, lastError } = job;
    const start = async (tx: Transaction) => hooks[kind].claimed?.(tx, await lockJob(tx, { id, token }), worker);
    const isMine = await database.transaction(start).then(() => true, ifLost(false));
    return isMine ? { id, token, kind, subject, payload, attempts, lastError } : null;
  };
  return {
    async claimJob(claim) {
      seen = notifications.jobNews();
      const job = (await claimFirst(database, claim)) ?? (await claimThawed(database, claim));
      return job && started(job, claim.worker);
    },
    async renewLease(lease, leaseMs) {
      const job = await renew(database, lease, leaseMs);
      return { wanted: (await hooks[job.kind].wanted?.(database, job)) ?? "RUN" };
    },
    releaseJob: (lease) =>
      database.transaction(async (tx) => {
        const job = await release(tx, lease);
        await hooks[job.kind].released?.(tx, job);
        await wakeWorkers(tx);
      }),
    repeatJob: (lease, failed) => database.transaction((tx) => repeat(tx, lease, failed, hooks)),
    waitForJob: ({ timeoutMs, signal }) => notifications.waitForJobNews({ after: seen, timeoutMs, signal }),
  };
}

/** Time is Postgres' alone, so the clocks of the workers need not agree. */
const inMs = (ms: number) => sql`clock_timestamp() + ${ms} * interval '1 millisecond'`;

/**
 * One statement, so that a worker that freezes has claimed the job, under a lease that expires, or has not. The rows of a CTE
 * that locks are computed once.
 */
async function claimFirst(database: Database, { worker, leaseMs, capabilities }: Claim): Promise<Job | null> {
  const free = database.$with("free").as(
    database
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(isFree, isDue(worker), fits(worker, capabilities)))
      .orderBy(desc(jobs.priority), asc(jobs.id))
      .limit(1)
      .for("update", { skipLocked: true }),
  );
  const next = { leaseToken: sql`${jobs.leaseToken} + 1`, attempts: sql`${jobs.attempts} + 1` };
  const lease = { leaseWorker: worker, leaseExpiresAt: inMs(leaseMs) };
  const [job] = await database
    .with(free)
    .update(jobs)
    .set({ ...next, ...lease })
    .where(eq(jobs.id, sql`(select id from free)`))
    .returning();
  return job ?? null;
}

/** A session takes a moment to end. */
const endingMs = 100;

/** Claims again if a frozen process may have hidden a job. By the time that its lease has expired, half of one is over. */
async function claimThawed(database: Database, claim: Claim): Promise<Job | null> {
  if ((await endFrozenSessions(database, claim.leaseMs / 2)) === 0) return null;
  await delay(endingMs);
  return claimFirst(database, claim);
}

function ifLost<Value>(value: Value) {
  return (error: unknown): Value => {
    if (error instanceof SteplogError && error.code === "LEASE_LOST") return value;
    throw error;
  };
}

async function renew(database: Database, lease: Lease, leaseMs: number): Promise<Job> {
  const expiry = { leaseExpiresAt: inMs(leaseMs) };
  const [job] = await database.update(jobs).set(expiry).where(jobOf(lease)).returning();
  if (!job) throw leaseLost(lease);
  return job;
}

/** The token rises here too, so that writes that this worker still has under way are refused. A release costs no attempt. */
async function release(tx: Transaction, lease: Lease): Promise<Job> {
  const job = await lockJob(tx, lease);
  const next = { leaseToken: sql`${jobs.leaseToken} + 1`, attempts: sql`greatest(${jobs.attempts} - 1, 0)` };
  await tx
    .update(jobs)
    .set({ leaseWorker: null, leaseExpiresAt: null, ...next })
    .where(jobOf(lease));
  return job;
}

/** The token rises, as in a release. */
async function repeat(
  tx: Transaction,
  lease: Lease,
  { message, attempts: most }: FailedAttempt,
  hooks: Readonly<Record<JobKind, JobHooks>>,
): Promise<boolean> {
  const job = await lockJob(tx, lease);
  const attempts = Math.max(job.attempts, 1);
  if (attempts >= Math.min(most, maxAttempts)) return false;
  if ((await hooks[job.kind].failed?.(tx, job, message)) === "done") {
    await finishJob(tx, lease);
    return true;
  }
  const waitMs = Math.min(retryMs.first * 2 ** (attempts - 1), retryMs.longest);
  const failed = { failedBy: job.leaseWorker, lastError: message, notBefore: inMs(waitMs), attempts };
  const free = { leaseWorker: null, leaseExpiresAt: null, leaseToken: sql`${jobs.leaseToken} + 1` };
  await tx
    .update(jobs)
    .set({ ...failed, ...free })
    .where(jobOf(lease));
  await wakeWorkers(tx);
  return true;
}

/** Whoever records progress of a held job gives it all attempts back. */
export async function madeProgress(tx: Transaction, { id, attempts }: Job): Promise<void> {
  if (attempts === 0) return;
  const unfailed = { attempts: 0, notBefore: null, failedBy: null, lastError: null };
  await tx.update(jobs).set(unfailed).where(eq(jobs.id, id));
}

// For the rooms that create and finish jobs

export type NewJob = Pick<Job, "kind" | "subject" | "needs"> & Partial<Pick<Job, "payload" | "priority">>;

export async function addJob(tx: Transaction, job: NewJob): Promise<void> {
  await tx.insert(jobs).values(job);
  await wakeWorkers(tx);
}

export async function finishJob(tx: Transaction, lease: Lease): Promise<void> {
  await tx.delete(jobs).where(jobOf(lease));
}

const jobAbout = (kind: JobKind, subject: string) => and(eq(jobs.kind, kind), eq(jobs.subject, subject));

/** Locks the job about a subject, if there is one: callers that change the subject lock its job first. */
export async function lockJobAbout(tx: Transaction, kind: JobKind, subject: string): Promise<Job | null> {
  const [job] = await tx.select().from(jobs).where(jobAbout(kind, subject)).for("update");
  return job ?? null;
}

export async function withdrawJob(tx: Transaction, kind: JobKind, subject: string): Promise<void> {
  await tx.delete(jobs).where(jobAbout(kind, subject));
}
