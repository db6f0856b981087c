/**
 * The queue. A job is (kind, subject, payload, priority, needs); what its kind means, the queue does not know.
 *
 * - Free: nobody holds it, or its lease has expired. A claim takes a job of the project whose turn it is (turns.ts), of these
 *   the one of highest priority, then lowest id, among those that the worker can run and that are due (claimable.ts). It raises
 *   the token and starts a lease.
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
import { and, eq, or, sql } from "drizzle-orm";
import type { JobKind } from "../../schema/jobs.ts";
import { maxAttempts, retryMs } from "../../schema/limits.ts";
import type { Wanted } from "../../schema/states.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import { type Database, type Transaction, traceOf } from "../postgres/database.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { wakeWorkers } from "../postgres/notify.ts";
import { msFromNow } from "../postgres/times.ts";
import { type Claim, type ClaimedJob, type Claimer, type QueueRules, type JobHooks, claimersOf } from "./claimers.ts";
import { type Lease, jobOf, leaseLost, lockJob } from "./leases.ts";
import { endTurns, turnColumns } from "./turns.ts";

/** Why an attempt failed, and how often such an attempt is made. */
export interface FailedAttempt {
  readonly message: string;
  readonly attempts: number;
}

export interface Queue {
  /** Claims for one of several lanes of a worker, each of which hears of all new work. */
  claimer(): Claimer;
  /** The first free job that the worker can run, under a new lease; null when there is none. */
  claimJob(claim: Claim): Promise<ClaimedJob | null>;
  /** What is wanted of the job's subject. @throws LEASE_LOST, as every call with a lease does when another worker has it */
  renewLease(job: Lease, leaseMs: number): Promise<{ wanted: Wanted }>;
  /** The same of several jobs, in one statement: what is wanted of each, null where the lease is lost. */
  renewLeases(jobs: readonly Lease[], leaseMs: number): Promise<(Wanted | null)[]>;
  /** Frees the job at once, so that another worker starts without waiting. The lease is lost thereby. */
  releaseJob(job: Lease): Promise<void>;
  /**
   * Frees the job after a failed attempt, to be repeated after a while, by another worker if there is one. False, and nothing
   * changes, when it has been attempted often enough.
   */
  repeatJob(job: Lease, failed: FailedAttempt): Promise<boolean>;
  /** Shows users what the worker is waiting for. The job stays with the worker. */
  tellWait(job: Lease, message: string): Promise<void>;
  /** Returns when there may be new work since the last claimJob, after the timeout, or on the signal. Never throws for these. */
  waitForJob(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<void>;
}

export function queueOf(database: Database, notifications: Notifications, rules: QueueRules): Queue {
  const { hooks } = rules;
  const claimer = claimersOf(database, notifications, rules);
  const alone = claimer();
  return {
    claimer,
    claimJob: async (claim) => (await alone.claimJobs(claim, 1))[0] ?? null,
    waitForJob: (options) => alone.waitForJob(options),
    async renewLease(lease, leaseMs) {
      const [wanted] = await renewAll(database, [lease], leaseMs, hooks);
      if (!wanted) throw leaseLost(lease);
      return { wanted };
    },
    renewLeases: (leases, leaseMs) => renewAll(database, leases, leaseMs, hooks),
    releaseJob: (lease) =>
      database.transaction(async (tx) => {
        const job = await release(tx, lease);
        const next = await hooks[job.kind].released?.(tx, job);
        if (next === "done") await tx.delete(jobs).where(eq(jobs.id, job.id));
        else await wakeWorkers(tx, job.kind);
      }),
    tellWait: (lease, message) =>
      database.transaction(async (tx) => {
        const job = await lockJob(tx, lease);
        await hooks[job.kind].waits?.(tx, job, message);
      }),
    repeatJob: (lease, failed) => database.transaction((tx) => repeat(tx, lease, failed, hooks)),
  };
}

async function renewAll(
  database: Database,
  leases: readonly Lease[],
  leaseMs: number,
  hooks: Readonly<Record<JobKind, JobHooks>>,
): Promise<(Wanted | null)[]> {
  if (leases.length === 0) return [];
  const mine = or(...leases.map(jobOf));
  const renewed = await database
    .update(jobs)
    .set({ leaseExpiresAt: msFromNow(leaseMs) })
    .where(mine)
    .returning();
  const wanted = new Map<number, Wanted>();
  for (const kind of new Set(renewed.map((job) => job.kind))) {
    const some = renewed.filter((job) => job.kind === kind);
    const answers = (await hooks[kind].wanted?.(database, some)) ?? [];
    for (const [index, { id }] of some.entries()) wanted.set(id, answers[index] ?? "RUN");
  }
  return leases.map(({ id }) => wanted.get(id) ?? null);
}

const unheld = { leaseWorker: null, leaseExpiresAt: null, claimedAt: null, givesWayTo: null };

/** Before the job is given back. */
async function endTurn(tx: Transaction, lease: Lease): Promise<void> {
  await tx.execute(endTurns(sql`select ${turnColumns} from ${jobs} where ${jobOf(lease)}`));
}

/** The token rises here too, so that writes that this worker still has under way are refused. A release costs no attempt. */
async function release(tx: Transaction, lease: Lease): Promise<Job> {
  const job = await lockJob(tx, lease);
  const next = { leaseToken: sql`${jobs.leaseToken} + 1`, attempts: sql`greatest(${jobs.attempts} - 1, 0)` };
  await endTurn(tx, lease);
  await tx
    .update(jobs)
    .set({ ...unheld, ...next })
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
  const failed = { failedBy: job.leaseWorker, lastError: message, notBefore: msFromNow(waitMs), attempts };
  const free = { ...unheld, leaseToken: sql`${jobs.leaseToken} + 1` };
  await endTurn(tx, lease);
  await tx
    .update(jobs)
    .set({ ...failed, ...free })
    .where(jobOf(lease));
  await wakeWorkers(tx, job.kind);
  return true;
}

/** In SQL, after `set`: a job that has made progress. */
export const unfailed = sql`attempts = 0, not_before = null, failed_by = null, last_error = null`;

/** Whoever records progress of a held job gives it all attempts back. */
export async function madeProgress(tx: Transaction, { id, attempts }: Job): Promise<void> {
  if (attempts === 0) return;
  await tx.execute(sql`update ${jobs} set ${unfailed} where id = ${id}`);
}

// For the rooms that create and finish jobs

export type NewJob = Pick<Job, "kind" | "subject" | "needs"> & Partial<Pick<Job, "projectId" | "payload" | "priority">>;

export async function addJob(tx: Transaction, job: NewJob): Promise<void> {
  await Promise.all([tx.insert(jobs).values({ ...job, traceparent: traceOf(tx) }), wakeWorkers(tx, job.kind)]);
}

export async function finishJob(tx: Transaction, lease: Lease): Promise<void> {
  await tx.execute(endTurns(sql`delete from ${jobs} where ${jobOf(lease)} returning ${turnColumns}`));
}

const jobAbout = (kind: JobKind, subject: string) => and(eq(jobs.kind, kind), eq(jobs.subject, subject));

/** Locks the job about a subject, if there is one: callers that change the subject lock its job first. */
export async function lockJobAbout(tx: Transaction, kind: JobKind, subject: string): Promise<Job | null> {
  const [job] = await tx.select().from(jobs).where(jobAbout(kind, subject)).for("update");
  return job ?? null;
}

export async function withdrawJob(tx: Transaction, kind: JobKind, subject: string): Promise<void> {
  await tx.execute(endTurns(sql`delete from ${jobs} where ${jobAbout(kind, subject)} returning ${turnColumns}`));
}
