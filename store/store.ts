/**
 * The store: the only door to Postgres and to the blobs. Server and workers meet here and nowhere else.
 *
 * What must stay true: rows are the truth and notifications only hints; whatever a worker writes is fenced by its lease
 * (leases.ts); what was acknowledged is on disk.
 */
import { sql } from "drizzle-orm";
import { appendsOf } from "./runs/appends.ts";
import { baseModelsOf } from "./base-models.ts";
import { openBlobs } from "./blobs.ts";
import { checkpointsOf } from "./runs/checkpoints.ts";
import { openPool } from "./postgres/database.ts";
import { datasetsOf } from "./datasets.ts";
import { translated } from "./postgres/failures.ts";
import { feedOf } from "./live/feed.ts";
import { fineTunesOf } from "./runs/fine-tunes.ts";
import { foundModelsOf } from "./found-models.ts";
import { openHub } from "./postgres/notifications.ts";
import { queueOf } from "./queue/jobs.ts";
import { migrateDatabase } from "./postgres/migrate.ts";
import { outcomesOf } from "./runs/lifecycle.ts";
import type { Store, StoreOptions } from "./types.ts";

export type * from "./types.ts";

/** Connects lazily: a database that does not answer shows at the first call, as UNAVAILABLE. */
export async function openStore({ databaseUrl, storageDir, log }: StoreOptions): Promise<Store> {
  const blobs = await openBlobs(storageDir);
  const pool = openPool(databaseUrl);
  const { database } = pool;
  const hub = openHub(databaseUrl, log);
  let closed: Promise<void> | null = null;
  return translated<Store>({
    migrate: () => migrateDatabase(databaseUrl),
    close: () => (closed ??= hub.close().then(() => pool.close())),
    async ping() {
      await database.execute(sql`select 1`);
    },
    blobs,
    baseModels: translated(baseModelsOf(database)),
    foundModels: translated(foundModelsOf(database)),
    datasets: translated(datasetsOf(database)),
    fineTunes: translated(fineTunesOf(database)),
    checkpoints: translated(checkpointsOf(database)),
    feed: feedOf(database, hub),
    ...queueOf(database, hub),
    ...appendsOf(database),
    ...outcomesOf(database, log),
  });
}
