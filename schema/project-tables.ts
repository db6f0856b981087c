/** The tables of projects, their keys, and what they share. The rules are those of tables.ts. */
import { date, doublePrecision, index, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { createdAt, instant } from "./columns.ts";
import type { Keep } from "./expiry.ts";
import { type Scope, type SharedKind, defaultProjectId } from "./projects.ts";
import type { OwnRates } from "./rates.ts";
import type { Quotas, UsageKind } from "./usage.ts";

/** Every row that a client makes belongs to one project. The migration adds the default one. */
export const projects = pgTable("projects", {
  id: uuid("id").primaryKey().defaultRandom(),
  name: text("name").notNull().unique(),
  quotas: jsonb("quotas").$type<Quotas>().notNull().default({}),
  keep: jsonb("keep").$type<Keep>().notNull().default({}),
  /** Rate limits of each of its keys, where they are not the usual ones. */
  rates: jsonb("rates").$type<OwnRates>().notNull().default({}),
  createdAt: createdAt(),
});

/** The project that a row belongs to: the default one for rows of a release that knows no projects. */
export const ofProject = () =>
  uuid("project_id")
    .notNull()
    .default(defaultProjectId)
    .references(() => projects.id);

/** Keys by their hash alone: nobody can read one again. */
export const apiKeys = pgTable(
  "api_keys",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: uuid("project_id")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    name: text("name").notNull(),
    /** How it begins, for people to recognise it. */
    start: text("start").notNull(),
    /** SHA-256 of the key, 64 hex digits. */
    hash: text("hash").notNull().unique(),
    scopes: text("scopes").array().$type<Scope[]>().notNull(),
    /** Its own rate limits, before those of its project. */
    rates: jsonb("rates").$type<OwnRates>().notNull().default({}),
    createdAt: createdAt(),
    expiresAt: instant("expires_at"),
    /** About a minute behind. */
    lastUsedAt: instant("last_used_at"),
    revokedAt: instant("revoked_at"),
    /** The key that took its place. */
    rotatedTo: uuid("rotated_to"),
  },
  (t) => [index("api_keys_project").on(t.projectId, t.createdAt, t.id)],
);

/** What other projects may read. */
export const shares = pgTable(
  "shares",
  {
    kind: text("kind").$type<SharedKind>().notNull(),
    /** The checkpoint or dataset. */
    objectId: uuid("object_id").notNull(),
    /** The project that may read it. */
    projectId: uuid("project_id")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.kind, t.objectId, t.projectId] }), index("shares_project").on(t.projectId, t.kind)],
);

/** What projects used, by day in UTC. Every session of Postgres adds to rows of its own, so none waits for another. */
export const usageDays = pgTable(
  "usage_days",
  {
    projectId: uuid("project_id")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    day: date("day", { mode: "string" }).notNull(),
    kind: text("kind").$type<UsageKind>().notNull(),
    /** The process id of the session. */
    session: integer("session").notNull().default(0),
    amount: doublePrecision("amount").notNull(),
  },
  (t) => [primaryKey({ columns: [t.projectId, t.day, t.kind, t.session] })],
);

/**
 * For how long projects had workers lately: seconds that count half after `turnHalfLifeMs`. As in usageDays, every session of
 * Postgres has rows of its own.
 */
export const projectTurns = pgTable(
  "project_turns",
  {
    projectId: uuid("project_id")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    session: integer("session").notNull(),
    seconds: doublePrecision("seconds").notNull(),
    /** As of when. */
    at: instant("at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.projectId, t.session] })],
);

export type Project = typeof projects.$inferSelect;
export type ApiKey = typeof apiKeys.$inferSelect;
export type Share = typeof shares.$inferSelect;
