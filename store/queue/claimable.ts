/** Which jobs a worker may claim, in SQL. waiting.ts explains the same rules to people, and a test holds the two together. */
import { and, eq, gt, inArray, isNull, lt, or, sql } from "drizzle-orm";
import type { Capabilities } from "../../schema/jobs.ts";
import { leaveToOthersMs } from "../../schema/limits.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Executor } from "../postgres/database.ts";

/** Time is Postgres' alone, so the clocks of the workers need not agree. */
export const inMs = (ms: number) => sql`clock_timestamp() + ${ms} * interval '1 millisecond'`;

export const isFree = or(isNull(jobs.leaseExpiresAt), lt(jobs.leaseExpiresAt, sql`clock_timestamp()`));

/** Whether the lease of a job has not expired. */
export async function isHeld(database: Executor, { id }: Pick<Job, "id">): Promise<boolean> {
  const held = and(eq(jobs.id, id), gt(jobs.leaseExpiresAt, sql`clock_timestamp()`));
  return (await database.select({ id: jobs.id }).from(jobs).where(held)).length > 0;
}

/** How long the job still waits after a failed attempt, in milliseconds; negative when that is over, null without one. */
export const waitsMs = sql<number | null>`(extract(epoch from ${jobs.notBefore} - clock_timestamp()) * 1000)::float8`;

/** After a failed attempt it waits, and longer for the worker that failed. */
export function isDue(worker: string) {
  const longer = sql`case when ${jobs.failedBy} = ${worker} then ${leaveToOthersMs}::float8 else 0 end`;
  return sql`coalesce(${waitsMs} + ${longer} <= 0, true)`;
}

/** The lists of a worker contain those of the job; a list that the worker does not know is one that it lacks. */
export function fits(worker: string, { kinds, memoryBytes, families, models, precisions }: Capabilities) {
  return and(
    inArray(jobs.kind, [...kinds]),
    sql`${JSON.stringify({ families, models, precisions, workers: [worker] })}::jsonb @> (${jobs.needs} - 'memoryBytes')`,
    sql`coalesce((${jobs.needs} ->> 'memoryBytes')::bigint, 0) <= ${memoryBytes}`,
  );
}
