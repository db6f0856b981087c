/**
 * The queue. A job is free when nobody holds it or its lease has run out. A claim takes the oldest free job and raises
 * its token; the worker renews while it lives; a worker that stops gives the lease back, and one that dies lets it run
 * out. Either way the next claim goes on with the same job. The job ends with its row (outcomes.ts).
 */
import { and, asc, eq, inArray, isNull, lt, or, sql } from "drizzle-orm";
import { invariant } from "../../schema/errors.ts";
import { type FineTune, type Job, baseModels, checkpoints, datasets, fineTunes, jobs } from "../../schema/tables.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import type { Hub } from "../postgres/notifications.ts";
import { holdLease, holdRun, jobOf, leaseLost } from "./leases.ts";
import { tell, wakeWatchers, wakeWorkers } from "../runs/events.ts";
import type { ClaimedJob, Lease, Store } from "../types.ts";

type Queue = Pick<Store, "claimJob" | "renewLease" | "releaseJob" | "waitForJob">;

export function queueOf(database: Database, hub: Hub): Queue {
  /** News up to here were known when this store last looked for work. */
  let seen = -1;
  return {
    async claimJob({ worker, leaseMs }) {
      seen = hub.jobNews();
      return database.transaction((tx) => claim(tx, worker, leaseMs));
    },
    renewLease: (lease, leaseMs) => renew(database, lease, leaseMs),
    releaseJob: (lease) => database.transaction((tx) => release(tx, lease)),
    waitForJob: ({ timeoutMs, signal }) => hub.waitForJobNews({ after: seen, timeoutMs, signal }),
  };
}

/** Time is Postgres' alone, so the clocks of the workers need not agree. */
const leaseEnd = (leaseMs: number) => sql`clock_timestamp() + ${leaseMs} * interval '1 millisecond'`;

async function claim(tx: Transaction, worker: string, leaseMs: number): Promise<ClaimedJob | null> {
  const [free] = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(or(isNull(jobs.leaseExpiresAt), lt(jobs.leaseExpiresAt, sql`clock_timestamp()`)))
    .orderBy(asc(jobs.id))
    .limit(1)
    .for("update", { skipLocked: true });
  if (!free) return null;
  const next = { leaseToken: sql`${jobs.leaseToken} + 1`, attempts: sql`${jobs.attempts} + 1` };
  const lease = { leaseWorker: worker, leaseExpiresAt: leaseEnd(leaseMs) };
  const job = only(
    await tx
      .update(jobs)
      .set({ ...next, ...lease })
      .where(eq(jobs.id, free.id))
      .returning(),
  );
  if (job.kind === "FINE_TUNE") await beginRun(tx, job, worker);
  return withInputs(tx, job);
}

async function beginRun(tx: Transaction, job: Job, worker: string): Promise<void> {
  const begun = { status: "RUNNING" as const, startedAt: sql`coalesce(${fineTunes.startedAt}, now())` };
  const run = only(await tx.update(fineTunes).set(begun).where(eq(fineTunes.id, job.fineTuneId)).returning());
  const first = job.attempts === 1;
  const message = first ? `Worker ${worker} begins.` : `Worker ${worker} goes on behind step ${run.stepsDone}.`;
  await tell(tx, run.id, first ? "RUNNING" : "RESUMED", message);
  await wakeWatchers(tx, run.id);
}

/** Everything a worker needs to begin, so that it asks once. */
async function withInputs(tx: Transaction, job: Job): Promise<ClaimedJob> {
  const fineTune = only(await tx.select().from(fineTunes).where(eq(fineTunes.id, job.fineTuneId)));
  const baseModel = only(await tx.select().from(baseModels).where(eq(baseModels.id, fineTune.baseModelId)));
  const found = await tx
    .select()
    .from(datasets)
    .where(inArray(datasets.id, datasetIds(fineTune)));
  const dataset = found.find((row) => row.id === fineTune.datasetId);
  invariant(dataset, `fine-tune ${fineTune.id} has its dataset`);
  const [checkpoint] = job.checkpointId
    ? await tx.select().from(checkpoints).where(eq(checkpoints.id, job.checkpointId))
    : [];
  return {
    id: job.id,
    token: job.leaseToken,
    kind: job.kind,
    attempts: job.attempts,
    fineTune,
    baseModel,
    dataset,
    checkpoint: checkpoint ?? null,
    validationDataset: found.find((row) => row.id === fineTune.validationDatasetId) ?? null,
    testDataset: found.find((row) => row.id === fineTune.testDatasetId) ?? null,
  };
}

function datasetIds({ datasetId, validationDatasetId, testDatasetId }: FineTune): string[] {
  return [datasetId, validationDatasetId, testDatasetId].filter((id) => id !== null);
}

async function renew(database: Database, lease: Lease, leaseMs: number): Promise<{ cancelRequested: boolean }> {
  const [run] = await database
    .update(jobs)
    .set({ leaseExpiresAt: leaseEnd(leaseMs) })
    .from(fineTunes)
    .where(and(jobOf(lease), eq(fineTunes.id, jobs.fineTuneId)))
    .returning({ cancelRequested: fineTunes.cancelRequested });
  if (!run) throw leaseLost(lease);
  return run;
}

/** The token rises here too, so that what this worker still has under way is refused. */
async function release(tx: Transaction, lease: Lease): Promise<void> {
  const job = await holdLease(tx, lease);
  const free = { leaseWorker: null, leaseExpiresAt: null, leaseToken: sql`${jobs.leaseToken} + 1` };
  await tx.update(jobs).set(free).where(jobOf(lease));
  if (job.kind === "FINE_TUNE") {
    await holdRun(tx, job);
    await tell(tx, job.fineTuneId, "RELEASED", "The worker stopped and gave the job back.");
  }
  await wakeWatchers(tx, job.fineTuneId);
  await wakeWorkers(tx);
}
