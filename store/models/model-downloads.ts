/**
 * Models from the hub: an operator asks for a repository, a worker claims the request, downloads it into its models folder and
 * registers it (models/downloads.ts). A claim expires like the lease of a job; the next claimer resumes from the
 * bytes on its disk. It needs no fencing: a folder appears whole or not at all, and two that tell of one overwrite each other's
 * progress.
 *
 *   WAITING -- claim --> RUNNING -- SUCCEEDED, FAILED, CANCELLED;  WAITING -- cancel --> CANCELLED;  RUNNING -- release --> WAITING
 *
 * These are not jobs of the queue: workers of the release before claim jobs of any kind, and would fail on this one.
 */
import { and, asc, eq, gt, inArray, isNull, lt, or, sql } from "drizzle-orm";
import { type ModelDownload, modelDownloads } from "../../schema/download-tables.ts";
import { type ErrorCode, SteplogError } from "../../schema/errors.ts";
import { baseModels } from "../../schema/tables.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import { wakeWorkers } from "../postgres/notify.ts";
import { msFromNow } from "../postgres/times.ts";

export interface NewDownload {
  readonly name: string;
  readonly repository: string;
  readonly revision: string;
}

interface Claim {
  readonly worker: string;
  readonly leaseMs: number;
}

export interface DownloadProgress {
  readonly stage: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** While files are downloaded. */
  readonly files?: FilesDownloaded | undefined;
}

interface FilesDownloaded {
  /** The one that is being downloaded. */
  readonly current: { readonly name: string; readonly doneBytes: number; readonly totalBytes: number } | null;
  readonly filesDone: number;
  readonly filesTotal: number;
}

export type DownloadEnd =
  | { readonly status: "SUCCEEDED" | "CANCELLED" }
  | { readonly status: "FAILED"; readonly code: ErrorCode; readonly message: string };

export interface ModelDownloads {
  /** The same request again, while it goes on, changes nothing. @throws CONFLICT for a name that a base model or another download has */
  request(download: NewDownload): Promise<ModelDownload>;
  /** One that waits ends at once, one that runs soon; one that has ended is forgotten. Null if there is none. */
  cancel(name: string): Promise<ModelDownload | null>;
  /** Those that go on, and those that ended within a day; the oldest first. */
  list(): Promise<ModelDownload[]>;
  /** The oldest that no live worker has; null when there is none. */
  claim(claim: Claim): Promise<ModelDownload | null>;
  /** Tells how far it is; null when another worker has it, or it is gone. */
  renew(name: string, claim: Claim, progress: DownloadProgress | null): Promise<{ cancelRequested: boolean } | null>;
  finish(name: string, worker: string, end: DownloadEnd): Promise<void>;
  /** Lets another worker continue at once. */
  release(name: string, worker: string): Promise<void>;
}

const free = { claimedBy: null, claimExpiresAt: null };
const goesOn = inArray(modelDownloads.status, ["WAITING", "RUNNING"]);
const shownFor = sql`clock_timestamp() - interval '1 day'`;
export const isUnclaimed = and(
  goesOn,
  or(isNull(modelDownloads.claimExpiresAt), lt(modelDownloads.claimExpiresAt, sql`clock_timestamp()`)),
);

export function modelDownloadsOf(database: Database): ModelDownloads {
  return {
    request: (download) => database.transaction((tx) => request(tx, download)),
    cancel: (name) => database.transaction((tx) => cancel(tx, name)),
    list: () =>
      database
        .select()
        .from(modelDownloads)
        .where(or(goesOn, gt(modelDownloads.finishedAt, shownFor)))
        .orderBy(asc(modelDownloads.requestedAt)),
    claim: (claim) => claimOldest(database, claim),
    async renew(name, claim, progress) {
      const [mine] = await database
        .update(modelDownloads)
        .set({ ...until(claim), ...(progress && columnsOf(progress)) })
        .where(ofWorker(name, claim.worker))
        .returning({ cancelRequested: modelDownloads.cancelRequested });
      return mine ?? null;
    },
    async finish(name, worker, end) {
      const error = end.status === "FAILED" ? { errorCode: end.code, errorMessage: end.message } : {};
      const ended = { ...free, ...error, status: end.status, finishedAt: sql`clock_timestamp()` };
      await database.update(modelDownloads).set(ended).where(ofWorker(name, worker));
    },
    async release(name, worker) {
      await database
        .update(modelDownloads)
        .set({ ...free, status: "WAITING" })
        .where(ofWorker(name, worker));
    },
  };
}

