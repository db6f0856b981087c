/**
 * What a transaction announces when it commits. A notification is a hint to look, never the news itself. It is sent in the
 * transaction that made the change: postgres.js' own notify would use another connection, and a rollback would not stop it.
 */
import { sql } from "drizzle-orm";
import type { Transaction } from "./database.ts";

export const channels = { fineTunes: "steplog_fine_tunes", jobs: "steplog_jobs" } as const;

export async function wakeWatchers(tx: Transaction, fineTuneId: string): Promise<void> {
  await tx.execute(sql`select pg_notify(${channels.fineTunes}, ${fineTuneId})`);
}

export async function wakeWorkers(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_notify(${channels.jobs}, '')`);
}
