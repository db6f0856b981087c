/**
 * One Postgres for a whole run of the tests, with one migrated database that every test file clones (postgres.ts), so
 * that files run in parallel. STEPLOG_TEST_DATABASE_URL, the URL of a superuser, uses a server that is there; else the
 * embedded one starts in a temporary folder. Without either, the tests that need a database fail and say so, and the
 * others run. Beside it, the sources are compiled: tests import them, but processes and threads that tests start run what
 * is in dist/.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import postgres from "postgres";
import type { TestProject } from "vitest/node";
import { packagePath } from "../../schema/package.ts";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { migrateDatabase } from "../../store/postgres/migrate.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import { databaseUrl, randomName } from "./postgres.ts";

export interface TestPostgres {
  readonly adminUrl: string;
  readonly template: string;
}

declare module "vitest" {
  interface ProvidedContext {
    /** A string says why there is none. */
    postgres: TestPostgres | string;
    /** A folder for what tests build once, gone when all have ended. */
    built: string;
  }
}

/** Its name is the one that vitest looks for. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const built = await mkdtemp(join(tmpdir(), "steplog-built-"));
  project.provide("built", built);
  const [stop] = await Promise.all([setupPostgres(project), compile()]);
  return async () => {
    await stop();
    await rm(built, { recursive: true, force: true });
  };
}

/** Only what has changed. @throws with the compiler's output */
async function compile(): Promise<void> {
  const compiler = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
  await promisify(execFile)(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: packagePath(".") });
}

async function setupPostgres(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer().catch((error: unknown) => String(error));
  if (typeof server === "string") {
    project.provide("postgres", server);
    return async () => {};
  }
  const { adminUrl } = server;
  const template = randomName();
  await administer(adminUrl, `create database ${template}`);
  await migrateDatabase(readDatabaseUrl(databaseUrl(adminUrl, template)));
  project.provide("postgres", { adminUrl, template });
  return async () => {
    await administer(adminUrl, `drop database ${template} with (force)`);
    await server.stop();
  };
}

async function startServer(): Promise<{ adminUrl: string; stop(): Promise<void> }> {
  const given = process.env["STEPLOG_TEST_DATABASE_URL"];
  if (given) return { adminUrl: given, stop: async () => {} };
  const dataDir = await mkdtemp(join(tmpdir(), "steplog-tests-"));
  const embedded = await startEmbeddedPostgres({ dataDir, durable: false });
  return {
    adminUrl: embedded.url,
    async stop() {
      await embedded.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function administer(adminUrl: string, statement: string): Promise<void> {
  const client = postgres(adminUrl, { max: 1, onnotice: () => {} });
  try {
    await client.unsafe(statement);
  } finally {
    await client.end();
  }
}
