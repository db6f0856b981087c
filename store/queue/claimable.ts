/** Which jobs a worker may claim, in SQL. waiting.ts explains the same rules to people, and a test holds the two together. */
import { and, inArray, isNull, lt, or, sql } from "drizzle-orm";
import type { Capabilities } from "../../schema/jobs.ts";
import { jobs } from "../../schema/tables.ts";

export const isFree = or(isNull(jobs.leaseExpiresAt), lt(jobs.leaseExpiresAt, sql`clock_timestamp()`));

/** The lists of a worker contain those of the job; a list that the worker does not know is one that it lacks. */
export function fits({ kinds, memoryBytes, ...lists }: Capabilities) {
  return and(
    inArray(jobs.kind, [...kinds]),
    sql`${JSON.stringify(lists)}::jsonb @> (${jobs.needs} - 'memoryBytes')`,
    sql`coalesce((${jobs.needs} ->> 'memoryBytes')::bigint, 0) <= ${memoryBytes}`,
  );
}
