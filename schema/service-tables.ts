/** Tables of the service as a whole, which its processes share. The rules are those of tables.ts. */
import { bigint, doublePrecision, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { instant } from "./columns.ts";
import type { PrecisionKind } from "./hyperparameters.ts";
import type { JobKind, NamedModel } from "./jobs.ts";

/** What is done regularly by one process at a time, and when it was last begun. */
export const chores = pgTable("chores", {
  name: text("name").primaryKey(),
  begunAt: instant("begun_at").notNull().defaultNow(),
});

/**
 * What processes have in their environment and who reads the database alone has not: the view queue_depth. Gateways and workers
 * keep it up to date.
 */
export const serviceLimits = pgTable("service_limits", {
  /** `concurrentRuns`: runs that workers train at once, in all projects together. */
  name: text("name").$type<"concurrentRuns">().primaryKey(),
  /** Null for none. */
  most: doublePrecision("most"),
});

/**
 * What the workers of a pool can do: of those that an autoscaler starts, all alike (STEPLOG_WORKER_POOL). Each says so with every
 * report, and it stays when they have ended. The view queue_depth tells by it for which work one more of them is in vain.
 */
export const workerPools = pgTable("worker_pools", {
  name: text("name").primaryKey(),
  kinds: jsonb("kinds").$type<readonly JobKind[]>().notNull(),
  families: jsonb("families").$type<readonly string[]>().notNull(),
  precisions: jsonb("precisions").$type<readonly PrecisionKind[]>().notNull(),
  models: jsonb("models").$type<readonly NamedModel[]>().notNull(),
  memoryBytes: bigint("memory_bytes", { mode: "number" }).notNull(),
  /** The most of it that requests get: less while a run needs it. */
  servingBytes: bigint("serving_bytes", { mode: "number" }).notNull(),
  seenAt: instant("seen_at").notNull().defaultNow(),
});
