/** Reading the audit log, and the end of entries that are past their time. */
import { type SQL, and, eq, gte, inArray, lt, or, sql } from "drizzle-orm";
import { type ActorKind, type AuditAction, actorKinds } from "../../schema/audit.ts";
import { type AuditEntry, auditEntries } from "../../schema/audit-tables.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { type Page, countOf, inProject, pageOf } from "../pages.ts";
import { type Database, type Transaction, isUuid } from "../postgres/database.ts";
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

/** In one transaction. */
const most = 10_000;

/** Ends all entries that are older, and writes down how many they were. */
export async function endOld(database: Database, days: number, over: AbortSignal): Promise<void> {
  for (;;) {
    const ended = await database.transaction((tx) => endSome(tx, days));
    if (ended < most || over.aborted) return;
  }
}

async function endSome(tx: Transaction, days: number): Promise<number> {
  const isOld = lt(auditEntries.at, sql`now() - ${days} * interval '1 day'`);
  const old = tx.select({ id: auditEntries.id }).from(auditEntries).where(isOld).limit(most);
  const count = await endEntries(tx, inArray(auditEntries.id, old));
  const object = { id: null, name: null };
  if (count > 0)
    await audit(tx, { projectId: defaultProjectId, action: "audit.expired", object, details: { count, days } });
  return count;
}
