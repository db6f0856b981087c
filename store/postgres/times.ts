/** Times in SQL. They are Postgres' alone, so the clocks of workers and gateways need not agree. */
import { type SQL, sql } from "drizzle-orm";
import type { PgColumn } from "drizzle-orm/pg-core";

/** So long after this moment, or with a negative number before it. The moment goes on while a transaction waits for a lock. */
export const msFromNow = (ms: number): SQL => sql`clock_timestamp() + ${ms}::float8 * interval '1 millisecond'`;

/** So long after the transaction began: the same throughout it, so an index is searched with it. */
export const msFromStart = (ms: number | SQL): SQL => sql`now() + (${ms})::float8 * interval '1 millisecond'`;

/** Null for null. */
export const secondsFromStart = (seconds: number | SQL | PgColumn | null): SQL =>
  sql`now() + (${seconds})::float8 * interval '1 second'`;
