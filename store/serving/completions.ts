/** Completions: asking, reading, cancelling, deleting; and what becomes of those that nobody waits for or begins. */
import { and, asc, inArray } from "drizzle-orm";
import { attendMs } from "../../schema/limits.ts";
import { type Completion, completions } from "../../schema/serving-tables.ts";
import { type Database, inOrderOf, isUuid } from "../postgres/database.ts";
import { msFromStart } from "../postgres/times.ts";
import { queuePosition, whyJobWaits } from "../queue/waiting.ts";
import { type NewCompletion, create } from "./create.ts";
import { forgetCompletions } from "./forget.ts";
import { cancel, notFound, remove, removeOnRequest } from "./lifecycle.ts";
import { type WrittenChoice, choicesOf } from "./pieces.ts";

export interface Completions {
  /**
   * Row, job and notification in one transaction; or the first of its key.
   * @throws NOT_FOUND; CONFLICT for a key that was used with another request; UNAVAILABLE with what all live workers lack; BUSY
   *   beyond the limit of those that wait; QUOTA_EXCEEDED
   */
  create(input: NewCompletion): Promise<{ readonly completion: Completion; readonly created: boolean }>;
  get(id: string): Promise<Completion | null>;
  byIds(ids: readonly string[]): Promise<(Completion | null)[]>;
  /** What was written so far: pieces joined, one item per choice; none of a SCORE task. */
  choices(completion: Completion): Promise<WrittenChoice[]>;
  /** One that nobody has begun ends at once, a RUNNING one with its next tokens, one that has ended stays. @throws NOT_FOUND */
  cancel(id: string): Promise<Completion>;
  /** Deletes it with all that was asked and answered, ending it first, with an entry in the audit log. False for an unknown id. */
  delete(id: string): Promise<boolean>;
  /** Likewise of one that was only asked to be answered at once, without an entry: it is part of the answer. */
  discard(id: string): Promise<boolean>;
  /** Says that somebody waits for these: `attendMs.holds` from now. Those that nobody waits for end by themselves. */
  attend(ids: readonly string[]): Promise<void>;
  /**
   * Deletes what has expired, and ends what nobody has begun in time or waits for any more. Workers call it with their
   * reports; gateways should, too, so that this does not depend on a worker.
   */
  forget(): Promise<void>;
  /** Why no worker answers it, for people; null while one does, or can start at once, and after the end. */
  waitingReason(id: string): Promise<string | null>;
  /** How many jobs workers would claim before it; 0 when it is next. Null while it does not wait for a worker. */
  queuePosition(id: string): Promise<number | null>;
}

export function completionsOf(database: Database): Completions {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(completions).where(inArray(completions.id, wanted)));
  return {
    byIds,
    get: async (id) => (await byIds([id]))[0] ?? null,
    create: (input) => database.transaction((tx) => create(tx, input)),
    choices: (completion) => choicesOf(database, completion),
    async cancel(id) {
      const completion = await database.transaction((tx) => cancel(tx, id));
      if (!completion) throw notFound(id);
      return completion;
    },
    delete: (id) => database.transaction((tx) => removeOnRequest(tx, id)),
    discard: (id) => database.transaction(async (tx) => (await remove(tx, id)) !== null),
    attend: (ids) => attend(database, ids),
    forget: () => forgetCompletions(database),
    waitingReason: (id) => whyJobWaits(database, "COMPLETE", id),
    queuePosition: (id) => queuePosition(database, "COMPLETE", id),
  };
}

/** Rows are locked in order of id, as appends lock them. */
async function attend(database: Database, ids: readonly string[]): Promise<void> {
  const mine = ids.filter(isUuid);
  if (mine.length === 0) return;
  const known = database
    .select({ id: completions.id })
    .from(completions)
    .where(and(inArray(completions.id, mine), inArray(completions.status, ["QUEUED", "RUNNING"])))
    .orderBy(asc(completions.id))
    .for("no key update");
  const attendedUntil = msFromStart(attendMs.holds);
  await database.update(completions).set({ attendedUntil }).where(inArray(completions.id, known));
}
