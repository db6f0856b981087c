/** Tables of the service as a whole, which its processes share. The rules are those of tables.ts. */
import { doublePrecision, pgTable, text } from "drizzle-orm/pg-core";
import { instant } from "./columns.ts";

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
