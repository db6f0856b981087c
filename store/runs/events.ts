/** The history of a run, in words. */
import { and, eq, sql } from "drizzle-orm";
import { events } from "../../schema/tables.ts";
import type { Transaction } from "../postgres/database.ts";

/** Whether the run has an event of a type. */
export async function hasEvent(tx: Transaction, fineTuneId: string, type: string): Promise<boolean> {
  const such = and(eq(events.fineTuneId, fineTuneId), eq(events.type, type));
  return (await tx.select({ at: events.sequence }).from(events).where(such).limit(1)).length > 0;
}

/** The caller holds the lock on the run's row, so that the numbers have neither gaps nor duplicates. */
export async function addEvent(tx: Transaction, fineTuneId: string, type: string, message: string): Promise<void> {
  const next = tx
    .select({ sequence: sql<number>`coalesce(max(${events.sequence}), 0) + 1` })
    .from(events)
    .where(eq(events.fineTuneId, fineTuneId));
  await tx.insert(events).values({ fineTuneId, sequence: sql`(${next})`, type, message });
}
