/**
 * The store: the only way to Postgres and to the blobs. Server and workers meet here and nowhere else.
 *
 * What must stay true: rows are the truth and notifications only hints; whatever a worker writes is fenced by its lease
 * (queue/leases.ts); what was acknowledged is on disk.
 *
 * Readers get rows of schema/tables.ts unchanged. Looking up an unknown or malformed id returns null; something required that
 * is missing throws NOT_FOUND. Every call may throw UNAVAILABLE when Postgres or the storage folder does not answer.
 */
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { SteplogError } from "../schema/errors.ts";
import type { Log } from "../schema/log.ts";
import type { Tracing } from "../schema/tracing.ts";
import type { Blobs } from "./blobs/blobs.ts";
import type { BucketBlobsOptions } from "./blobs/s3/blobs.ts";
import { type Origin, actingAs, actorOf } from "./audit/actor.ts";
import { openFolder } from "./blobs/folder.ts";
import { datasetsOf } from "./datasets.ts";
import { choresOf } from "./ends/chores.ts";
import { type CopiesOptions, type CopiesReport, sweepCopies } from "./ends/copies.ts";
import { type DueReport, type EndOptions, endDue } from "./ends/due.ts";
import { expiriesOf } from "./ends/expiry.ts";
import { type SweepOptions, type SweepReport, announcing, sweep } from "./ends/sweep.ts";
import { feedOf } from "./live/feed.ts";
import { baseModelsOf } from "./models/base-models.ts";
import { copiedModelsOf } from "./models/copied-models.ts";
import { foundModelsOf } from "./models/found-models.ts";
import { modelDownloadsOf } from "./models/model-downloads.ts";
import { modelFilesOf } from "./models/model-files.ts";
import { unusedParameters } from "./postgres/connection.ts";
import { keysOf } from "./projects/keys.ts";
import { projectsOf } from "./projects/projects.ts";
import { type ProjectStore, projectStoreOf } from "./projects/project-store.ts";
import { type PoolUse, openPool, usualConnections } from "./postgres/database.ts";
import { type Viewer, operator } from "../schema/projects.ts";
import { translated } from "./postgres/failures.ts";
import { checkPooled, migrateDatabase } from "./postgres/migrate.ts";
import { openNotifications } from "./postgres/notifications.ts";
import { readDatabaseUrl } from "./postgres/url.ts";
import type { Nouns } from "./nouns.ts";
import { type QueueDepth, queueDepthOf } from "./queue/depth.ts";
import { type Asker, giveWay } from "./queue/giving-way.ts";
import { type Queue, queueOf } from "./queue/jobs.ts";
import type { Lease } from "./queue/leases.ts";
import { type Sleeper, sleeperOf } from "./queue/sleeper.ts";
import { workersOf } from "./queue/workers.ts";
import { rowChecksOf } from "./row-checks.ts";
import { measureJobs, speedsOf } from "./speeds.ts";
import { type Appends, appendsOf } from "./runs/appends.ts";
import { type ChainPlace, checkpointsOf, checkpointsOfChains } from "./runs/checkpoints.ts";
import { type ExportResults, exportJobs, exportResultsOf, exportsOf } from "./runs/exports.ts";
import { fineTunesOf } from "./runs/fine-tunes.ts";
import { type RunEnd, endFineTune } from "./runs/go-back.ts";
import { fineTuneJobs } from "./runs/lifecycle.ts";
import { type Records, recordsOf } from "./runs/records.ts";
import { sweepsOf } from "./runs/sweeps.ts";
import { type Weights, materialiseJobs, weightsOf } from "./runs/weights.ts";
import { aliasesOf } from "./serving/aliases.ts";
import { completionsOf } from "./serving/completions.ts";
import { type EvaluationResults, evaluateJobs, evaluationResultsOf, evaluationsOf } from "./serving/evaluations.ts";
import { forgetCompletions } from "./serving/forget.ts";
import { completionJobs } from "./serving/lifecycle.ts";
import { modelsOf } from "./serving/models.ts";
import { type Answers, answersOf } from "./serving/pieces.ts";
import { webhooksOf } from "./webhooks/endpoints.ts";
import { type Outbox, outboxOf } from "./webhooks/outbox.ts";

