/** Applies the files of migrations/ to a database, each once and in order. */
import { sql } from "drizzle-orm";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import { SteplogError } from "../../schema/errors.ts";
import { packagePath } from "../../schema/package.ts";
import { requiredSettings } from "./connection.ts";
import type { Database } from "./database.ts";
import { openPool } from "./database.ts";
import { asStartError } from "./refusals.ts";
import type { DatabaseAddress } from "./url.ts";

export const migrationsFolder = packagePath("migrations");
/** Any number, as long as every Steplog process uses the same one: the letters of "steplog". */
const lockKey = 0x73_74_65_70_6c_6f_67n;

/**
 * The lock belongs to the session, so the pool has one connection, and closing it unlocks. A process that dies halfway leaves
 * no lock, and no half of a migration, because the migrator runs in one transaction.
 * @param address directly of Postgres: a pooler keeps no locks
 * @throws INVALID_ARGUMENT with Postgres' reason when waiting would not help: a password, a missing database or right, TLS
 */
export async function migrateDatabase(address: DatabaseAddress): Promise<void> {
  const pool = openPool(address, 1);
  try {
    await checkEncoding(pool.database);
    await pool.database.execute(sql`select pg_advisory_lock(${lockKey.toString()}::bigint)`);
    await migrate(pool.database, { migrationsFolder });
  } catch (error) {
    throw await asStartError(error, address);
  } finally {
    await pool.close();
  }
}

/** @throws INVALID_ARGUMENT when the database cannot hold all text */
async function checkEncoding(database: Database): Promise<void> {
  const [row] = await database.execute(sql`select current_setting('server_encoding') as encoding`);
  const encoding = String(row?.["encoding"]);
  if (encoding === "UTF8" || encoding === "SQL_ASCII") return;
  const advice = "Create the database with ENCODING 'UTF8' TEMPLATE template0.";
  throw new SteplogError("INVALID_ARGUMENT", `The database of DATABASE_URL has the encoding ${encoding}. ${advice}`);
}

/** A pooler hands out sessions that others have set up. @throws INVALID_ARGUMENT naming the setting and how to mend it */
export async function checkPooled(address: DatabaseAddress): Promise<void> {
  const pool = openPool(address, 1);
  try {
    for (const [name, wanted] of Object.entries(requiredSettings)) {
      const [row] = await pool.database.execute(sql`select current_setting(${name}) as value, current_user as role`);
      const value = String(row?.["value"]);
      if (wanted.test(value)) continue;
      const advice = `Run: alter role ${String(row?.["role"])} reset ${name}; alter database ... reset ${name};`;
      throw new SteplogError(
        "INVALID_ARGUMENT",
        `Through the pooler, ${name} is ${value}, which Steplog cannot read. ${advice}`,
      );
    }
  } catch (error) {
    throw await asStartError(error, address);
  } finally {
    await pool.close();
  }
}
