/**
 * The life of a completion, and the only code that changes its status.
 *
 * - QUEUED: stored together with its job; waits for a worker that can answer it, until `start_by`.
 * - RUNNING: a worker has claimed it. When that worker stops or dies, the completion stays RUNNING; the next one has prompt,
 *   seed and the pieces so far, and goes on after them. It fails when there is none for `abandonedMs`.
 * - SUCCEEDED: all choices have ended, or all rows are scored. FAILED: it cannot be answered; the error explains. CANCELLED:
 *   ended on request, or because whoever waited for it has gone. These three are final, and the job is gone.
 *
 *     create -> QUEUED -- claim --> RUNNING -- end --> SUCCEEDED, FAILED, CANCELLED
 *                 |                    claim, release and failed attempt: it stays RUNNING
 *                 +-- cancel --> CANCELLED;  nobody begins, or goes on, in time --> FAILED
 *
 * `wanted` is RUN or CANCEL, as for a run. It counts as CANCEL too once `attended_until` has passed. The worker reads it with
 * every append of pieces and every renewal.
 *
 * Every move but RUNNING is made by `move` (../moves.ts). RUNNING is part of the claim's statement (`begin`): somebody waits
 * for the first token.
 */
import { type SQL, type WithSubquery, and, asc, eq, inArray, sql } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import {
  type CompletionStatus,
  type RowScore,
  type Usage,
  completionStatuses,
  completionTransitions,
  hasEnded,
} from "../../schema/completion.ts";
import { type ErrorCode, type InputIssue, SteplogError } from "../../schema/errors.ts";
import { type Completion, completions } from "../../schema/serving-tables.ts";
import { abandonedMs } from "../../schema/limits.ts";
import type { Wanted } from "../../schema/states.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import { audit } from "../audit/audit.ts";
import { type Life, moveRow } from "../moves.ts";
import { type Database, type Transaction, isUuid } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { msFromNow } from "../postgres/times.ts";
import type { JobHooks } from "../queue/claimers.ts";
import { finishJob, lockJobAbout, withdrawJob } from "../queue/jobs.ts";

export interface CompletionFailure {
  readonly code: ErrorCode;
  /** Never quotes the request: it may be logged. */
  readonly message: string;
  readonly issues: readonly InputIssue[];
}

export type CompletionEnd =
  | { readonly status: "SUCCEEDED"; readonly usage: Usage; readonly scores: readonly RowScore[] | null }
  | { readonly status: "CANCELLED"; readonly usage: Usage | null }
  | ({ readonly status: "FAILED" } & CompletionFailure);

interface Move {
  readonly to: CompletionStatus;
  readonly set?: PgUpdateSetSource<typeof completions>;
}

const life: Life<CompletionStatus, Completion, Move> = {
  noun: "completion",
  transitions: completionTransitions,
  lock: (tx, id) => tx.select().from(completions).where(eq(completions.id, id)).for("no key update"),
  write: (tx, id, { to, set }) =>
    tx
      .update(completions)
      .set({ ...set, status: to })
      .where(eq(completions.id, id))
      .returning(),
};

const move = (tx: Transaction, id: string, decide: (completion: Completion) => Move | null) =>
  moveRow(tx, life, id, decide);

const isFinal = ({ status }: Completion) => hasEnded(status);
const ended = { finishedAt: sql`now()`, stage: null };
const cancelled: Move = { to: "CANCELLED", set: { ...ended, wanted: "CANCEL" } };

// Claim and release

/** Another worker is to go on with it soon. */
const left: Move = { to: "RUNNING", set: { stage: null, startBy: msFromNow(abandonedMs) } };

/** In SQL: what is wanted of a completion. */
export const wantedNow = sql<Wanted>`case when ${completions.wanted} = 'CANCEL' or ${completions.attendedUntil} < now() then 'CANCEL' else 'RUN' end`;

export const completionJobs: JobHooks = {
  claiming: begin,
  async released(tx, job) {
    await move(tx, job.subject, () => left);
    return "go on";
  },
  async failed(tx, job) {
    const wanted = await wantedOf(tx, job.subject);
    await move(tx, job.subject, () => (wanted === "CANCEL" ? cancelled : left));
    return wanted === "CANCEL" ? "done" : "repeat";
  },
  wanted: (database, held) => Promise.all(held.map(({ subject }) => wantedOf(database, subject))),
};

const startable = completionStatuses.filter((status) => completionTransitions[status].includes("RUNNING"));