export type { BucketBlobsOptions } from "./blobs/s3/blobs.ts";
export type { OwnFile } from "./projects/files.ts";
export { type Blobs, type PathOf, withFiles } from "./blobs/blobs.ts";
export { whenAvailable } from "./patience.ts";
export { embeddedVersion } from "./postgres/embedded-install.ts";
export { type DatabaseHealth, databaseHealth } from "./postgres/health.ts";
export { addPool } from "./pool-metrics.ts";
export type { ForkPoint, NewFineTune } from "./runs/create.ts";
export type { Lease } from "./queue/leases.ts";
export type { ClaimedJob, Claimer } from "./queue/claimers.ts";
export type { Sleeper } from "./queue/sleeper.ts";
export type { LiveWorker, WorkerReport } from "./queue/workers.ts";
export type { DownloadProgress } from "./models/model-downloads.ts";
export { type QueueEntry, type Share, workersWantedSql } from "./queue/depth.ts";
export { lackedBy } from "./queue/waiting.ts";
export { trainingNeeds } from "./runs/lifecycle.ts";
export { exportOfJob, formOfRow } from "./runs/exports.ts";
export type { GoBack } from "./runs/go-back.ts";
export type { RunFilter, RunLabels, RunOrder, RunSort } from "./runs/labels.ts";
export type { NewSweep } from "./runs/sweeps.ts";
export type { RunNote } from "./runs/lifecycle.ts";
export type { NewStepMetric, StepBatch } from "./runs/appends.ts";
export type { LoggedPair, StoredLog } from "./runs/logs.ts";
export type { ChartPoint, ChartRequest } from "./runs/charts.ts";
export type { Rows } from "./live/feed.ts";
export type { SeenModel } from "./models/found-models.ts";
export type { EvaluationEnd, NewEvaluation } from "./serving/evaluations.ts";
export { rulesOf } from "./serving/evaluations.ts";
export type { NewCompletion, Target } from "./serving/create.ts";
export type { ListedModel, ModelKey } from "./serving/models.ts";
export type { CompletionEnd, CompletionFailure } from "./serving/lifecycle.ts";
export type { Answered } from "./serving/answered.ts";
export type { WrittenChoice, WrittenPiece } from "./serving/pieces.ts";
export { unpackTokens } from "./serving/tokens.ts";
export { leaseNameOf } from "./queue/lease-names.ts";
export type { LoggedDelivery, NewWebhook, WebhookChange } from "./webhooks/endpoints.ts";
export type { AttemptOutcome, ClaimedDelivery, Outbox, OutboxDepth } from "./webhooks/outbox.ts";
export type { CopiesReport } from "./ends/copies.ts";
export type { Due, DueReport } from "./ends/due.ts";
export type { Ending, KeepChanges, WantedKeep } from "./ends/expiry.ts";
export type { BlobCount, SweepReport } from "./ends/sweep.ts";
export type { Page } from "./pages.ts";
export type { FoundKind } from "./projects/find.ts";
export type { Origin } from "./audit/actor.ts";
export { type ArchiveReport, checkArchive } from "./archive/check.ts";
export type { ArchiveFile } from "./archive/files.ts";
export { filesOfTar, isPlainName } from "./archive/tar.ts";
export type { Erasure } from "./ends/erase.ts";
export type { AuditFilter } from "./audit/log.ts";
export type { ProjectStore } from "./projects/project-store.ts";
export type { Uses } from "./uses.ts";
export type { Keys, MadeKey } from "./projects/keys.ts";

