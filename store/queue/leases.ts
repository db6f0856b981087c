/**
 * The fence. A worker writes only in a transaction that has first locked its job's row and found its own token there:
 * until that transaction ends no other worker can claim the job, and after another claim this finds nothing.
 * Locks are taken in one order, job before run, so that writers never wait for each other in a ring.
 */
import { and, eq } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { type FineTune, type Job, fineTunes, jobs } from "../../schema/tables.ts";
import { type Transaction, only } from "../postgres/database.ts";
import type { Lease } from "../types.ts";

/**
 * A lease whose time is up but that nobody else took is still the only one, so it holds: refusing it would throw away
 * work that no one else does.
 */
export async function holdLease(tx: Transaction, lease: Lease): Promise<Job> {
  const [job] = await tx.select().from(jobs).where(jobOf(lease)).for("update");
  if (!job) throw leaseLost(lease);
  return job;
}

/** The run's row, locked against a cancel and against other jobs of the same run; the job is held already. */
export async function holdRun(tx: Transaction, job: Job): Promise<FineTune> {
  return only(await tx.select().from(fineTunes).where(eq(fineTunes.id, job.fineTuneId)).for("no key update"));
}

/** Lease and run together, for what only the training job may write. */
export async function holdTraining(tx: Transaction, lease: Lease): Promise<FineTune> {
  const job = await holdLease(tx, lease);
  invariant(job.kind === "FINE_TUNE", `job ${job.id} trains`);
  return holdRun(tx, job);
}

export function jobOf(lease: Lease) {
  return and(eq(jobs.id, lease.id), eq(jobs.leaseToken, lease.token));
}

export function leaseLost(lease: Lease): SteplogError {
  return new SteplogError(
    "LEASE_LOST",
    `Job ${lease.id} is no longer held under token ${lease.token}: another worker has it, or it is finished. ` +
      "Nothing was written.",
  );
}
