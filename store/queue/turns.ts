/**
 * Whose turn it is. Projects share the workers as evenly as they can: next is the project that has the fewest of them; of two
 * that have as many, the one that had them for less time lately (project_turns). So 200 runs of one project do not keep
 * another from its first, and a project that was alone for a while owes no more than some minutes. Within a project the
 * highest priority comes first, then the oldest job: a priority is the project's own word, and says nothing to others.
 *
 * Requests are not counted, and have an order of their own (request-turns.ts): a worker answers many beside its one job. Measurements come after everything else (speeds.ts).
 */
import { type SQL, and, lt, sql } from "drizzle-orm";
import { turnHalfLifeMs } from "../../schema/limits.ts";
import { projectTurns, projects } from "../../schema/project-tables.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Database, Executor, Transaction } from "../postgres/database.ts";
import { msFromNow } from "../postgres/times.ts";
import { usageFrom } from "../projects/usage.ts";
import { isFree } from "./claimable.ts";
import { requestsAhead } from "./request-turns.ts";

/** Runs that the whole service trains at once, at most; null for as many as there are workers. */
export type MostRuns = number | null;

const held = sql`${jobs.leaseWorker} is not null and not ${isFree}`;
const isRun = sql`${jobs.kind} = 'FINE_TUNE'`;

const isPromised = sql`exists (select from ${jobs} as other where other.gives_way_to = ${jobs.id})`;

/** What `seconds` of the time `at` count for now. A power of less is an error in Postgres. */
const countsNow = (seconds: SQL, at: SQL) =>
  sql`${seconds} * power(2, -least(extract(epoch from clock_timestamp() - ${at}) * 1000 / ${turnHalfLifeMs}::float8, 100))`;

const usedOf = countsNow(sql`${projectTurns.seconds}`, sql`${projectTurns.at}`);

/**
 * In SQL: a row for each project with its id, how many workers it has (held), for how many seconds it had some lately (used),
 * and how many more of its runs may be trained (room; null for any number).
 * @param without a job that is counted as if nobody held it, and with it promises to give way as if they had been kept
 */
export function standings(mostRuns: MostRuns, without: number | null = null): SQL {
  const counts =
    without === null
      ? held
      : sql`${jobs.id} <> ${without} and ((${held} and ${jobs.givesWayTo} is null) or ${isPromised})`;
  const ownRoom = sql`(${projects.quotas} ->> 'concurrentRuns')::float8 - coalesce(have.runs, 0)`;
  const room = sql`least(${ownRoom}, ${mostRuns}::float8 - (select count(*) from ${jobs} where ${counts} and ${isRun}))`;
  return sql`(
    select ${projects.id}, coalesce(have.jobs, 0)::int as held, coalesce(had.used, 0)::float8 as used, ${room} as room
    from ${projects}
    left join (
      select ${jobs.projectId}, count(*) as jobs, count(*) filter (where ${isRun}) as runs
      from ${jobs} where ${counts} and ${jobs.kind} <> 'COMPLETE' group by 1
    ) as have on have.project_id = ${projects.id}
    left join (select ${projectTurns.projectId}, sum(${usedOf}) as used from ${projectTurns} group by 1) as had
      on had.project_id = ${projects.id})`;
}

/**
 * In SQL: the jobs that are claimed next, of those that `may` be. Projects are asked in the order of their turns, and only until
 * there are enough, so that this takes as long with a long queue as with a short one, and locks no other job.
 */
export function nextJobs(may: SQL | undefined, most: number, mostRuns: MostRuns): SQL {
  return sql`(select * from ${standings(mostRuns)} as standing order by held, used, id) as project
    cross join lateral (
      select ${jobs.id} as id, ${jobs.kind} as kind, ${jobs.subject} as subject from ${jobs}
      where ${jobs.projectId} = project.id and ${asLikelyAsNot(and(may, sql`(not ${isRun} or coalesce(project.room > 0, true))`))}
      order by ${jobs.priority} desc, ${jobs.id} limit ${most} for update skip locked
    ) as job`;
}

/**
 * Of a condition on jsonb Postgres believes that hardly a job meets it, so it would read and sort a project's whole queue rather
 * than take the first of its index. What is within a case it takes for true of half of them.
 */
const asLikelyAsNot = (condition: SQL | undefined) => sql`(case when ${condition} then true else false end)`;

/** In SQL: whether no limit keeps workers from the job. */
export function hasRoom(mostRuns: MostRuns): SQL {
  return sql`(not ${isRun} or not exists (
    select from ${standings(mostRuns)} as standing where standing.id = ${jobs.projectId} and room <= 0))`;
}

/** Whether a worker has claimed a run that is more than may be trained: two that claim at once do not see each other. */
export async function isBeyondLimit(tx: Transaction, job: Job, mostRuns: MostRuns): Promise<boolean> {
  if (job.kind !== "FINE_TUNE") return false;
  const room = await roomFor(tx, job, mostRuns);
  return room !== null && room.left < 0;
}

/** How many more runs may be trained, and what limits them; null for any number. */
export interface Room {
  readonly left: number;
  readonly limit: number;
  readonly of: "project" | "service";
}