/** RUNNING, as part of a claim. Rows are locked in order of id, as appends lock them. Readers of pieces need not hear of it. */
function begin(database: Database, subjects: SQL): WithSubquery[] {
  const ids = sql`(select claimed.subject::uuid from ${subjects} as claimed)`;
  const mine = and(inArray(completions.id, ids), inArray(completions.status, startable));
  const known = database
    .$with("known")
    .as(
      database
        .select({ id: completions.id })
        .from(completions)
        .where(mine)
        .orderBy(asc(completions.id))
        .for("no key update"),
    );
  const set = { status: "RUNNING", startedAt: sql`coalesce(${completions.startedAt}, now())` } as const;
  const begun = database.$with("begun").as(
    database
      .update(completions)
      .set(set)
      .where(inArray(completions.id, sql`(select id from known)`))
      .returning({ id: completions.id }),
  );
  return [known, begun];
}

async function wantedOf(database: Database | Transaction, id: string): Promise<Wanted> {
  const [row] = await database.select({ wanted: wantedNow }).from(completions).where(eq(completions.id, id));
  return row?.wanted ?? "CANCEL";
}

// End

/** Ends a completion and its job, which the caller has locked. */
export async function endCompletion(tx: Transaction, job: Job, end: CompletionEnd): Promise<void> {
  await move(tx, job.subject, () => ({ to: end.status, set: { ...ended, ...columnsOf(end) } }));
  await finishJob(tx, { id: job.id, token: job.leaseToken });
}

function columnsOf(end: CompletionEnd) {
  if (end.status === "SUCCEEDED") return { usage: end.usage, scores: end.scores };
  if (end.status === "CANCELLED") return { usage: end.usage };
  return { errorCode: end.code, errorMessage: end.message, errorIssues: end.issues };
}

/** One that nobody holds ends at once, another is asked to end, and one that has ended stays as it is. Null for an unknown one. */
export async function cancel(tx: Transaction, id: string): Promise<Completion | null> {
  const job = isUuid(id) ? await lockJobAbout(tx, "COMPLETE", id) : null;
  const completion = await move(tx, id, (current) => {
    if (isFinal(current)) return null;
    if (job && job.leaseWorker !== null) return current.wanted === "CANCEL" ? null : asked(current.status);
    return cancelled;
  });
  if (completion && isFinal(completion)) await withdrawJob(tx, "COMPLETE", id);
  return completion;
}

/** A worker that has claimed it, but has not said so yet, reads it then. */
function asked(to: CompletionStatus): Move {
  return { to, set: { wanted: "CANCEL" } };
}

/** In SQL, of a job: whether a worker holds it, or did until a moment ago. */
export const isTended = sql<boolean>`coalesce(${jobs.leaseExpiresAt} > ${msFromNow(-abandonedMs)}, false)`;

/** Fails a completion that no worker has begun in time, or gone on with. @param late the error */
export async function giveUp(tx: Transaction, id: string, late: CompletionFailure): Promise<void> {
  const about = and(eq(jobs.kind, "COMPLETE"), eq(jobs.subject, id));
  const [job] = await tx.select({ isTended }).from(jobs).where(about).for("update");
  if (!job || job.isTended) return;
  const set = { ...ended, ...columnsOf({ status: "FAILED", ...late }) };
  await move(tx, id, (current) => (isFinal(current) ? null : { to: "FAILED", set }));
  await withdrawJob(tx, "COMPLETE", id);
}

/** Because somebody asked for it, which the audit log tells. False if there is none. */
export async function removeOnRequest(tx: Transaction, id: string): Promise<boolean> {
  const gone = await remove(tx, id);
  if (!gone) return false;
  const { projectId, status } = gone;
  await audit(tx, { projectId, action: "completion.deleted", object: { id, name: null }, details: { status } });
  return true;
}

/** Deletes it with all that was asked and answered; a worker that answers it finds its lease lost. Null if there is none. */
export async function remove(tx: Transaction, id: string): Promise<Pick<Completion, "projectId" | "status"> | null> {
  if (!isUuid(id)) return null;
  await withdrawJob(tx, "COMPLETE", id);
  const { projectId, status } = completions;
  const [gone] = await tx.delete(completions).where(eq(completions.id, id)).returning({ projectId, status });
  if (gone) await wakeWatchers(tx, id);
  return gone ?? null;
}

export function notFound(id: string): SteplogError {
  return new SteplogError("NOT_FOUND", `There is no completion ${JSON.stringify(id)}. It may have been deleted.`);
}
