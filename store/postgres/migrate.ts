/** Applies the files of migrations/ to a database, each once and in order. */
import { sql } from "drizzle-orm";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import { packagePath } from "../../schema/package.ts";
import { openPool } from "./database.ts";

const migrationsFolder = packagePath("migrations");
/** Any number, as long as every Steplog process uses the same one: the letters of "steplog". */
const lockKey = 0x73_74_65_70_6c_6f_67n;

/**
 * The lock belongs to the session, so the pool has one connection, and closing it unlocks. A process that dies halfway leaves
 * no lock, and no half of a migration, because the migrator runs in one transaction.
 */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const pool = openPool(databaseUrl, 1);
  try {
    await pool.database.execute(sql`select pg_advisory_lock(${lockKey.toString()}::bigint)`);
    await migrate(pool.database, { migrationsFolder });
  } finally {
    await pool.close();
  }
}
