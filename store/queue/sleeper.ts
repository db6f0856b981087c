/**
 * A worker that is asleep has no process, but its row stays: what it can do is known, so nothing looks as if no worker were
 * there. Whoever starts it keeps the row alive and looks for work, on every announcement and every few seconds: for a job that
 * the worker could claim now, by the rules of claims, or a request to register a model that it has found.
 */
import { and, eq, isNotNull, isNull, lt, or, sql } from "drizzle-orm";
import { type Capabilities, jobKinds, soleJobKinds } from "../../schema/jobs.ts";
import { modelDownloads } from "../../schema/download-tables.ts";
import { type WorkerRow, foundModels, jobs, workers } from "../../schema/tables.ts";
import { isUnclaimed } from "../models/model-downloads.ts";
import type { Database } from "../postgres/database.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { fits, isDue, isFree } from "./claimable.ts";
import { leaseNameOf } from "./lease-names.ts";
import { type MostRuns, hasRoom } from "./turns.ts";

export interface Sleeper {
  /** Whether there is work for the worker, or its row is gone. Keeps the row alive otherwise. */
  isWanted(): Promise<boolean>;
  /** Returns when there may be new work since the last isWanted, after the timeout, or on the signal. Never throws for these. */
  waitForWork(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
}

export function sleeperOf(
  database: Database,
  notifications: Notifications,
  mostRuns: MostRuns,
): (id: string) => Sleeper {
  return (id) => {
    let seen = -1;
    return {
      async isWanted() {
        seen = notifications.jobNews(jobKinds);
        const mine = and(eq(workers.id, id), eq(workers.asleep, true));
        const alive = { lastSeenAt: sql`clock_timestamp()` };
        const [worker] = await database.update(workers).set(alive).where(mine).returning();
        return !worker || hasWork(database, worker, mostRuns);
      },
      waitForWork: ({ timeoutMs, signal }) =>
        notifications.waitForJobNews({ kinds: jobKinds, after: seen, timeoutMs, signal }),
    };
  };
}

async function hasWork(database: Database, worker: WorkerRow, mostRuns: MostRuns): Promise<boolean> {
  const jobOf = (name: string, can: Capabilities) =>
    database
      .select({ there: sql`1` })
      .from(jobs)
      .where(and(isFree, isDue(name), fits(name, can), hasRoom(mostRuns)))
      .limit(1);
  const { name, serving, kinds } = worker;
  const sole = jobOf(name, { ...worker, kinds: soleJobKinds.filter((kind) => kinds.includes(kind)) });
  const asked = jobOf(leaseNameOf("COMPLETE", name), {
    ...worker,
    kinds: kinds.filter((kind) => kind === "COMPLETE"),
    memoryBytes: serving?.memoryBytes ?? 0,
  });
  const found = await Promise.all([sole, asked, registrationFor(database, worker), aDownload(database)]);
  return found.some((rows) => rows.length > 0);
}

function aDownload(database: Database) {
  return database
    .select({ there: sql`1` })
    .from(modelDownloads)
    .where(isUnclaimed)
    .limit(1);
}

function registrationFor(database: Database, { name }: WorkerRow) {
  const unclaimed = or(isNull(foundModels.claimExpiresAt), lt(foundModels.claimExpiresAt, sql`clock_timestamp()`));
  return database
    .select({ there: sql`1` })
    .from(foundModels)
    .where(and(eq(foundModels.seenBy, name), isNotNull(foundModels.requestedAt), unclaimed))
    .limit(1);
}