export interface StoreOptions {
  /** postgres://user:password@host:port/database; `pgbouncer=true` when a pooler in transaction mode answers there. */
  readonly databaseUrl: string;
  /** Postgres itself, when databaseUrl is a pooler's: migrations and LISTEN need a session of their own. */
  readonly directUrl?: string | undefined;
  /** Folder of the blobs; created when it is missing. */
  readonly storageDir: string;
  /** The bucket that has the blobs instead. */
  readonly bucket?: BucketBlobsOptions | null;
  /** Copies of what is elsewhere, and the most bytes of them. */
  readonly cacheDir?: string;
  readonly cacheBytes?: number;
  /** Runs that workers train at once, in all projects together; null, or left out, for any number. */
  readonly mostRuns?: number | null;
  /** How long entries of the audit log are kept; left out or 0, for ever. */
  readonly auditDays?: number;
  readonly log?: Log;
  /** Of transactions, and of the jobs that they add; none when left out. */
  readonly tracing?: Tracing | null;
}

/**
 * What a worker calls with its lease is at the top level; what anyone may call is grouped by noun. Whoever acts for somebody
 * takes that one's store (`of`).
 */
export interface Store extends Nouns, Queue, Appends, Answers, Records, Weights, ExportResults, EvaluationResults {
  /** Brings the tables up to date, under an advisory lock, so that several processes may start at once. */
  migrate(): Promise<void>;
  close(): Promise<void>;
  /** @throws UNAVAILABLE when Postgres does not answer */
  ping(): Promise<void>;
  /** Ends a run and its job; with `goBack`, a failed one has another run go on from its best checkpoint. */
  finishFineTune(job: Lease, outcome: RunEnd): Promise<void>;
  /**
   * Whether the worker should release the job for another one that it can do and that has its turn (queue/giving-way.ts). It has
   * promised to, then.
   */
  giveWay(job: Lease, asker: Asker): Promise<boolean>;
  /** For whoever starts a worker that is asleep; by the id of its row. */
  readonly sleeper: (id: string) => Sleeper;
  readonly queue: QueueDepth;
  /** Of this process. */
  poolUse(): PoolUse;
  /** What gateways deliver to webhooks. */
  readonly outbox: Outbox;
  /** Deletes blobs that nothing has named for a day, or says which these are; a worker does so every hour. */
  sweep(options: SweepOptions): Promise<SweepReport>;
  /** Deletes what is due and not in use, or says what that is; gateways and workers do so every minute. */
  endDue(options: EndOptions): Promise<DueReport>;
  /** Deletes what this machine has copied and nothing names or has room for any more, but nothing in use; or says what that is. */
  sweepCopies(options: CopiesOptions): Promise<CopiesReport>;
  /** Those of these places, a base hash and a chain hash, that are checkpoints. */
  checkpointsOfChains(places: readonly ChainPlace[]): Promise<readonly ChainPlace[]>;
  /** To be called now and then, by every process that stays: does what is due of the two above, one process at a time. */
  doChores(): void;
  /** What a viewer may see and do, and nothing else. */
  of(viewer: Viewer, origin?: Origin): ProjectStore;
  /** The same store, for a command line: what it does is written down as done by whoever calls it. */
  by(command: string): Store;
}

