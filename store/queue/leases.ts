/**
 * The fence. A worker writes only in a transaction that has first locked the row of its job and found its token there.
 * Until that transaction ends no other worker can claim the job; after another claim the row is not found.
 *
 * Locks are taken in one order, the job before its subject, so that writers never deadlock.
 */
import { and, asc, eq, inArray } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Transaction } from "../postgres/database.ts";

/** The right to write about a job, proved by its fencing token. */
export interface Lease {
  readonly id: number;
  readonly token: number;
}

/**
 * Locks the job's row. A lease that has expired but that nobody else has claimed still holds: refusing it would throw away
 * work that nobody else is doing.
 * @throws LEASE_LOST
 */
export async function lockJob(tx: Transaction, lease: Lease): Promise<Job> {
  const [job] = await tx.select().from(jobs).where(jobOf(lease)).for("update");
  if (!job) throw leaseLost(lease);
  return job;
}

/** Locks the rows of several jobs, in one order for everybody, and gives those that are still held under these leases. */
export async function lockJobs(tx: Transaction, leases: readonly Lease[]): Promise<Job[]> {
  const ids = leases.map(({ id }) => id);
  const rows = await tx.select().from(jobs).where(inArray(jobs.id, ids)).orderBy(asc(jobs.id)).for("update");
  return rows.filter((job) => leases.some(({ id, token }) => id === job.id && token === job.leaseToken));
}

export function jobOf(lease: Lease) {
  return and(eq(jobs.id, lease.id), eq(jobs.leaseToken, lease.token));
}

export function leaseLost(lease: Lease): SteplogError {
  return new SteplogError(
    "LEASE_LOST",
    `This worker no longer holds job ${lease.id} (token ${lease.token}): another worker has claimed it, or it is finished. ` +
      "Nothing was written.",
  );
}
