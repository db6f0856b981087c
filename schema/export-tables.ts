/** The table of checkpoints in other forms. The rules are those of tables.ts. */
import { sql } from "drizzle-orm";
import { boolean, doublePrecision, index, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { createdAt, instant } from "./columns.ts";
import type { OutputDtype } from "./output-dtype.ts";
import type { WeightsStatus } from "./states.ts";
import type { WeightsFile } from "./tables.ts";
import { checkpoints } from "./tables.ts";

/** A checkpoint's weights merged, or in another dtype, as files. A row exists once somebody has asked for the form. */
export const checkpointExports = pgTable(
  "checkpoint_exports",
  {
    checkpointId: uuid("checkpoint_id")
      .notNull()
      .references(() => checkpoints.id, { onDelete: "cascade" }),
    merged: boolean("merged").notNull(),
    /** `trained` for tensors in the dtype of training, or of the base: a part of a key is not null. */
    dtype: text("dtype").$type<OutputDtype | "trained">().notNull(),
    status: text("status").$type<Exclude<WeightsStatus, "NONE">>().notNull(),
    /** Once stored. */
    files: jsonb("files").$type<readonly WeightsFile[]>(),
    error: text("error"),
    createdAt: createdAt(),
    /** It ends so long after it was last used; null: as late as the checkpoint. */
    keepSeconds: doublePrecision("keep_seconds"),
    expiresAt: instant("expires_at"),
  },
  (t) => [
    primaryKey({ columns: [t.checkpointId, t.merged, t.dtype] }),
    index("checkpoint_exports_expires")
      .on(t.expiresAt)
      .where(sql`${t.expiresAt} is not null`),
  ],
);

export type CheckpointExport = typeof checkpointExports.$inferSelect;
