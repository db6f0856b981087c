/** A store of a benchmark's own, with gateways on it: an embedded Postgres and a folder, which are gone afterwards. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../store/postgres/embedded.ts";
import { openStore, type Store } from "../store/store.ts";
import { type Gateway, startGateway } from "./gateway.ts";

export interface BenchStore {
  readonly store: Store;
  readonly databaseUrl: string;
  /** STEPLOG_DATA of its processes. */
  readonly folder: string;
  /** Is stopped after the work. */
  readonly startGateway: () => Promise<Gateway>;
}

interface Place {
  /** Where it is kept for another time; without, nothing is kept. */
  readonly folder?: string | undefined;
  /** Whether Postgres waits for the disk, as that of a service does. */
  readonly durable?: boolean;
}

export async function withBenchStore<T>(
  name: string,
  work: (bench: BenchStore) => Promise<T>,
  { folder: kept, durable = true }: Place = {},
): Promise<T> {
  const folder = kept ?? (await mkdtemp(join(tmpdir(), `steplog-bench-${name}-`)));
  await mkdir(folder, { recursive: true });
  const database = await startEmbeddedPostgres({ dataDir: folder, durable });
  const store = await openStore({ databaseUrl: database.url, storageDir: join(folder, "storage") });
  const gateways: Gateway[] = [];
  const start = async () => {
    const gateway = await startGateway(database.url, folder);
    gateways.push(gateway);
    return gateway;
  };
  try {
    await store.migrate();
    return await work({ store, databaseUrl: database.url, folder, startGateway: start });
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await store.close();
    await database.stop();
    if (kept === undefined) await rm(folder, { recursive: true, force: true });
  }
}
