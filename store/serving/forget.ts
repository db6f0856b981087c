/** The end of completions that nobody ends: expired, not begun in time, or no longer waited for. One transaction each. */
import { type SQL, and, eq, inArray, lt, not, sql } from "drizzle-orm";
import { abandonedMs } from "../../schema/limits.ts";
import { type Completion, completions } from "../../schema/serving-tables.ts";
import { jobs } from "../../schema/tables.ts";
import { counted } from "../../schema/units.ts";
import type { Database } from "../postgres/database.ts";
import { type CompletionFailure, cancel, giveUp, isTended, remove } from "./lifecycle.ts";

/** Of each kind, in one go: the rest has its turn with the next report of a worker. */
const most = 500;

/** Those that wait or run have a job: there are few, however many completions are kept. */
const withJob = (which: SQL = sql`true`) =>
  inArray(
    completions.id,
    sql`(select ${jobs.subject}::uuid from ${jobs} where ${jobs.kind} = 'COMPLETE' and ${which})`,
  );
const { id, status, createdAt, startBy } = completions;

export async function forgetCompletions(database: Database): Promise<void> {
  const find = (condition: SQL | undefined) =>
    database.select({ id, status, createdAt, startBy }).from(completions).where(condition).limit(most);
  for (const one of await find(lt(completions.expiresAt, sql`now()`))) {
    await database.transaction((tx) => remove(tx, one.id));
  }
  for (const one of await find(and(withJob(not(isTended)), lt(startBy, sql`now()`)))) {
    await database.transaction((tx) => giveUp(tx, one.id, one.status === "QUEUED" ? notBegun(one) : abandoned));
  }
  const isLeft = and(eq(completions.wanted, "RUN"), lt(completions.attendedUntil, sql`now()`));
  for (const one of await find(and(withJob(), isLeft))) {
    await database.transaction((tx) => cancel(tx, one.id));
  }
}

const again = "Try again later.";

function notBegun(one: Pick<Completion, "createdAt" | "startBy">): CompletionFailure {
  const seconds = Math.round((one.startBy.getTime() - one.createdAt.getTime()) / 1000);
  const message = `No worker began to answer within ${counted(seconds, "second")}, as long as a request waits. ${again}`;
  return { code: "UNAVAILABLE", message, issues: [] };
}

const abandoned: CompletionFailure = {
  code: "UNAVAILABLE",
  message: `The worker that answered has gone, and no other went on within ${abandonedMs / 1000} seconds. ${again}`,
  issues: [],
};
