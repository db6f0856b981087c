/** The tables by which blobs end. The rules are those of tables.ts. */
import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";
import { instant } from "./columns.ts";

/** Blobs that no row names, or that are just being stored (store/ends/sweep.ts). */
export const looseBlobs = pgTable(
  "loose_blobs",
  {
    sha256: text("sha256").primaryKey(),
    /** Null until a sweep has seen it. */
    bytes: bigint("bytes", { mode: "number" }),
    /** When it was last stored, or first seen without a row that names it. */
    since: instant("since").notNull().defaultNow(),
  },
  (t) => [index("loose_blobs_since").on(t.since)],
);
