/**
 * Deletes blobs that no dataset, checkpoint, export or base model names, once that has been so for a day: whoever reads one has begun while
 * it was named, and whoever has stored one adds the row that names it soon.
 *
 * What must stay true: a blob that was just stored is there. `put` announces a hash before its bytes count as stored, which
 * renews the blob's row in loose_blobs; a sweep deletes that row first and the blob within the same transaction. So whichever
 * comes second waits: a put then stores the bytes again, and a sweep finds a row that is too young.
 */
import { type SQL, and, eq, inArray, isNotNull, isNull, lt, sql } from "drizzle-orm";
import { looseBlobs } from "../../schema/blob-tables.ts";
import { checkpointExports } from "../../schema/export-tables.ts";
import { baseModelFiles, checkpoints, datasets } from "../../schema/tables.ts";
import type { Blobs, StoredBlob } from "../blobs/blobs.ts";
import type { Database, Executor } from "../postgres/database.ts";
import { asStoreError } from "../postgres/failures.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { audit } from "../audit/audit.ts";

export interface BlobCount {
  readonly count: number;
  readonly bytes: number;
}

/** Of all blobs: those that are named, those that are not but may soon be, and those that were deleted or are to be. */
export interface SweepReport {
  readonly named: BlobCount;
  readonly waiting: BlobCount;
  readonly swept: BlobCount;
}

export interface SweepOptions {
  /** Whether to change nothing, and say what a sweep would delete now. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Whatever stores a blob says so first. */
export function announcing(blobs: Blobs, database: Database): Blobs {
  const announce = async (sha256: string) => {
    const renewed = { target: looseBlobs.sha256, set: { since: sql`now()` } };
    await database
      .insert(looseBlobs)
      .values({ sha256 })
      .onConflictDoUpdate(renewed)
      .catch((error: unknown) => {
        throw asStoreError(error);
      });
  };
  return { ...blobs, put: (source, options) => blobs.put(source, { ...options, announce }) };
}

const atOnce = 500;

export async function sweep(database: Database, blobs: Blobs, { dryRun, signal }: SweepOptions): Promise<SweepReport> {
  const report = { named: none(), waiting: none(), swept: none() };
  if (!dryRun) await blobs.tidy();
  for await (const batch of batches(blobs.list())) {
    if (signal?.aborted) break;
    const named = await namedOf(database, hashesOf(batch));
    if (!dryRun) await mark(database, batch, named);
    const due = await dueOf(database, hashesOf(batch));
    for (const blob of batch) {
      const isDue = !named.has(blob.sha256) && due.has(blob.sha256);
      const isSwept = isDue && (dryRun || (await removeLoose(database, blobs, blob.sha256)));
      add(named.has(blob.sha256) ? report.named : isSwept ? report.swept : report.waiting, blob);
    }
  }
  return report;
}

const none = () => ({ count: 0, bytes: 0 });
const hashesOf = (batch: readonly StoredBlob[]) => batch.map(({ sha256 }) => sha256);

function add(sum: { count: number; bytes: number }, { bytes }: StoredBlob): void {
  sum.count += 1;
  sum.bytes += bytes;
}

async function* batches(blobs: AsyncIterable<StoredBlob>): AsyncGenerator<StoredBlob[]> {
  let batch: StoredBlob[] = [];
  for await (const blob of blobs) {
    batch.push(blob);
    if (batch.length < atOnce) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Those that a row names. */
export async function namedOf(database: Executor, hashes: readonly string[]): Promise<ReadonlySet<string>> {
  const files = (table: typeof checkpoints | typeof checkpointExports | typeof baseModelFiles, column: SQL) =>
    sql`select file ->> 'sha256' from ${table}, jsonb_array_elements(${column}) as file where jsonb_typeof(${column}) = 'array'`;
  const rows = await database.execute<{ hash: string }>(sql`
    select hash from jsonb_array_elements_text(${JSON.stringify(hashes)}::jsonb) as hash where hash in (
      select ${datasets.sha256} from ${datasets} where ${isNull(datasets.deletedAt)}
      union all select ${checkpoints.weightsBlob} from ${checkpoints} where ${isNotNull(checkpoints.weightsBlob)}
      union all ${files(checkpoints, sql`${checkpoints.weightsFiles}`)}
      union all ${files(baseModelFiles, sql`${baseModelFiles.files}`)}
      union all ${files(checkpointExports, sql`${checkpointExports.files}`)})`);
  return new Set(rows.map(({ hash }) => hash));
}

/** From now on those without a name are counted as loose; those with one are not. */
async function mark(database: Database, batch: readonly StoredBlob[], named: ReadonlySet<string>): Promise<void> {
  if (named.size > 0) await database.delete(looseBlobs).where(inArray(looseBlobs.sha256, [...named]));
  const loose = batch.filter(({ sha256 }) => !named.has(sha256)).map(({ sha256, bytes }) => ({ sha256, bytes }));
  if (loose.length === 0) return;
  const known = { target: looseBlobs.sha256, set: { bytes: sql`excluded.bytes` } };
  await database.insert(looseBlobs).values(loose).onConflictDoUpdate(known);
}

const isOld = lt(looseBlobs.since, sql`now() - interval '1 day'`);

async function dueOf(database: Database, hashes: readonly string[]): Promise<ReadonlySet<string>> {
  const due = and(inArray(looseBlobs.sha256, [...hashes]), isOld);
  const rows = await database.select({ sha256: looseBlobs.sha256 }).from(looseBlobs).where(due);
  return new Set(rows.map(({ sha256 }) => sha256));
}

/** Removes a blob that has been loose for a day. False if it was stored or named in the meantime. */
export function removeLoose(database: Database, blobs: Blobs, sha256: string): Promise<boolean> {
  return database.transaction(async (tx) => {
    const gone = await tx
      .delete(looseBlobs)
      .where(and(eq(looseBlobs.sha256, sha256), isOld))
      .returning();
    if (gone.length === 0 || (await namedOf(tx, [sha256])).has(sha256)) return false;
    await blobs.remove(sha256);
    const object = { id: sha256, name: null };
    await audit(tx, { projectId: defaultProjectId, action: "file.swept", object });
    return true;
  });
}
