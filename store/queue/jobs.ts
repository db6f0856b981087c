/**
 * The queue. A job is (kind, subject, payload, priority, needs); what its kind means, the queue does not know.
 *
 * - Free: nobody holds it, or its lease has expired. A claim takes the free job of highest priority, then lowest id, among
 *   those that the worker can run (claimable.ts). It raises the token and starts a lease.
 * - Held: the worker renews the lease while it lives, and writes under its token (leases.ts). A worker that stops releases
 *   the job; when one dies, the lease expires. Either way the job is free again.
 * - Finished jobs are deleted, by whoever records the result, in the same transaction.
 *
 * What a kind does when its job is claimed or released happens in the transaction of the claim or release (JobHooks).
 */
import { and, asc, desc, eq, sql } from "drizzle-orm";
import type { Capabilities, JobKind } from "../../schema/jobs.ts";
import type { Wanted } from "../../schema/states.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { wakeWorkers } from "../postgres/notify.ts";
import { fits, isFree } from "./claimable.ts";
import { type Lease, jobOf, leaseLost, lockJob } from "./leases.ts";

export interface ClaimedJob extends Lease, Pick<Job, "kind" | "subject" | "payload" | "attempts"> {}

export interface Claim {
  readonly worker: string;
  readonly leaseMs: number;
  readonly capabilities: Capabilities;
}

export interface Queue {
  /** The first free job that the worker can run, under a new lease; null when there is none. */
  claimJob(claim: Claim): Promise<ClaimedJob | null>;
  /** What is wanted of the job's subject. @throws LEASE_LOST, as every call with a lease does when another worker has it */
  renewLease(job: Lease, leaseMs: number): Promise<{ wanted: Wanted }>;
  /** Frees the job at once, so that another worker starts without waiting. The lease is lost thereby. */
  releaseJob(job: Lease): Promise<void>;
  /** Returns when there may be new work since the last claimJob, after the timeout, or on the signal. Never throws for these. */
  waitForJob(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<void>;
}

/** What a kind of job adds to the moves of the queue. The job's row is locked. */
export interface JobHooks {
  claimed?(tx: Transaction, job: Job, worker: string): Promise<void>;
  released?(tx: Transaction, job: Job): Promise<void>;
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
  return {
    async claimJob(claim) {
      seen = notifications.jobNews();
      return database.transaction(async (tx) => {
        const job = await claimFirst(tx, claim);
        if (!job) return null;
        await hooks[job.kind].claimed?.(tx, job, claim.worker);
        const { id, kind, subject, payload, attempts, leaseToken: token } = job;
        return { id, token, kind, subject, payload, attempts };
      });
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
    waitForJob: ({ timeoutMs, signal }) => notifications.waitForJobNews({ after: seen, timeoutMs, signal }),
  };
}

/** Time is Postgres' alone, so the clocks of the workers need not agree. */
const leaseEnd = (leaseMs: number) => sql`clock_timestamp() + ${leaseMs} * interval '1 millisecond'`;

async function claimFirst(tx: Transaction, { worker, leaseMs, capabilities }: Claim): Promise<Job | null> {
  const [free] = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(and(isFree, fits(capabilities)))
    .orderBy(desc(jobs.priority), asc(jobs.id))
    .limit(1)
    .for("update", { skipLocked: true });
  if (!free) return null;
  const next = { leaseToken: sql`${jobs.leaseToken} + 1`, attempts: sql`${jobs.attempts} + 1` };
  const lease = { leaseWorker: worker, leaseExpiresAt: leaseEnd(leaseMs) };
  const here = eq(jobs.id, free.id);
  return only(
    await tx
      .update(jobs)
      .set({ ...next, ...lease })
      .where(here)
      .returning(),
  );
}

async function renew(database: Database, lease: Lease, leaseMs: number): Promise<Job> {
  const expiry = { leaseExpiresAt: leaseEnd(leaseMs) };
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
export async function lockJobAbout(tx: Transaction, kind: JobKind, subject: string): Promise<void> {
  await tx.select({ id: jobs.id }).from(jobs).where(jobAbout(kind, subject)).for("update");
}

export async function withdrawJob(tx: Transaction, kind: JobKind, subject: string): Promise<void> {
  await tx.delete(jobs).where(jobAbout(kind, subject));
}
