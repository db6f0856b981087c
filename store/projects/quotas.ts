/**
 * Quotas of projects. But for concurrentRuns, which makes runs wait (store/queue/turns.ts), each is checked in the transaction that would use it, after its row is there: what is beyond the quota is
 * rolled back with it, and a repeated request that finds its first row is never refused. Creations of a project that has the
 * quota wait for each other, so that the limit is exact.
 */
import { type SQL, and, count, eq, gt, inArray, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import type { JobKind } from "../../schema/jobs.ts";
import { projects } from "../../schema/project-tables.ts";
import { unfinishedStatuses } from "../../schema/states.ts";
import { fineTunes, jobs } from "../../schema/tables.ts";
import { type QuotaName, type QuotaUse, type Quotas, quotaNames, secondsKinds } from "../../schema/usage.ts";
import { type Database, type Executor, type Transaction, isUuid, only } from "../postgres/database.ts";
import { audit } from "../audit/audit.ts";
import { notThere } from "./sight.ts";
import { storedBytes } from "./stored-bytes.ts";
import { addUsage, usedThisMonth } from "./usage.ts";

/** @throws QUOTA_EXCEEDED once a new dataset is there, or a promise of weights */
export async function refuseBeyondBytes(tx: Transaction, projectId: string): Promise<void> {
  const error = await beyondBytes(tx, projectId);
  if (error) throw error;
}

/** Counts files that were made, once they have a row. If they do not fit, the error that says why: then they are not to be kept. */
export async function useBytes(tx: Transaction, projectId: string, bytes: number): Promise<SteplogError | null> {
  const error = await beyondBytes(tx, projectId);
  if (!error) await addUsage(tx, [{ projectId, kind: "BYTES", amount: bytes }]);
  return error;
}

async function beyondBytes(tx: Transaction, projectId: string): Promise<SteplogError | null> {
  const { bytes: limit } = await quotasOf(tx, projectId);
  if (limit === undefined) return null;
  await oneAtATime(tx, projectId);
  const use = await useOf(tx, projectId, { name: "bytes", limit });
  return use.used > limit ? exceeded(tx, use, "bytes") : null;
}

/** @throws QUOTA_EXCEEDED once a new run is there; one that has used up its tokens or seconds creates no runs either */
export async function refuseBeyondSteps(tx: Transaction, projectId: string): Promise<void> {
  const quotas = await quotasOf(tx, projectId);
  await refuseUsedUp(tx, projectId, quotas);
  if (quotas.stepsAMonth === undefined) return;
  await oneAtATime(tx, projectId);
  await refuseBeyond(tx, projectId, { name: "stepsAMonth", limit: quotas.stepsAMonth });
}

/** What is under way may go beyond them: how many tokens and seconds it takes is not known before. @throws QUOTA_EXCEEDED */
export async function refuseUsedUp(
  tx: Transaction,
  projectId: string,
  quotas: Quotas,
  names: readonly UsedUp[] = ["tokensAMonth", "workerSecondsAMonth"],
): Promise<void> {
  for (const name of names) {
    const limit = quotas[name];
    if (limit === undefined) continue;
    const use = await useOf(tx, projectId, { name, limit });
    if (use.used >= limit) throw await exceeded(tx, use, name);
  }
}

type UsedUp = "tokensAMonth" | "workerSecondsAMonth";

/** Of weights or exports, which are no tokens. @throws QUOTA_EXCEEDED once a rebuild waits */
export async function refuseRebuild(tx: Transaction, projectId: string): Promise<void> {
  await refuseUsedUp(tx, projectId, await quotasOf(tx, projectId), ["workerSecondsAMonth"]);
  await refuseBeyondBytes(tx, projectId);
}

/** The caller holds the lock by which completions are created one at a time. @throws QUOTA_EXCEEDED once a new request has its job */
export async function refuseBeyondRequests(tx: Transaction, projectId: string, quotas: Quotas): Promise<void> {
  const { requestsWaiting: limit } = quotas;
  if (limit !== undefined) await refuseBeyond(tx, projectId, { name: "requestsWaiting", limit });
}

/** One beyond which requests are refused. */
type RefusingQuota = Exclude<QuotaName, "concurrentRuns">;

interface Quota<Name = QuotaName> {
  readonly name: Name;
  readonly limit: number;
}

async function refuseBeyond(tx: Transaction, projectId: string, quota: Quota<RefusingQuota>): Promise<void> {
  const use = await useOf(tx, projectId, quota);
  if (use.used > use.limit) throw await exceeded(tx, use, quota.name);
}

/** Rows that refer to the project do not wait. */
async function oneAtATime(tx: Transaction, projectId: string): Promise<void> {
  await tx.select({ id: projects.id }).from(projects).where(eq(projects.id, projectId)).for("no key update");
}

async function exceeded(tx: Transaction, quota: QuotaUse, name: RefusingQuota): Promise<SteplogError> {
  const { limit, used, resetsAt } = quota;
  const secondsLeft = resetsAt && (await monthEnd(tx)).inS;
  const { seen, advice } = words[name];
  const [whole, taken] = [limit.toLocaleString("en-US"), Math.ceil(used).toLocaleString("en-US")];
  const message = `The project may ${seen.replace("%", whole)}, and with this it would come to ${taken}. ${advice}`;
  const retryAfterS = secondsLeft ?? (name === "requestsWaiting" ? 1 : undefined);
  return new SteplogError("QUOTA_EXCEEDED", message, [], { quota, retryAfterS });
}

const nextMonth = "Wait for the next month, or ask an operator for a larger quota.";

const deleteSome = "Delete some that are not needed (weights can be rebuilt), or ask an operator for a larger quota.";

const words: Readonly<Record<RefusingQuota, { readonly seen: string; readonly advice: string }>> = {
  bytes: { seen: "store % bytes of datasets, weights and exports", advice: deleteSome },
  requestsWaiting: { seen: "have % requests wait for a worker or be answered", advice: "Try again in a moment." },
  stepsAMonth: { seen: "train % steps a month", advice: `Create a shorter run. ${nextMonth}` },
  tokensAMonth: { seen: "train and generate % tokens a month", advice: nextMonth },
  workerSecondsAMonth: { seen: "keep workers busy for % seconds a month", advice: nextMonth },
};

// Reading and setting them

/** None for a project that does not exist. */
export async function quotasOf(database: Executor, projectId: string): Promise<Quotas> {
  const [row] = await database.select({ quotas: projects.quotas }).from(projects).where(eq(projects.id, projectId));
  return row?.quotas ?? {};
}

/** The quotas that a project has. @throws NOT_FOUND */
export async function quotaUses(database: Executor, projectId: string): Promise<QuotaUse[]> {
  const here = eq(projects.id, projectId);
  const [row] = isUuid(projectId) ? await database.select().from(projects).where(here) : [];
  if (!row) throw notThere("project", projectId);
  const limited = quotaNames.flatMap((name) => {
    const limit = row.quotas[name];
    return limit === undefined ? [] : [{ name, limit }];
  });
  return Promise.all(limited.map((quota) => useOf(database, projectId, quota)));
}

/** Null takes a quota away; what is left out stays as it is. */
export type QuotaChanges = Readonly<Partial<Record<QuotaName, number | null | undefined>>>;

/** The quotas that the project has then. @throws NOT_FOUND */
export async function changeQuotas(database: Database, projectId: string, changes: QuotaChanges): Promise<QuotaUse[]> {
  return database.transaction(async (tx) => {
    if (isUuid(projectId)) await oneAtATime(tx, projectId);
    const known = await quotasOf(tx, projectId);
    const quotas = Object.fromEntries(
      quotaNames.flatMap((name) => {
        const limit = changes[name] === undefined ? known[name] : changes[name];
        return limit == null ? [] : [[name, limit]];
      }),
    );
    const here = eq(projects.id, projectId);
    const [changed] = isUuid(projectId) ? await tx.update(projects).set({ quotas }).where(here).returning() : [];
    const given = Object.entries(changes).filter(([, limit]) => limit !== undefined);
    const details = Object.fromEntries(given.map(([name, limit]) => [name, limit ?? null]));
    if (changed) await audit(tx, { projectId, action: "project.quotas_changed", object: changed, details });
    return quotaUses(tx, projectId);
  });
}

async function useOf(database: Executor, projectId: string, quota: Quota): Promise<QuotaUse> {
  const used = await counts[quota.name](database, projectId);
  return { ...quota, used, resetsAt: quota.name.endsWith("AMonth") ? (await monthEnd(database)).at : null };
}

/** By the clock that says to which month something counts. */
async function monthEnd(database: Executor): Promise<{ readonly at: Date; readonly inS: number }> {
  const end = sql`(date_trunc('month', now() at time zone 'utc') + interval '1 month') at time zone 'utc'`;
  const rows = await database.execute<{ at: number; left: number }>(
    sql`select extract(epoch from ${end})::float8 as at, extract(epoch from ${end} - now())::float8 as left`,
  );
  const { at, left } = only(rows);
  return { at: new Date(at * 1_000), inS: Math.max(1, Math.ceil(left)) };
}

const counts: Readonly<Record<QuotaName, (database: Executor, projectId: string) => Promise<number>>> = {
  bytes: storedBytes,
  concurrentRuns(database, projectId) {
    const held = gt(jobs.leaseExpiresAt, sql`clock_timestamp()`);
    return jobsOf(database, projectId, "FINE_TUNE", held);
  },
  /** Each has a job until it has ended. */
  requestsWaiting(database, projectId) {
    return jobsOf(database, projectId, "COMPLETE");
  },
  /** Those that unfinished runs have still to do count as well. */
  async stepsAMonth(database, projectId) {
    const left = sql<number>`coalesce(sum((${fineTunes.hyperparameters}->>'steps')::int - ${fineTunes.stepsDone}), 0)::float8`;
    const [row] = await database
      .select({ left })
      .from(fineTunes)
      .where(and(eq(fineTunes.projectId, projectId), inArray(fineTunes.status, unfinishedStatuses)));
    return (await usedThisMonth(database, projectId, ["STEPS"])) + (row?.left ?? 0);
  },
  tokensAMonth: (database, projectId) => usedThisMonth(database, projectId, ["TOKENS_TRAINED", "TOKENS_GENERATED"]),
  workerSecondsAMonth: (database, projectId) => usedThisMonth(database, projectId, secondsKinds),
};

async function jobsOf(database: Executor, projectId: string, kind: JobKind, which?: SQL): Promise<number> {
  const [row] = await database
    .select({ used: count() })
    .from(jobs)
    .where(and(eq(jobs.projectId, projectId), eq(jobs.kind, kind), which));
  return row?.used ?? 0;
}
