/**
 * Whose request is answered next. A worker answers many at once, so they are no turns of a worker (turns.ts); but a queue of one
 * project's must not keep another's first one waiting. So the requests of a project are counted, those that are being answered
 * first, then the others as they came, and lower numbers come first, whosever they are.
 */
import { type SQL, sql } from "drizzle-orm";
import { jobs } from "../../schema/tables.ts";
import type { Database } from "../postgres/database.ts";
import { isFree } from "./claimable.ts";

const isRequest = sql`${jobs.kind} = 'COMPLETE'`;

/** In SQL: of each free request its job's id, and the number that it has in its project (turn). */
export const requestTurns = sql`(
  select ${jobs.id} as id,
    row_number() over (partition by ${jobs.projectId} order by ${jobs.id}) + coalesce(have.requests, 0) as turn
  from ${jobs} left join (
    select ${jobs.projectId} as owner, count(*) as requests from ${jobs} where ${isRequest} and not ${isFree} group by 1
  ) as have on have.owner = ${jobs.projectId}
  where ${isRequest} and ${isFree})`;

/**
 * Requests that are claimed before this free one, if none is preferred.
 * @param rivals in SQL: of which jobs
 */
export async function requestsAhead(database: Database, id: number, rivals: SQL): Promise<number> {
  const [row] = await database.execute<{ ahead: number }>(sql`
    with waiting as materialized (select * from ${requestTurns} as request)
    select count(*)::float8 as ahead
    from (select * from waiting where id = ${id}) as own, waiting join ${jobs} on ${jobs.id} = waiting.id
    where (waiting.turn, waiting.id) < (own.turn, own.id) and ${rivals}`);
  return row?.ahead ?? 0;
}