async function request(tx: Transaction, download: NewDownload): Promise<ModelDownload> {
  const { name, repository, revision } = download;
  const here = eq(modelDownloads.name, name);
  await tx.insert(modelDownloads).values(download).onConflictDoNothing();
  const before = only(await tx.select().from(modelDownloads).where(here).for("update"));
  const [model] = await tx.select({ name: baseModels.name }).from(baseModels).where(eq(baseModels.name, name));
  if (model) throw conflict(`There is a base model "${name}" already. Give this one another name.`);
  const isSame = before.repository === repository && before.revision === revision;
  const isUnderWay = before.finishedAt === null;
  if (isUnderWay && !isSame) {
    throw conflict(
      `"${name}" is being downloaded from ${before.repository}@${before.revision}. Give this one another name, or cancel that.`,
    );
  }
  // A worker that is asleep starts for it.
  await wakeWorkers(tx, null);
  if (isUnderWay) return before;
  const values = {
    ...download,
    ...free,
    ...begun,
    cancelRequested: false,
    errorCode: null,
    errorMessage: null,
    status: "WAITING" as const,
    finishedAt: null,
    requestedAt: sql`now()`,
  };
  return only(await tx.update(modelDownloads).set(values).where(here).returning());
}

function conflict(message: string): SteplogError {
  return new SteplogError("CONFLICT", `name: ${message}`, [{ field: "name", message }]);
}

async function cancel(tx: Transaction, name: string): Promise<ModelDownload | null> {
  const here = eq(modelDownloads.name, name);
  const [found] = await tx.select().from(modelDownloads).where(here).for("update");
  if (!found) return null;
  if (found.finishedAt !== null) {
    await tx.delete(modelDownloads).where(here);
    return found;
  }
  // Whoever has claimed it deletes what there is of it.
  const change =
    found.status === "WAITING"
      ? { ...free, status: "CANCELLED" as const, finishedAt: sql`clock_timestamp()` }
      : { cancelRequested: true };
  return only(await tx.update(modelDownloads).set(change).where(here).returning());
}

/** What is told before anything is. */
const begun = { stage: null, doneBytes: null, totalBytes: null, ...ofFiles(undefined) };

function columnsOf({ stage, doneBytes, totalBytes, files }: DownloadProgress) {
  return { stage, doneBytes, totalBytes, ...ofFiles(files) };
}

function ofFiles(files: FilesDownloaded | undefined) {
  const { current = null, filesDone = null, filesTotal = null } = files ?? {};
  return {
    currentName: current?.name ?? null,
    currentDoneBytes: current?.doneBytes ?? null,
    currentTotalBytes: current?.totalBytes ?? null,
    filesDone,
    filesTotal,
  };
}

async function claimOldest(database: Database, claim: Claim): Promise<ModelDownload | null> {
  const oldest = database
    .$with("oldest")
    .as(
      database
        .select({ name: modelDownloads.name })
        .from(modelDownloads)
        .where(isUnclaimed)
        .orderBy(asc(modelDownloads.requestedAt))
        .limit(1)
        .for("update", { skipLocked: true }),
    );
  const [claimed] = await database
    .with(oldest)
    .update(modelDownloads)
    .set({ status: "RUNNING", claimedBy: claim.worker, ...until(claim) })
    .where(eq(modelDownloads.name, sql`(select name from oldest)`))
    .returning();
  return claimed ?? null;
}

function until({ leaseMs }: Pick<Claim, "leaseMs">) {
  return { claimExpiresAt: msFromNow(leaseMs) };
}

function ofWorker(name: string, worker: string) {
  return and(eq(modelDownloads.name, name), eq(modelDownloads.claimedBy, worker));
}
