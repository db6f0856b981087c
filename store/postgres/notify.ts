/**
 * What a transaction announces when it commits. A notification is a hint to look, never the news itself. It is sent in the
 * transaction that made the change: postgres.js' own notify would use another connection, and a rollback would not stop it.
 */
import { sql } from "drizzle-orm";
import type { JobKind } from "../../schema/jobs.ts";
import type { Transaction } from "./database.ts";

/** The first one tells of completions too: a listener of the release before knows none of their ids. */
export const channels = { fineTunes: "steplog_fine_tunes", jobs: "steplog_jobs" } as const;

/** @param id of a run or a completion */
export async function wakeWatchers(tx: Transaction, id: string): Promise<void> {
  await wakeWatchersOf(tx, [id]);
}

export async function wakeWatchersOf(tx: Transaction, ids: readonly string[]): Promise<void> {
  const all = JSON.stringify(ids);
  await tx.execute(
    sql`select pg_notify(${channels.fineTunes}, id) from jsonb_array_elements_text(${all}::jsonb) as id`,
  );
}

/**
 * A process of an earlier release announces no kind, and hears of any.
 * @param kind null for work that is no job
 */
export async function wakeWorkers(tx: Transaction, kind: JobKind | null): Promise<void> {
  await tx.execute(sql`select pg_notify(${channels.jobs}, ${kind ?? ""}::text)`);
}
