/**
 * When a job will be claimed, by playing the claims to come: whenever a worker is free, it takes the job that the rules of
 * turns.ts give it, for as long as that one is expected to take.
 */
import { and, sql } from "drizzle-orm";
import { soleJobKinds } from "../../schema/jobs.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Database } from "../postgres/database.ts";
import { isFree } from "./claimable.ts";
import { type MostRuns, standings } from "./turns.ts";
import { ableTo } from "./waiting.ts";
import { type LiveWorker, liveWorkers } from "./workers.ts";

export type HeldJob = Pick<Job, "kind" | "subject">;

/** Seconds that a job will still take, held by a worker or not; Infinity where nobody knows. */
type SecondsOf = (job: HeldJob, isHeld: boolean) => Promise<number>;

/** With more claims before it nobody knows: each of those jobs may end early, or be cancelled. */
const mostClaims = 20;

/** A worker, when it is free, and the project whose job it has until then. */
interface Busy {
  readonly worker: LiveWorker;
  freeIn: number;
  project: Standing | undefined;
  isRun: boolean;
}

interface Standing {
  readonly id: string;
  held: number;
  used: number;
  /** How many more of its runs may be trained; null for any number. */
  room: number | null;
  readonly queue: Waiting[];
}

type Waiting = Pick<Job, "id" | "kind" | "subject" | "needs">;

/** Seconds until a worker takes a free job; null where that is not known. */
export async function waitForTurn(
  database: Database,
  job: Job,
  mostRuns: MostRuns,
  secondsOf: SecondsOf,
): Promise<number | null> {
  const projects = await readStandings(database, mostRuns);
  const busy = await readWorkers(database, projects, secondsOf);
  for (let claims = 0; claims <= mostClaims; claims++) {
    const next = nextClaim(busy, projects);
    if (!next) return null;
    const { place, project, taken } = next;
    if (taken.id === job.id) return place.freeIn;
    project.queue.splice(project.queue.indexOf(taken), 1);
    hold(place, project, taken.kind === "FINE_TUNE", await secondsOf(taken, false));
  }
  return null;
}

/** The first worker to be free that finds something to do; one that does not waits for what others end. */
function nextClaim(busy: readonly Busy[], projects: readonly Standing[]) {
  for (const place of busy.toSorted((a, b) => a.freeIn - b.freeIn)) {
    if (place.freeIn === Infinity) return null;
    // By now, those that were free before have found nothing.
    for (const one of busy) one.freeIn = Math.max(one.freeIn, place.freeIn);
    release(place);
    const found = firstFor(place.worker, projects);
    if (found) return { place, ...found };
  }
  return null;
}

function firstFor(worker: LiveWorker, projects: readonly Standing[]) {
  const inTurn = projects.toSorted((a, b) => a.held - b.held || a.used - b.used || (a.id < b.id ? -1 : 1));
  for (const project of inTurn) {
    const mayTrain = project.room === null || project.room > 0;
    const taken = project.queue.find(
      ({ kind, needs }) => (mayTrain || kind !== "FINE_TUNE") && ableTo([worker], kind, needs).length > 0,
    );
    if (taken) return { project, taken };
  }
  return null;
}

function hold(place: Busy, project: Standing, isRun: boolean, seconds: number): void {
  Object.assign(place, { project, isRun, freeIn: place.freeIn + seconds });
  project.held += 1;
  project.used += Number.isFinite(seconds) ? seconds : 0;
  if (isRun && project.room !== null) project.room -= 1;
}

function release(place: Busy): void {
  const { project, isRun } = place;
  if (!project) return;
  project.held -= 1;
  if (isRun && project.room !== null) project.room += 1;
  place.project = undefined;
}

async function readStandings(database: Database, mostRuns: MostRuns): Promise<Standing[]> {
  const kinds = sql.param(`{${soleJobKinds.filter((kind) => kind !== "MEASURE").join(",")}}`);
  const due = sql`coalesce(${jobs.notBefore} <= clock_timestamp(), true)`;
  const rows = await database.execute<{
    project: string;
    held: number;
    used: number;
    room: number | null;
    queue: Waiting[];
  }>(sql`
    select project.id as project, project.held, project.used, project.room, coalesce((
      select jsonb_agg(to_jsonb(job) order by job.priority desc, job.id) from (
        select ${jobs.id} as id, ${jobs.kind} as kind, ${jobs.subject} as subject, ${jobs.needs} as needs,
          ${jobs.priority} as priority
        from ${jobs}
        where ${jobs.projectId} = project.id and ${and(sql`${jobs.kind} = any(${kinds}::text[])`, isFree, due)}
        order by ${jobs.priority} desc, ${jobs.id} limit ${mostClaims + 1}
      ) as job), '[]') as queue
    from ${standings(mostRuns)} as project`);
  return rows.map(({ project, ...row }) => ({ id: project, ...row }));
}

async function readWorkers(database: Database, projects: readonly Standing[], secondsOf: SecondsOf): Promise<Busy[]> {
  const workers = await liveWorkers(database);
  return Promise.all(
    workers.map(async (worker) => ({
      worker,
      freeIn: worker.job ? await secondsOf(worker.job, true) : 0,
      project: projects.find(({ id }) => id === worker.job?.projectId),
      isRun: worker.job?.kind === "FINE_TUNE",
    })),
  );
}
