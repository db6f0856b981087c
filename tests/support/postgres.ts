/** A database of one's own for a test file: a clone of the template that global-setup.ts made. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { inject } from "vitest";
import { type Store, type StoreOptions, openStore } from "../../store/store.ts";

export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** @param options `empty` for one without tables */
export async function testDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const server = inject("postgres");
  if (typeof server === "string") throw new Error(`This test needs Postgres, and there is none: ${server}`);
  const admin = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
  const name = randomName();
  // Copying the template's files takes a third of the time of logging its pages, and nothing here needs that log.
  await admin.unsafe(`create database ${name} template ${empty ? "template0" : server.template} strategy file_copy`);
  return {
    url: databaseUrl(server.adminUrl, name),
    async drop() {
      await admin.unsafe(`drop database ${name} with (force)`);
      await admin.end();
    },
  };
}

export interface TestStore {
  readonly store: Store;
  readonly url: string;
  readonly storageDir: string;
  /** Another store on the same database and folder, as another process would have it; closed by drop(). */
  another(more?: Partial<StoreOptions>): Promise<Store>;
  /** Closes the stores and removes everything. */
  drop(): Promise<void>;
}

export async function testStore(options: Partial<StoreOptions> = {}): Promise<TestStore> {
  const database = await testDatabase();
  const storageDir = await mkdtemp(join(tmpdir(), "steplog-storage-"));
  const stores: Store[] = [];
  const another = async (more: Partial<StoreOptions> = {}): Promise<Store> => {
    const store = await openStore({ databaseUrl: database.url, storageDir, ...options, ...more });
    stores.push(store);
    return store;
  };
  return {
    store: await another(),
    url: database.url,
    storageDir,
    another,
    async drop() {
      await Promise.all(stores.map((store) => store.close()));
      await database.drop();
      await rm(storageDir, { recursive: true, force: true });
    },
  };
}

export function randomName(): string {
  return `test_${randomBytes(8).toString("hex")}`;
}

/** The same server, another database. */
export function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}
