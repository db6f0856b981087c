/** Brings a database to the tables of schema/tables.ts by the files of migrations/, each once and in order. */
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import { Client } from "pg";
import { connectionOptions } from "./database.ts";

const migrationsFolder = fileURLToPath(new URL("../migrations", import.meta.url));
/** Any number will do, as long as every Steplog process uses the same: the letters of "steplog". */
const lockKey = "32497601348398951";

/**
 * The lock belongs to the session, so it ends with the connection: a process that dies halfway leaves neither a lock
 * nor, as each run of the migrator is one transaction, half a migration.
 */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const client = new Client(connectionOptions(databaseUrl));
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [lockKey]);
    await migrate(drizzle(client), { migrationsFolder });
  } finally {
    await client.end();
  }
}
