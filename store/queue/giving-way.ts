/**
 * Whether a run that has had its slice of time gives way: whether a job waits that a worker would take before it (turns.ts), as
 * if the run's worker were free, and that no idle worker will take. The worker that asks is the one that will take it.
 *
 * Many workers may ask about the same job. Each says in its own job's row for which one it gives way, and the index there lets
 * one say so.
 */
import { type SQL, and, sql } from "drizzle-orm";
import type { Capabilities } from "../../schema/jobs.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Database } from "../postgres/database.ts";
import { fits, isDue, isFree } from "./claimable.ts";
import { type Lease, jobOf, leaseLost } from "./leases.ts";
import { type MostRuns, standings } from "./turns.ts";
import { hasIdle } from "./waiting.ts";
import { liveWorkers } from "./workers.ts";

export interface Asker {
  readonly worker: string;
  readonly capabilities: Capabilities;
}

/** @throws LEASE_LOST */
export async function giveWay(database: Database, lease: Lease, asker: Asker, mostRuns: MostRuns): Promise<boolean> {
  const [mine] = await database.select().from(jobs).where(jobOf(lease));
  if (!mine) throw leaseLost(lease);
  if (mine.givesWayTo !== null) return true;
  const workers = await liveWorkers(database);
  const first = await jobsBefore(database, mine, asker, mostRuns);
  const waiting = first.find(({ kind, needs }) => !hasIdle(workers, kind, needs));
  return waiting !== undefined && (await say(database, lease, waiting));
}

type Waiting = Pick<Job, "id" | "kind" | "needs">;

/** As many as there may be idle workers for, and more. */
const mostAsked = 8;

async function jobsBefore(database: Database, mine: Job, asker: Asker, mostRuns: MostRuns): Promise<Waiting[]> {
  const { worker, capabilities } = asker;
  const elapsed = sql`coalesce(extract(epoch from clock_timestamp() - ${mine.claimedAt?.toISOString() ?? null}::timestamptz), 0)`;
  const isBefore = sql`(project.held, project.used) < (own.held, own.used + ${elapsed}::float8)`;
  const isHigher = sql`project.id = own.id and ${jobs.priority} > ${mine.priority}`;
  const may = and(isFree, isDue(worker), fits(worker, capabilities), hasRoomIn(sql`project.room`), unasked);
  const rows = await database.execute<{ id: string; kind: Job["kind"]; needs: Job["needs"] }>(sql`
    select job.* from (select * from ${standings(mostRuns, mine.id)} as standing order by held, used, id) as project
    join ${standings(mostRuns, mine.id)} as own on own.id = ${mine.projectId}
    cross join lateral (
      select ${jobs.id} as id, ${jobs.kind} as kind, ${jobs.needs} as needs from ${jobs}
      where ${jobs.projectId} = project.id and ((${isBefore} and project.id <> own.id) or (${isHigher})) and ${may}
      order by ${jobs.priority} desc, ${jobs.id} limit ${mostAsked}
    ) as job
    limit ${mostAsked}`);
  return rows.map(({ id, kind, needs }) => ({ id: Number(id), kind, needs }));
}

const hasRoomIn = (room: SQL) => sql`(${jobs.kind} <> 'FINE_TUNE' or coalesce(${room} > 0, true))`;

const unasked = sql`not exists (select from ${jobs} as other where other.gives_way_to = ${jobs.id})`;

async function say(database: Database, lease: Lease, waiting: Waiting): Promise<boolean> {
  try {
    const said = database.update(jobs).set({ givesWayTo: waiting.id }).where(jobOf(lease));
    return (await said.returning({ id: jobs.id })).length > 0;
  } catch (error) {
    if (isTaken(error)) return false;
    throw error;
  }
}

/** Another worker gives way for the same job. */
function isTaken(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error && "code" in cause && cause.code === "23505";
}
