/** The table of sweeps. The rules are those of tables.ts, whose runs name their sweep. */
import { index, jsonb, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { createdAt } from "./columns.ts";
import { ofProject } from "./project-tables.ts";

/** Runs that were created together to find out which settings are best. */
export const sweeps = pgTable(
  "sweeps",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: ofProject(),
    /** As `storedKey` has it: a second create with the same key and input returns the first sweep. */
    idempotencyKey: text("idempotency_key").unique(),
    /** SHA-256 of the canonical input. */
    inputHash: text("input_hash").notNull(),
    name: text("name").notNull(),
    /** Names of the settings that were given more than one value. */
    varied: jsonb("varied").$type<readonly string[]>().notNull(),
    createdAt: createdAt(),
  },
  (t) => [index("sweeps_project_created").on(t.projectId, t.createdAt, t.id)],
);

export type Sweep = typeof sweeps.$inferSelect;
