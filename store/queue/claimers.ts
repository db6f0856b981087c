/**
 * Claims. A worker may have several lanes that look for work at once: each has a claimer of its own, so that news of work wakes
 * all of them, whichever looked last.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type SQL, type WithSubquery, and, asc, eq, inArray, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type Capabilities, type JobKind, jobKinds } from "../../schema/jobs.ts";
import type { Wanted } from "../../schema/states.ts";
import { liveMs } from "../../schema/limits.ts";
import { type Job, jobs, workers } from "../../schema/tables.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { msFromNow } from "../postgres/times.ts";
import { fits, fitsAny, isDue, isFree } from "./claimable.ts";
import { endFrozenSessions } from "./frozen.ts";
import { leaseNameOf } from "./lease-names.ts";
import { type Lease, jobOf, lockJob } from "./leases.ts";
import { requestTurns } from "./request-turns.ts";
import { type MostRuns, isBeyondLimit, nextJobs } from "./turns.ts";

export interface ClaimedJob
  extends
    Lease,
    Pick<Job, "kind" | "subject" | "payload" | "needs" | "attempts" | "lastError" | "createdAt" | "traceparent"> {}

export interface Claim {
  readonly worker: string;
  readonly leaseMs: number;
  readonly capabilities: Capabilities;
  /**
   * Of requests: hashes of base models. Those about them come before those about others, for as long as these have not waited
   * for `patienceMs`. For as long they are left to another worker that is warm.
   */
  readonly prefer?: { readonly bases: readonly string[]; readonly patienceMs: number };
}

