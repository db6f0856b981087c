/** Which jobs a worker may claim, in SQL. waiting.ts explains the same rules to people, and a test holds the two together. */
import { type SQL, and, eq, gt, inArray, isNull, lt, or, sql } from "drizzle-orm";
import type { Capabilities } from "../../schema/jobs.ts";
import { leaseMs, leaveToOthersMs, retryMs } from "../../schema/limits.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Executor } from "../postgres/database.ts";
import { msFromNow } from "../postgres/times.ts";

/**
 * No lease is as long. One that seems to be was given before Postgres' clock was set back, and not renewed since: its worker
 * is dead, and the job would wait for as long as the clock went back.
 */
const noLeaseMs = 75 * leaseMs;

export const isFree = or(
  isNull(jobs.leaseExpiresAt),
  lt(jobs.leaseExpiresAt, sql`clock_timestamp()`),
  gt(jobs.leaseExpiresAt, msFromNow(noLeaseMs)),
);

/** Whether the lease of a job has not expired. */
export async function isHeld(database: Executor, { id }: Pick<Job, "id">): Promise<boolean> {
  const [job] = await database
    .select({ isFree: sql<boolean>`${isFree}` })
    .from(jobs)
    .where(eq(jobs.id, id));
  return job?.isFree === false;
}

/** How long the job still waits after a failed attempt, in milliseconds; negative when that is over, null without one. */
const leftMs = sql`(extract(epoch from ${jobs.notBefore} - clock_timestamp()) * 1000)::float8`;
/** No wait is longer than the longest, so what seems to be is over: the clock was set back. */
export const waitsMs = sql<
  number | null
>`case when ${leftMs} > ${2 * retryMs.longest}::float8 then 0 else ${leftMs} end`;

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

/**
 * In SQL: whether there is any job, held or free, that the worker could do. Of a long queue few jobs have needs of their own, so this
 * looks at one for each kind and needs, by an index. A worker that can do none of it would look through all of it.
 */
export function fitsAny(worker: string, capabilities: Capabilities): SQL {
  const place = sql`${jobs.kind}, md5(${jobs.needs}::text)`;
  const first = (which: SQL) =>
    sql`(select ${jobs.kind}, ${jobs.needs} from ${jobs} where ${which} order by ${place} limit 1)`;
  const after = sql`(${place}) > (found.kind, md5(found.needs::text))`;
  return sql`exists (
    with recursive found as (
      ${first(sql`true`)}
      union all
      select more.* from found cross join lateral ${first(after)} as more
    )
    select from found as jobs where ${fits(worker, capabilities)})`;
}
