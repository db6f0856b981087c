/**
 * Writes down who did what, in the transaction that does it: there is an entry for every change that was made, and none for one
 * that was not. Entries are only added; triggers of the table refuse anything else, but for what is past its time, and for the
 * entries of a project that is erased.
 */
import { type SQL, sql } from "drizzle-orm";
import { type AuditAction, type AuditDetails, auditActions } from "../../schema/audit.ts";
import { auditEntries } from "../../schema/audit-tables.ts";
import type { Transaction } from "../postgres/database.ts";
import { currentActor } from "./actor.ts";

export interface Deed {
  readonly projectId: string;
  readonly action: AuditAction;
  readonly object: { readonly id: string | null; readonly name: string | null };
  /** No rows, prompts, answers or secrets, and no text that may quote them. */
  readonly details?: AuditDetails;
}

export async function audit(tx: Transaction, { projectId, action, object, details = {} }: Deed): Promise<void> {
  const { kind, keyId, name, requestId, address } = currentActor();
  await tx.insert(auditEntries).values({
    projectId,
    action,
    actorKind: kind,
    actorKeyId: keyId,
    actorName: name,
    requestId,
    address,
    objectType: auditActions[action],
    objectId: object.id,
    objectName: object.name,
    details,
  });
}

/** Deletes entries, which nothing else can. How many. */
export async function endEntries(tx: Transaction, which: SQL): Promise<number> {
  await tx.execute(sql`select set_config('steplog.audit', 'entries end', true)`);
  const [row] = await tx.execute<{ count: number }>(
    sql`with gone as (delete from ${auditEntries} where ${which} returning 1) select count(*)::int as count from gone`,
  );
  await tx.execute(sql`select set_config('steplog.audit', '', true)`);
  return row?.count ?? 0;
}
