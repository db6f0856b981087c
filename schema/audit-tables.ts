/** The table of the audit log. The rules are those of tables.ts. Triggers of the migration keep rows from being changed. */
import { sql } from "drizzle-orm";
import { index, jsonb, pgTable, text, uuid } from "drizzle-orm/pg-core";
import type { ActorKind, AuditAction, AuditDetails, AuditObjectType } from "./audit.ts";
import { instant } from "./columns.ts";

/** Ids refer to nothing: an entry outlives its project, its key and its object. */
export const auditEntries = pgTable(
  "audit_entries",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    at: instant("at")
      .notNull()
      .default(sql`clock_timestamp()`),
    /** Whose object it was; the default project for what is everybody's. */
    projectId: uuid("project_id").notNull(),
    action: text("action").$type<AuditAction>().notNull(),
    actorKind: text("actor_kind").$type<ActorKind>().notNull(),
    /** Of an API key. */
    actorKeyId: uuid("actor_key_id"),
    /** The name of the key, as it was then; of a command line, the user and the machine. */
    actorName: text("actor_name"),
    requestId: text("request_id"),
    /** Of the client, or of the proxy in front of the gateway. */
    address: text("address"),
    objectType: text("object_type").$type<AuditObjectType>().notNull(),
    objectId: text("object_id"),
    /** As it was then. */
    objectName: text("object_name"),
    details: jsonb("details").$type<AuditDetails>().notNull().default({}),
  },
  (t) => [
    index("audit_entries_at").on(t.at, t.id),
    index("audit_entries_project").on(t.projectId, t.at, t.id),
    index("audit_entries_object").on(t.objectId),
    // Few values: an index of them is small, and counts read nothing else.
    index("audit_entries_project_action").on(t.projectId, t.action),
    index("audit_entries_action").on(t.action),
    index("audit_entries_actor_name").on(t.actorName),
    index("audit_entries_actor_key").on(t.actorKeyId),
  ],
);

export type AuditEntry = typeof auditEntries.$inferSelect;
