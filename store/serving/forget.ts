/** The end of completions that nobody ends: expired, not begun in time, or no longer waited for. One transaction each. */
import { type SQL, and, eq, inArray, lt, not, sql } from "drizzle-orm";
import { abandonedMs } from "../../schema/limits.ts";
import { type Completion, completions } from "../../schema/serving-tables.ts";
import { jobs } from "../../schema/tables.ts";
import { counted } from "../../schema/units.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { audit } from "../audit/audit.ts";
import { type CompletionFailure, cancel, giveUp, isTended, remove } from "./lifecycle.ts";

/** Of each kind, in one go: the rest has its turn with the next report of a worker. */
const most = 500;

/** Those that wait or run have a job: there are few, however many completions are kept. */
const withJob = (which: SQL = sql`true`) =>
  inArray(
    completions.id,
    sql`(select ${jobs.subject}::uuid from ${jobs} where ${jobs.kind} = 'COMPLETE' and ${which})`,
  );
const { id, projectId, status, createdAt, startBy } = completions;

export async function forgetCompletions(database: Database): Promise<void> {
  const find = (condition: SQL | undefined) =>
    database.select({ id, projectId, status, createdAt, startBy }).from(completions).where(condition).limit(most);
  await forgetExpired(database, await find(lt(completions.expiresAt, sql`now()`)));
  for (const one of await find(and(withJob(not(isTended)), lt(startBy, sql`now()`)))) {
    await database.transaction((tx) => giveUp(tx, one.id, one.status === "QUEUED" ? notBegun(one) : abandoned));
  }
  const isLeft = and(eq(completions.wanted, "RUN"), lt(completions.attendedUntil, sql`now()`));
  for (const one of await find(and(withJob(), isLeft))) {
    await database.transaction((tx) => cancel(tx, one.id));
  }
}

/** How many end in one transaction, with one entry in the audit log of their project. */
const together = 50;

async function forgetExpired(
  database: Database,
  expired: readonly Pick<Completion, "id" | "projectId">[],
): Promise<void> {
  for (const project of new Set(expired.map((one) => one.projectId))) {
    // In order, as another worker that forgets them at the same time.
    const ids = expired.flatMap((one) => (one.projectId === project ? [one.id] : [])).toSorted();
    for (let at = 0; at < ids.length; at += together) {
      await database.transaction((tx) => forgetSome(tx, project, ids.slice(at, at + together)));
    }
  }
}

async function forgetSome(tx: Transaction, project: string, ids: readonly string[]): Promise<void> {
  let count = 0;
  for (const one of ids) count += (await remove(tx, one)) ? 1 : 0;
  const object = { id: null, name: null };
  if (count > 0) await audit(tx, { projectId: project, action: "completions.expired", object, details: { count } });
}

const again = "Try again later.";

function notBegun(one: Pick<Completion, "createdAt" | "startBy">): CompletionFailure {
  const seconds = Math.round((one.startBy.getTime() - one.createdAt.getTime()) / 1000);
  const message = `No worker began to answer within ${counted(seconds, "second")}; a request waits no longer. ${again}`;
  return { code: "UNAVAILABLE", message, issues: [] };
}

const abandoned: CompletionFailure = {
  code: "UNAVAILABLE",
  message: `The worker that answered has gone, and no other went on within ${abandonedMs / 1000} seconds. ${again}`,
  issues: [],
};