export async function roomFor(database: Executor, job: Pick<Job, "projectId">, most: MostRuns): Promise<Room | null> {
  const [row] = await database.execute<{ quota: number | null; own: number; all: number }>(sql`
    select (${projects.quotas} ->> 'concurrentRuns')::float8 as quota, have.own::float8, have.all::float8
    from ${projects}, (
      select count(*) as all, count(*) filter (where ${jobs.projectId} = ${job.projectId}) as own
      from ${jobs} where ${held} and ${isRun}
    ) as have where ${projects.id} = ${job.projectId}`);
  if (!row) return null;
  const rooms: Room[] = [];
  if (row.quota !== null) rooms.push({ left: row.quota - row.own, limit: row.quota, of: "project" });
  if (most !== null) rooms.push({ left: most - row.all, limit: most, of: "service" });
  return rooms.toSorted((a, b) => a.left - b.left)[0] ?? null;
}

/**
 * Free jobs that are claimed before this one, if every turn takes as long.
 * @param rivals in SQL: of which jobs; by default of those of its kind
 */
export async function jobsAhead(
  database: Database,
  job: Job,
  mostRuns: MostRuns,
  rivals = sql`${jobs.kind} = ${job.kind}`,
): Promise<number> {
  const { id, kind, projectId, priority } = job;
  const earlier = sql`(${jobs.priority}, -${jobs.id}) > (${priority}, -${id}::bigint)`;
  if (kind === "COMPLETE") return requestsAhead(database, id, sql`${rivals} and ${isFreeNow}`);
  if (kind === "MEASURE") return countOf(database, sql`${rivals} and ${earlier}`);
  const [row] = await database.execute<{ ahead: number }>(sql`
    with project as (
      select standing.*, coalesce(free.jobs, 0) as free
      from ${standings(mostRuns)} as standing
      left join (
        select ${jobs.projectId}, count(*) as jobs from ${jobs} where ${rivals} and ${isFreeNow} group by 1
      ) as free on free.project_id = standing.id
    ), mine as (
      select *, (select count(*) from ${jobs} where ${rivals} and ${isFreeNow}
        and ${jobs.projectId} = ${projectId} and ${earlier}) as rank
      from project where id = ${projectId}
    )
    select coalesce(max(mine.rank), 0)::float8 + coalesce(sum(least(
      project.free,
      greatest(mine.held + mine.rank - project.held + (case when (project.used, project.id) < (mine.used, mine.id) then 1 else 0 end), 0)
    )) filter (where project.id <> mine.id and coalesce(project.room > 0, true)), 0)::float8 as ahead
    from mine, project`);
  return row?.ahead ?? 0;
}

const isFreeNow = sql`(${isFree} and coalesce(${jobs.notBefore} <= clock_timestamp(), true))`;

async function countOf(database: Database, which: SQL): Promise<number> {
  const [row] = await database.execute<{ count: number }>(
    sql`select count(*)::float8 as count from ${jobs} where ${which} and ${isFreeNow}`,
  );
  return row?.count ?? 0;
}

/** In SQL: what `endTurns` reads of a job. */
export const turnColumns = sql`project_id, kind, claimed_at, lease_expires_at`;

/** A worker whose lease has expired without a word may have died at any moment since it was renewed. */
const hadFor = sql`greatest(extract(epoch from least(clock_timestamp(), lease_expires_at) - claimed_at), 0)::float8`;

/** Of jobs that are worker's time and nothing else; a run's is counted as it is trained, and an answer's is shared. */
const secondsOf = sql`case kind when 'EVALUATE' then 'EVALUATION_SECONDS' when 'MATERIALISE' then 'REBUILD_SECONDS' when 'EXPORT' then 'REBUILD_SECONDS' end`;

/**
 * In SQL: adds the time for which each of `ended` had a worker to what its project had, for its turns, and to what it uses.
 * @param ended a query for `turnColumns`, which may delete
 */
export function endTurns(ended: SQL): SQL {
  const { seconds, at } = projectTurns;
  return sql`with ended as (${ended}), had as materialized (
      select project_id, ${secondsOf} as counted, ${hadFor} as seconds from ended where claimed_at is not null
    ), used as (${usageFrom(sql`select project_id, counted, seconds from had where counted is not null`)})
    insert into ${projectTurns} (project_id, session, seconds, at)
    select project_id, pg_backend_pid(), seconds, clock_timestamp() from had
    on conflict (project_id, session) do update set seconds = ${countsNow(sql`${seconds}`, sql`${at}`)} + excluded.seconds, at = excluded.at`;
}

/** Of sessions that have ended: what they have counts next to nothing. Nobody waits for a session that has frozen. */
export async function forgetTurns(database: Database): Promise<void> {
  const old = database
    .select({ projectId: projectTurns.projectId, session: projectTurns.session })
    .from(projectTurns)
    .where(lt(projectTurns.at, msFromNow(-20 * turnHalfLifeMs)))
    .limit(1_000)
    .for("update", { skipLocked: true });
  await database.execute(
    sql`delete from ${projectTurns} where (${projectTurns.projectId}, ${projectTurns.session}) in ${old}`,
  );
}
