/** What a run took of its worker's memory (engine/thread/resident-memory.ts). */
import { bigint, integer, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { instant } from "./columns.ts";
import type { MemoryKind } from "./states.ts";
import { fineTunes } from "./tables.ts";

/** Few rows: what workers of the release before do not report is not known. */
export const runMemory = pgTable(
  "run_memory",
  {
    fineTuneId: uuid("fine_tune_id")
      .notNull()
      .references(() => fineTunes.id, { onDelete: "cascade" }),
    kind: text("kind").$type<MemoryKind>().notNull(),
    /** Steps done when it was read. */
    step: integer("step").notNull(),
    /** Resident bytes of the worker's process: when it was read, and the most since the reading before; null where the system does not tell. */
    residentBytes: bigint("resident_bytes", { mode: "number" }).notNull(),
    peakBytes: bigint("peak_bytes", { mode: "number" }),
    at: instant("at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.fineTuneId, t.kind, t.step] })],
);

export type RunMemory = typeof runMemory.$inferSelect;
