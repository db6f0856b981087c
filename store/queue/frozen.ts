/**
 * A process that freezes, or whose machine is lost, in the middle of a transaction keeps the rows that it locked: SKIP LOCKED
 * skips its job, and others wait for its rows. Postgres ends a transaction that is idle (database.ts), but not one that waits
 * for its client within a statement: the driver sends a statement, reads its parameters' types, and then sends their values,
 * and in between the session counts as active. So whoever looks for work ends such sessions.
 *
 * Postgres 17 has transaction_timeout for this. It would also limit transactions that make progress, older servers refuse
 * it, and a pooler may not pass it on.
 */
import { sql } from "drizzle-orm";
import { applicationName } from "../postgres/connection.ts";
import type { Database } from "../postgres/database.ts";
import { msFromNow } from "../postgres/times.ts";

/** Ends the sessions that have locked something and have waited for their client for this long; how many there were. */
export async function endFrozenSessions(database: Database, silentMs: number): Promise<number> {
  const ended = await database.execute(sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and usename = current_user and application_name = ${applicationName}
      and backend_xid is not null and wait_event_type = 'Client'
      and state_change < ${msFromNow(-silentMs)}`);
  return ended.length;
}
