/**
 * What every change of a fine-tune does besides: it adds to the run's story, and it wakes those who watch. Both happen
 * in the change's own transaction. (postgres.js' own notify would send on another connection, rolled back or not.)
 */
import { eq, sql } from "drizzle-orm";
import { events } from "../../schema/tables.ts";
import type { Transaction } from "../postgres/database.ts";

export const channels = { fineTunes: "steplog_fine_tunes", jobs: "steplog_jobs" } as const;

/** The caller holds the fine-tune's row, so that the numbers have neither gaps nor doubles. */
export async function tell(tx: Transaction, fineTuneId: string, type: string, message: string): Promise<void> {
  const next = tx
    .select({ sequence: sql<number>`coalesce(max(${events.sequence}), 0) + 1` })
    .from(events)
    .where(eq(events.fineTuneId, fineTuneId));
  await tx.insert(events).values({ fineTuneId, sequence: sql`(${next})`, type, message });
}

export async function wakeWatchers(tx: Transaction, fineTuneId: string): Promise<void> {
  await tx.execute(sql`select pg_notify(${channels.fineTunes}, ${fineTuneId})`);
}

export async function wakeWorkers(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_notify(${channels.jobs}, '')`);
}
