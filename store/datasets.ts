/** Datasets: names for checked rows. The bytes are in the blob store. */
import { type SQL, and, eq, ilike, inArray, isNull, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../schema/errors.ts";
import type { Expiry } from "../schema/expiry.ts";
import { defaultProjectId } from "../schema/projects.ts";
import { type Dataset, datasets } from "../schema/tables.ts";
import { deleteDataset } from "./ends/datasets.ts";
import { expiryOf } from "./ends/expiry.ts";
import { type Page, containing, countOf, pageOf } from "./pages.ts";
import { type Database, type Executor, type Transaction, inOrderOf } from "./postgres/database.ts";
import { storedKey } from "./projects/names.ts";
import { refuseBeyondBytes } from "./projects/quotas.ts";
import { sharedWith } from "./projects/shared.ts";
import { addUsage } from "./projects/usage.ts";
import { type UsesOf, usesOfDatasets } from "./uses.ts";
import { announceDataset } from "./webhooks/announce.ts";

export interface NewDataset {
  /** The default one when left out. */
  readonly projectId?: string;
  /** None when left out. */
  readonly idempotencyKey?: string | null;
  /** When it ends; as the project says when left out. */
  readonly expiry?: Expiry | null;
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly rows: number;
}

export interface DatasetFilter {
  /** What a project has and may read; left out, those of all. */
  readonly projectId?: string | undefined;
  /** Part of its name, in upper or lower case. */
  readonly name?: string | undefined;
}

export interface Datasets {
  /** Stores it, or finds the first with its key. @throws CONFLICT for a key that was used with another name or other rows; QUOTA_EXCEEDED */
  create(dataset: NewDataset): Promise<Dataset>;
  /** The dataset that was stored with a key. */
  ofKey(idempotencyKey: string, projectId?: string): Promise<Dataset | null>;
  /** Null also for one that is deleted. */
  get(id: string): Promise<Dataset | null>;
  /** Those that are not deleted, newest first. */
  list(page: Page & DatasetFilter): Promise<Dataset[]>;
  /** How many the pages of such a list have together. */
  count(filter: DatasetFilter): Promise<number>;
  readonly uses: UsesOf;
  /** Also of those that are deleted and that runs or evaluations still name. */
  byIds(ids: readonly string[]): Promise<(Dataset | null)[]>;
  /** Deletes its rows. False if there is none. @throws CONFLICT naming what has not ended and needs them */
  delete(id: string): Promise<boolean>;
}

const keys = { table: datasets, sort: datasets.createdAt, id: datasets.id };

export function datasetsOf(database: Database): Datasets {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(datasets).where(inArray(datasets.id, wanted)));
  return {
    byIds,
    create: (dataset) => database.transaction((tx) => create(tx, dataset)),
    async get(id) {
      const [found] = await byIds([id]);
      return found?.deletedAt === null ? found : null;
    },
    delete: (id) => database.transaction((tx) => deleteDataset(tx, id)),
    ofKey: (key, projectId = defaultProjectId) => ofKey(database, storedKey(projectId, key)),
    uses: usesOfDatasets(database),
    count: (filter) => countOf(database, datasets, those(filter)),
    async list({ projectId, name, ...page }) {
      const mine = { ...keys, of: inSightOf(projectId) };
      const { where, order } = await pageOf(database, mine, page);
      return database
        .select()
        .from(datasets)
        .where(and(...where, those({ name })))
        .orderBy(...order)
        .limit(page.limit);
    },
  };
}

function those({ projectId, name }: DatasetFilter): SQL | undefined {
  return and(
    isNull(datasets.deletedAt),
    inSightOf(projectId),
    name === undefined ? undefined : ilike(datasets.name, containing(name)),
  );
}

/** Of a project, also what others share with it; or of all. */
function inSightOf(projectId: string | undefined): SQL | undefined {
  if (projectId === undefined) return undefined;
  return sql`(${datasets.projectId} = ${projectId} or ${datasets.id} in (${sharedWith(projectId, "DATASET")}))`;
}

async function create(tx: Transaction, { expiry, ...dataset }: NewDataset): Promise<Dataset> {
  const { projectId = defaultProjectId } = dataset;
  const idempotencyKey = storedKey(projectId, dataset.idempotencyKey);
  const [created] = await tx
    .insert(datasets)
    .values({ ...dataset, projectId, idempotencyKey, expiresAt: expiryOf({ projectId, expiry }, "DATASET") })
    .onConflictDoNothing({ target: datasets.idempotencyKey })
    .returning();
  if (created) {
    await refuseBeyondBytes(tx, projectId);
    await addUsage(tx, [{ projectId, kind: "BYTES", amount: created.bytes }]);
    await announceDataset(tx, created, "created");
    return created;
  }
  const key = dataset.idempotencyKey ?? "";
  const first = await ofKey(tx, idempotencyKey ?? "");
  invariant(first, `a dataset has the key ${key}`);
  if (first.name === dataset.name && first.sha256 === dataset.sha256) return first;
  throw new SteplogError(
    "CONFLICT",
    `The idempotency key ${JSON.stringify(key)} was used for dataset "${first.name}" with another name or other rows. ` +
      "Repeat that input to get the same dataset, or use a new key for a new one.",
  );
}

async function ofKey(database: Executor, key: string): Promise<Dataset | null> {
  const [found] = await database.select().from(datasets).where(eq(datasets.idempotencyKey, key));
  return found ?? null;
}
