/** The workers that are running, as they report themselves every few seconds. */
import { and, asc, eq, gt, lt, sql } from "drizzle-orm";
import { forgetWorkerMs, liveMs } from "../../schema/limits.ts";
import { workerPools } from "../../schema/service-tables.ts";
import type { Wanted } from "../../schema/states.ts";
import { type Job, type WorkerRow, jobs, workers } from "../../schema/tables.ts";
import type { Database, Executor } from "../postgres/database.ts";
import { msFromNow } from "../postgres/times.ts";
import { forgetMeasures } from "../speeds.ts";
import { forgetTurns } from "./turns.ts";

export type WorkerReport = Omit<WorkerRow, "serving" | "heeds" | "pool" | "asleep" | "startedAt" | "lastSeenAt"> &
  Partial<Pick<WorkerRow, "serving" | "heeds" | "pool">>;

export interface LiveWorker extends WorkerRow {
  /** The job that it holds. */
  readonly job: Pick<Job, "kind" | "subject" | "projectId"> | null;
}

export interface Workers {
  /** Says that a worker is alive, and what it can do now. */
  report(worker: WorkerReport): Promise<void>;
  /** Instead of `remove`, by a worker that somebody starts again when there is work for it (sleeper.ts). */
  fallAsleep(id: string): Promise<void>;
  /** Called by a worker that stops. One that dies is no longer listed after liveMs. */
  remove(id: string): Promise<void>;
  /** The live workers, those that are asleep too, the longest running first. */
  list(): Promise<LiveWorker[]>;
}

/** @param forget called with every report, to delete what is past its time */
export function workersOf(database: Database, forget: () => Promise<void>): Workers {
  return {
    async report(worker) {
      const seen = { ...worker, asleep: false, lastSeenAt: sql`clock_timestamp()` };
      await database.insert(workers).values(seen).onConflictDoUpdate({ target: workers.id, set: seen });
      if (typeof worker.pool === "string") await lookFor(database, worker.pool, worker);
      await database.delete(workers).where(lt(workers.lastSeenAt, msFromNow(-forgetWorkerMs)));
      await forgetMeasures(database);
      await forgetTurns(database);
      await forget();
    },
    async fallAsleep(id) {
      const [row] = await database.select().from(workers).where(eq(workers.id, id));
      const serving = row?.serving ? { ...row.serving, usedBytes: 0, requests: 0, warm: [] } : null;
      await database
        .update(workers)
        .set({ asleep: true, serving, lastSeenAt: sql`clock_timestamp()` })
        .where(eq(workers.id, id));
    },
    async remove(id) {
      await database.delete(workers).where(eq(workers.id, id));
    },
    list: () => liveWorkers(database),
  };
}

/** What requests get while a run needs memory is less than what they get in the end, so of what is told at one time the most counts. */
async function lookFor(database: Database, name: string, worker: WorkerReport): Promise<void> {
  const { kinds, families, precisions, models, memoryBytes, serving } = worker;
  const can = { kinds, families, precisions, models, memoryBytes };
  const told = sql`excluded.serving_bytes`;
  const most = sql`case when ${workerPools.seenAt} > ${msFromNow(-liveMs)} then greatest(${workerPools.servingBytes}, ${told}) else ${told} end`;
  const seenAt = sql`clock_timestamp()`;
  await database
    .insert(workerPools)
    .values({ name, ...can, servingBytes: serving?.memoryBytes ?? 0, seenAt })
    .onConflictDoUpdate({ target: workerPools.name, set: { ...can, servingBytes: most, seenAt } });
}

/** Whether a worker stops when a run that it trains is wanted so. */
export async function heeds(database: Executor, name: string, wanted: Wanted): Promise<boolean> {
  const such = and(eq(workers.name, name), sql`${workers.heeds} @> ${JSON.stringify([wanted])}::jsonb`);
  return (await database.select({ id: workers.id }).from(workers).where(such).limit(1)).length > 0;
}

/** The queue knows which job a worker holds, so the worker need not report it. */
export async function liveWorkers(database: Executor): Promise<LiveWorker[]> {
  const held = and(eq(jobs.leaseWorker, workers.name), gt(jobs.leaseExpiresAt, sql`clock_timestamp()`));
  const rows = await database
    .select({ worker: workers, kind: jobs.kind, subject: jobs.subject, projectId: jobs.projectId })
    .from(workers)
    .leftJoin(jobs, held)
    .where(gt(workers.lastSeenAt, msFromNow(-liveMs)))
    .orderBy(asc(workers.startedAt), asc(workers.id));
  return rows.map(({ worker, kind, subject, projectId }) => ({
    ...worker,
    job: kind !== null && subject !== null && projectId !== null ? { kind, subject, projectId } : null,
  }));
}