/**
 * Connects when first used: a database that does not answer shows at the first call, as UNAVAILABLE.
 * @throws INVALID_ARGUMENT for a URL that cannot be used
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { databaseUrl, directUrl, mostRuns = null, log, tracing = null } = options;
  const { address, direct } = addressesOf(databaseUrl, directUrl);
  const unused = unusedParameters(address);
  if (unused.length > 0) log?.info({ parameters: unused }, "Parameters of DATABASE_URL that have no effect.");
  const files = await openBlobs(options);
  const pool = openPool(address, usualConnections, tracing);
  const { database } = pool;
  const modelFiles = translated(modelFilesOf(database));
  const notifications = openNotifications(direct, log);
  const blobs = announcing(files, database);
  const over = new AbortController();
  const chores = choresOf(database, blobs, { over: over.signal, auditDays: options.auditDays ?? 0, mostRuns, log });
  let closed: Promise<void> | null = null;
  const store: Store = translated<Store>({
    async migrate() {
      await migrateDatabase(direct);
      if (address.pooled) await checkPooled(address);
    },
    close() {
      over.abort();
      blobs.close();
      return (closed ??= Promise.all([notifications.close(), chores.ended()]).then(() => pool.close()));
    },
    async ping() {
      await database.execute(sql`select 1`);
    },
    of: (viewer, origin = {}) =>
      projectStoreOf({ nouns: store, database, viewer, ping: () => store.ping(), actor: actorOf(viewer, origin) }),
    by: (command) => actingAs(store, actorOf(operator, { command })),
    finishFineTune: (lease, outcome) => database.transaction((tx) => endFineTune(tx, lease, outcome)),
    giveWay: (lease, asker) => giveWay(database, lease, asker, mostRuns),
    sweep: (options) => sweep(database, blobs, options),
    endDue: (options) => endDue(database, options),
    sweepCopies: (copies) => sweepCopies(database, cacheOf(options), copies),
    checkpointsOfChains: (places) => checkpointsOfChains(database, places),
    doChores: () => chores.begin(),
    expiries: translated(expiriesOf(database)),
    blobs,
    projects: translated(projectsOf(database)),
    keys: translated(keysOf(database, notifications)),
    baseModels: translated(baseModelsOf(database)),
    foundModels: translated(foundModelsOf(database)),
    modelDownloads: translated(modelDownloadsOf(database)),
    modelFiles,
    copiedModels: copiedModelsOf(modelFiles, blobs, cacheOf(options)),
    datasets: translated(datasetsOf(database)),
    rowChecks: translated(rowChecksOf(database)),
    speeds: translated(speedsOf(database)),
    fineTunes: translated(fineTunesOf(database, mostRuns)),
    sweeps: translated(sweepsOf(database)),
    checkpoints: translated(checkpointsOf(database)),
    completions: translated(completionsOf(database)),
    aliases: translated(aliasesOf(database)),
    models: translated(modelsOf(database)),
    evaluations: translated(evaluationsOf(database)),
    exports: translated(exportsOf(database)),
    workers: translated(
      workersOf(database, async () => {
        chores.begin();
        await forgetCompletions(database);
      }),
    ),
    sleeper: (id) => translated(sleeperOf(database, notifications, mostRuns)(id)),
    queue: translated(queueDepthOf(database)),
    poolUse: () => pool.use(),
    webhooks: translated(webhooksOf(database)),
    outbox: translated(outboxOf(database, notifications)),
    feed: feedOf(database, notifications),
    ...queueOf(database, notifications, { hooks: jobHooks, mostRuns }),
    ...appendsOf(database),
    ...answersOf(database),
    ...evaluationResultsOf(database),
    ...recordsOf(database, log),
    ...weightsOf(database),
    ...exportResultsOf(database),
  });
  return store;
}

const jobHooks = {
  FINE_TUNE: fineTuneJobs,
  MATERIALISE: materialiseJobs,
  EXPORT: exportJobs,
  MEASURE: measureJobs,
  EVALUATE: evaluateJobs,
  COMPLETE: completionJobs,
};

const usualCacheBytes = 50e9;

/** The library of S3 is loaded only for a bucket. */
async function openBlobs(options: StoreOptions): Promise<Blobs> {
  if (!options.bucket) return openFolder(options.storageDir);
  const { openBucket } = await import("./blobs/s3/blobs.ts");
  return openBucket(options.bucket, cacheOf(options));
}

function cacheOf({ storageDir, cacheDir, cacheBytes = usualCacheBytes }: StoreOptions) {
  return { cacheDir: cacheDir ?? join(storageDir, "cache"), cacheBytes };
}

/** @throws INVALID_ARGUMENT when a pooler is given without the way to Postgres itself */
function addressesOf(databaseUrl: string, directUrl: string | undefined) {
  const address = readDatabaseUrl(databaseUrl);
  if (!address.pooled) return { address, direct: address };
  const direct = directUrl === undefined ? address : readDatabaseUrl(directUrl, "DATABASE_DIRECT_URL");
  if (!direct.pooled) return { address, direct };
  const advice = "Set DATABASE_DIRECT_URL to Postgres itself, without pgbouncer=true: migrations and LISTEN need it.";
  throw new SteplogError("INVALID_ARGUMENT", `DATABASE_URL is a pooler's (pgbouncer=true). ${advice}`);
}
