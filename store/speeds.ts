/**
 * How fast workers would train runs. A worker measures it in a job of kind MEASURE, which comes after all others and gives way
 * to them. Measurements are kept until nobody has made them for long; they are numbers only. The job holds texts of the user:
 * it is deleted when whoever asked goes, and, if that one died, soon after.
 */
import { and, eq, lt, notInArray, sql } from "drizzle-orm";
import { invariant } from "../schema/errors.ts";
import type { Measurement, RunSpeeds } from "../schema/estimate.ts";
import { placeOf } from "../schema/estimate.ts";
import type { Needs } from "../schema/jobs.ts";
import { forgetMeasureMs } from "../schema/limits.ts";
import { type Job, jobs, runSpeeds, workers } from "../schema/tables.ts";
import { type Database, type Transaction, traceOf } from "./postgres/database.ts";
import { wakeWorkers } from "./postgres/notify.ts";
import { msFromStart } from "./postgres/times.ts";
import { fits, isDue, isFree } from "./queue/claimable.ts";
import type { JobHooks } from "./queue/claimers.ts";
import { finishJob } from "./queue/jobs.ts";
import { type Lease, lockJob } from "./queue/leases.ts";
import type { StepBatch } from "./runs/appends.ts";
import { rehearseAppend } from "./runs/rehearsal.ts";

/** A measurement by one worker. */
export interface AskedSpeed {
  readonly worker: { readonly name: string; readonly device: string };
  readonly needs: Needs;
  readonly measurement: Measurement;
}

export interface Speeds {
  /** By place. */
  kept(key: string): Promise<ReadonlyMap<string, RunSpeeds>>;
  /** Has each worker measure, unless it is about to. */
  ask(asked: readonly AskedSpeed[]): Promise<void>;
  /** Names of the workers that have not answered yet. */
  pending(key: string): Promise<ReadonlySet<string>>;
  /** Takes the jobs back that no worker has begun. */
  withdraw(key: string): Promise<void>;
  /** Does what appendSteps does for a run, and takes it back. @throws LEASE_LOST */
  rehearse(job: Lease, batch: StepBatch): Promise<void>;
  /** Keeps what a worker has measured, and ends its job; null if it could not, or had to give way. */
  finish(job: Lease, speeds: RunSpeeds | null): Promise<void>;
}

const forgottenAfter = sql`now() - interval '90 days'`;
/** After all other jobs. */
const priority = -1;

const isMeasure = eq(jobs.kind, "MEASURE");
const ofKey = (key: string) => and(isMeasure, sql`starts_with(${jobs.subject}, ${`${key} `})`);

export function speedsOf(database: Database): Speeds {
  return {
    async kept(key) {
      const rows = await database.select().from(runSpeeds).where(eq(runSpeeds.key, key));
      return new Map(rows.map(({ place, speeds }) => [place, speeds]));
    },
    async ask(asked) {
      await forgetMeasures(database);
      if (asked.length === 0) return;
      const rows = asked.map(({ worker, needs, measurement }) => ({
        kind: "MEASURE" as const,
        subject: `${measurement.key} ${worker.name}`,
        payload: { ...measurement, place: placeOf(worker) },
        needs: { ...needs, workers: [worker.name] },
        priority,
      }));
      await database.transaction(async (tx) => {
        const traced = rows.map((row) => ({ ...row, traceparent: traceOf(tx) }));
        await tx.insert(jobs).values(traced).onConflictDoNothing();
        await wakeWorkers(tx, "MEASURE");
      });
    },
    async pending(key) {
      const rows = await database.select({ subject: jobs.subject }).from(jobs).where(ofKey(key));
      return new Set(rows.map(({ subject }) => subject.slice(key.length + 1)));
    },
    async withdraw(key) {
      await database.delete(jobs).where(and(ofKey(key), isFree));
    },
    rehearse: (lease, batch) => rehearseAppend(database, lease, batch),
    finish: (lease, speeds) => database.transaction((tx) => finish(tx, lease, speeds)),
  };
}

async function finish(tx: Transaction, lease: Lease, speeds: RunSpeeds | null): Promise<void> {
  const { kind, payload } = await lockJob(tx, lease);
  invariant(kind === "MEASURE", `job ${lease.id} measures`);
  if (speeds) {
    const row = { key: String(payload["key"]), place: String(payload["place"]), speeds, measuredAt: sql`now()` };
    await tx.delete(runSpeeds).where(lt(runSpeeds.measuredAt, forgottenAfter));
    await tx
      .insert(runSpeeds)
      .values(row)
      .onConflictDoUpdate({ target: [runSpeeds.key, runSpeeds.place], set: row });
  }
  await finishJob(tx, lease);
}

/** Deletes the jobs of whoever died while asking. Workers call it too, so that texts of the user go in any case. */
export async function forgetMeasures(database: Database): Promise<void> {
  const old = lt(jobs.createdAt, msFromStart(-forgetMeasureMs));
  await database.delete(jobs).where(and(isMeasure, isFree, old));
}

export const measureJobs: JobHooks = {
  /** Nobody waits for a second attempt. */
  failed: () => Promise.resolve("done"),
  wanted: (database, held) =>
    Promise.all(held.map(async (job) => ((await othersWait(database, job)) ? "CANCEL" : "RUN"))),
};

/** Whether the worker that measures could do something that people wait for. Requests wait beside it, for seconds at most. */
async function othersWait(database: Database, { leaseWorker }: Job): Promise<boolean> {
  if (leaseWorker === null) return false;
  const [worker] = await database.select().from(workers).where(eq(workers.name, leaseWorker));
  if (!worker) return false;
  const waiting = and(
    notInArray(jobs.kind, ["MEASURE", "COMPLETE"]),
    isFree,
    isDue(worker.name),
    fits(worker.name, worker),
  );
  return (await database.select({ id: jobs.id }).from(jobs).where(waiting).limit(1)).length > 0;
}
