/** Models that are downloaded from the hub because a client asked for them (store/models/model-downloads.ts). */
import { bigint, boolean, integer, pgTable, text } from "drizzle-orm/pg-core";
import { instant } from "./columns.ts";
import type { DownloadStatus } from "./states.ts";

/** One at a time for each name of a folder; the next for it takes the place of one that has ended. */
export const modelDownloads = pgTable("model_downloads", {
  /** Of the folder, and of the base model that it becomes. */
  name: text("name").primaryKey(),
  repository: text("repository").notNull(),
  revision: text("revision").notNull(),
  status: text("status").$type<DownloadStatus>().notNull().default("WAITING"),
  cancelRequested: boolean("cancel_requested").notNull().default(false),
  /** What its worker does with how many bytes of how many, as it last told; null before. */
  stage: text("stage"),
  doneBytes: bigint("done_bytes", { mode: "number" }),
  totalBytes: bigint("total_bytes", { mode: "number" }),
  /** The file that is being downloaded, its bytes so far of how many, and files done of how many; null in other stages. */
  currentName: text("current_name"),
  currentDoneBytes: bigint("current_done_bytes", { mode: "number" }),
  currentTotalBytes: bigint("current_total_bytes", { mode: "number" }),
  filesDone: integer("files_done"),
  filesTotal: integer("files_total"),
  errorCode: text("error_code"),
  errorMessage: text("error_message"),
  /** The worker that has it, and when that claim lapses. */
  claimedBy: text("claimed_by"),
  claimExpiresAt: instant("claim_expires_at"),
  requestedAt: instant("requested_at").notNull().defaultNow(),
  finishedAt: instant("finished_at"),
});

export type ModelDownload = typeof modelDownloads.$inferSelect;
