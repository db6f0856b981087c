/** Reading the audit log, and the end of entries that are past their time. */
import { type SQL, and, eq, gte, inArray, lt, or, sql } from "drizzle-orm";
import { type ActorKind, type AuditAction, actorKinds } from "../../schema/audit.ts";
import { type AuditEntry, auditEntries } from "../../schema/audit-tables.ts";
import { chores } from "../../schema/blob-tables.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { type Page, countOf, inProject, pageOf } from "../pages.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import { audit, endEntries } from "./audit.ts";

export interface AuditFilter {
  /** Of all projects when left out. */
  readonly projectId?: string | undefined;
  readonly from?: Date | undefined;
  readonly until?: Date | undefined;
  /** The id or the name of an API key, the name of a command line, or a kind: `service`, `operator`. */
  readonly actor?: string | undefined;
  readonly action?: AuditAction | undefined;
  readonly objectId?: string | undefined;
}

const keys = { table: auditEntries, sort: auditEntries.at, id: auditEntries.id };

/** Newest first. */
export async function auditLog(database: Database, { projectId, ...query }: AuditFilter & Page): Promise<AuditEntry[]> {
  const { where, order } = await pageOf(database, { ...keys, of: inProject(auditEntries, projectId) }, query);
  return database
    .select()
    .from(auditEntries)
    .where(and(...where, such(query)))
    .orderBy(...order)
    .limit(query.limit);
}

/** How many the pages of such a list have together. */
export function auditCount(database: Database, { projectId, ...filter }: AuditFilter): Promise<number> {
  return countOf(database, auditEntries, and(inProject(auditEntries, projectId), such(filter)));
}

function such({ from, until, actor, action, objectId }: AuditFilter): SQL | undefined {
  return and(
    from && gte(auditEntries.at, from),
    until && lt(auditEntries.at, until),
    actor === undefined ? undefined : by(actor),
    action === undefined ? undefined : eq(auditEntries.action, action),
    objectId === undefined ? undefined : eq(auditEntries.objectId, objectId),
  );
}

function by(actor: string): SQL | undefined {
  const kind = actorKinds.find((one: ActorKind) => one.toLowerCase() === actor.toLowerCase());
  return or(
    eq(auditEntries.actorName, actor),
    kind && eq(auditEntries.actorKind, kind),
    isUuid(actor) ? eq(auditEntries.actorKeyId, actor) : undefined,
  );
}

// The end of entries

/** Of one go: the rest has its turn an hour later. */
const most = 10_000;

export interface AuditKeeping {
  /** Called with every report of a worker. */
  keep(): Promise<void>;
}

/** @param days that entries are kept; 0 for ever */
export function auditKeepingOf(database: Database, days: number): AuditKeeping {
  let looked = Number.NEGATIVE_INFINITY;
  return {
    async keep() {
      if (days === 0 || performance.now() - looked < 60_000) return;
      looked = performance.now();
      await endOldIfDue(database, days);
    },
  };
}

/** If nobody has for an hour. */
async function endOldIfDue(database: Database, days: number): Promise<void> {
  const again = { target: chores.name, set: { begunAt: sql`now()` } };
  const [mine] = await database
    .insert(chores)
    .values({ name: "audit" })
    .onConflictDoUpdate({ ...again, setWhere: lt(chores.begunAt, sql`now() - interval '1 hour'`) })
    .returning();
  if (mine) await endOld(database, days);
}

/** What was deleted is written down too. How many entries were. */
export function endOld(database: Database, days: number): Promise<number> {
  return database.transaction(async (tx) => {
    const isOld = lt(auditEntries.at, sql`now() - ${days} * interval '1 day'`);
    const old = tx.select({ id: auditEntries.id }).from(auditEntries).where(isOld).limit(most);
    const count = await endEntries(tx, inArray(auditEntries.id, old));
    const object = { id: null, name: null };
    if (count > 0)
      await audit(tx, { projectId: defaultProjectId, action: "audit.expired", object, details: { count, days } });
    return count;
  });
}
