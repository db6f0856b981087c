/** The end of completions that nobody ends: expired, not begun in time, or no longer waited for. One transaction each. */
import { type SQL, and, eq, inArray, lt, sql } from "drizzle-orm";
import { type Completion, completions } from "../../schema/serving-tables.ts";
import { jobs } from "../../schema/tables.ts";
import { counted } from "../../schema/units.ts";
import type { Database } from "../postgres/database.ts";
import { type CompletionFailure, cancel, giveUp, remove } from "./lifecycle.ts";

/** Of each kind, in one go: the rest has its turn with the next report of a worker. */
const most = 500;

/** Those that wait or run have a job: there are few, however many completions are kept. */
const isOpen = inArray(
  completions.id,
  sql`(select ${jobs.subject}::uuid from ${jobs} where ${jobs.kind} = 'COMPLETE')`,
);
const isQueued = eq(completions.status, sql`'QUEUED'`);
const { id, createdAt, startBy } = completions;

export async function forgetCompletions(database: Database): Promise<void> {
  const find = (condition: SQL | undefined) =>
    database.select({ id, createdAt, startBy }).from(completions).where(condition).limit(most);
  for (const one of await find(lt(completions.expiresAt, sql`now()`))) {
    await database.transaction((tx) => remove(tx, one.id));
  }
  for (const one of await find(and(isQueued, lt(completions.startBy, sql`now()`)))) {
    await database.transaction((tx) => giveUp(tx, one.id, notBegun(one)));
  }
  const isLeft = and(eq(completions.wanted, "RUN"), lt(completions.attendedUntil, sql`now()`));
  for (const one of await find(and(isOpen, isLeft))) {
    await database.transaction((tx) => cancel(tx, one.id));
  }
}

function notBegun({ createdAt, startBy }: Pick<Completion, "createdAt" | "startBy">): CompletionFailure {
  const seconds = Math.round((startBy.getTime() - createdAt.getTime()) / 1000);
  const message = `No worker began to answer within ${counted(seconds, "second")}, as long as a request waits. Try again later.`;
  return { code: "UNAVAILABLE", message, issues: [] };
}