export interface Claimer {
  /** Free jobs that the worker can run, at most so many, under new leases. */
  claimJobs(claim: Claim, most: number): Promise<ClaimedJob[]>;
  /** Returns when there may be new work since the last claimJobs, after the timeout, or on the signal. Never throws for these. */
  waitForJob(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<void>;
}

/** What a kind of job adds to the moves of the queue. The job's row is locked. */
export interface JobHooks {
  /**
   * What a claim changes besides the jobs, in its own statement, where another transaction would take too long.
   * @param subjects in SQL: a query for those of the jobs that are claimed
   */
  claiming?(database: Database, subjects: SQL): WithSubquery[];
  /** Is not called where there is `claiming`. `done`, here and below, ends the job: nobody is to work on it. */
  claimed?(tx: Transaction, job: Job, worker: string): Promise<"done" | "go on">;
  released?(tx: Transaction, job: Job): Promise<"done" | "go on">;
  /** Of a job that is to be repeated. */
  failed?(tx: Transaction, job: Job, message: string): Promise<"done" | "repeat">;
  /** Of a held job that cannot go on: tells people what its worker waits for. */
  waits?(tx: Transaction, job: Job, message: string): Promise<void>;
  /** In the order of the jobs, which are not locked. RUN when left out. */
  wanted?(database: Database, jobs: readonly Job[]): Promise<readonly Wanted[]>;
}

type Hooks = Readonly<Record<JobKind, JobHooks>>;

export interface QueueRules {
  readonly hooks: Hooks;
  readonly mostRuns: MostRuns;
}

export function claimersOf(database: Database, notifications: Notifications, rules: QueueRules): () => Claimer {
  const { hooks, mostRuns } = rules;
  /**
   * Null when nobody is to work on the job, or not now, or when it has ended, or went to another worker, since it was claimed.
   */
  const started = async (job: Job, worker: string): Promise<ClaimedJob | null> => {
    const { id, kind, subject, payload, needs, attempts, leaseToken: token, lastError, createdAt, traceparent } = job;
    const start = async (tx: Transaction) => {
      const [held, isBeyond] = await Promise.all([lockJob(tx, { id, token }), isBeyondLimit(tx, job, mostRuns)]);
      if (isBeyond) return leave(tx, held);
      const next = await hooks[kind].claimed?.(tx, held, worker);
      if (next === "done") await tx.delete(jobs).where(jobOf({ id, token }));
      return next !== "done";
    };
    const isMine = hooks[kind].claiming ? true : await database.transaction(start).catch(ifLost(false));
    const claimed = { id, token, kind, subject, payload, needs, attempts, lastError, createdAt, traceparent };
    return isMine ? claimed : null;
  };
  return () => {
    /** What this claimer last looked for, and the number of the news that had arrived by then. */
    let kinds: readonly JobKind[] = jobKinds;
    let seen = -1;
    return {
      async claimJobs(claim, most) {
        kinds = claim.capabilities.kinds;
        seen = notifications.jobNews(kinds);
        const found = await claimNext(database, claim, most, rules);
        const claimed = found.length > 0 ? found : await claimThawed(database, claim, most, rules);
        const mine = await Promise.all(claimed.map((job) => started(job, claim.worker)));
        return mine.filter((job) => job !== null);
      },
      waitForJob: ({ timeoutMs, signal }) => notifications.waitForJobNews({ kinds, after: seen, timeoutMs, signal }),
    };
  };
}

/** The job is as if it had not been claimed, but for its token. */
async function leave(tx: Transaction, { id, leaseToken, attempts }: Job): Promise<false> {
  const free = { leaseWorker: null, leaseExpiresAt: null, claimedAt: null };
  const before = { leaseToken: leaseToken + 1, attempts: Math.max(attempts - 1, 0) };
  await tx
    .update(jobs)
    .set({ ...free, ...before })
    .where(eq(jobs.id, id));
  return false;
}

/** Measurements come after everything else, whosever it is. */
async function claimNext(database: Database, claim: Claim, most: number, rules: QueueRules): Promise<Job[]> {
  const { kinds } = claim.capabilities;
  const claimOf = (some: readonly JobKind[]) =>
    claimFirst(database, { ...claim, capabilities: { ...claim.capabilities, kinds: some } }, most, rules);
  const others = kinds.filter((kind) => kind !== "MEASURE");
  const claimed = others.length > 0 ? await claimOf(others) : [];
  return claimed.length > 0 || others.length === kinds.length ? claimed : claimOf(["MEASURE"]);
}

/**
 * One statement, so that a worker that freezes has claimed the jobs, under leases that expire, or has not. The rows of a CTE
 * that locks are computed once.
 */
async function claimFirst(database: Database, claim: Claim, most: number, rules: QueueRules): Promise<Job[]> {
  const { worker, leaseMs, capabilities } = claim;
  const { hooks, mostRuns } = rules;
  const may = and(isFree, isDue(worker), fits(worker, capabilities));
  const free = database.$with("free").as(
    claim.prefer
      ? preferredJobs(database, claim, and(may, isNotLeft(claim)), most)
      : database
          .select(freeJob)
          .from(nextJobs(may, most, mostRuns))
          .where(fitsAny(worker, capabilities))
          .limit(most),
  );
  const next = { leaseToken: sql`${jobs.leaseToken} + 1`, attempts: sql`${jobs.attempts} + 1` };
  // Requests, many of which a worker answers at once, are no turns.
  const turn = { claimedAt: claim.prefer ? null : sql`clock_timestamp()`, givesWayTo: null };
  const lease = { leaseWorker: worker, leaseExpiresAt: msFromNow(leaseMs), ...turn };
  const besides = capabilities.kinds.flatMap(
    (kind) => hooks[kind].claiming?.(database, sql`(select subject from free where kind = ${kind})`) ?? [],
  );
  const claimed = await database
    .with(free, ...besides)
    .update(jobs)
    .set({ ...next, ...lease })
    .where(inArray(jobs.id, sql`(select id from free)`))
    .returning();
  return claimed.toSorted((a, b) => a.id - b.id);
}

const freeJob = {
  id: sql<number>`job.id`.as("id"),
  kind: sql<JobKind>`job.kind`.as("kind"),
  subject: sql<string>`job.subject`.as("subject"),
};

function preferredJobs(database: Database, claim: Claim, may: SQL | undefined, most: number) {
  const { id, kind, subject } = jobs;
  return database
    .select({
      id: sql<number>`${id}`.as("id"),
      kind: sql<JobKind>`${kind}`.as("kind"),
      subject: sql<string>`${subject}`.as("subject"),
    })
    .from(jobs)
    .innerJoin(sql`${requestTurns} as waiting`, sql`waiting.id = ${id}`)
    .where(may)
    .orderBy(...preferred(claim), sql`waiting.turn`, asc(id))
    .limit(most)
    .for("update", { of: jobs, skipLocked: true });
}

const baseOf = sql`${jobs.needs} #>> '{models,0,hash}'`;

/** In SQL: whether the job waits for others no more, and whether the worker prefers it. */
function preferences({ bases, patienceMs }: NonNullable<Claim["prefer"]>) {
  const isPreferred = sql`coalesce(${baseOf} = any(${sql.param(`{${bases.join(",")}}`)}::text[]), false)`;
  return { isOld: sql`${jobs.createdAt} < ${msFromNow(-patienceMs)}`, isPreferred };
}

function preferred({ prefer }: Claim) {
  if (!prefer) return [];
  const { isOld, isPreferred } = preferences(prefer);
  return [sql`(${isOld} or ${isPreferred}) desc`];
}

/** Within the same patience a job is left to another worker that has its base warm and says that it has places. */
function isNotLeft({ worker, prefer }: Claim) {
  if (!prefer) return undefined;
  const { isOld, isPreferred } = preferences(prefer);
  const { name, lastSeenAt, serving } = workers;
  return sql`(${isOld} or ${isPreferred} or not exists (select from ${workers} where ${name} || ${leaseNameOf("COMPLETE", "")} <> ${worker}
    and ${lastSeenAt} > ${msFromNow(-liveMs)} and (${serving} ->> 'requests')::int < (${serving} ->> 'places')::int
    and ${serving} -> 'warm' @> jsonb_build_array(jsonb_build_object('base', ${baseOf}))))`;
}

/** A session takes a moment to end. */
const endingMs = 100;

/** Claims again if a frozen process may have hidden a job. By the time that its lease has expired, half of one is over. */
async function claimThawed(database: Database, claim: Claim, most: number, rules: QueueRules): Promise<Job[]> {
  if ((await endFrozenSessions(database, claim.leaseMs / 2)) === 0) return [];
  await delay(endingMs);
  return claimNext(database, claim, most, rules);
}

function ifLost<Value>(value: Value) {
  return (error: unknown): Value => {
    if (error instanceof SteplogError && error.code === "LEASE_LOST") return value;
    throw error;
  };
}
