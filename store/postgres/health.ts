/** What a database says of itself, for whoever looks why a service does not start. Changes nothing. */
import { sql } from "drizzle-orm";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { openPool } from "./database.ts";
import { migrationsFolder } from "./migrate.ts";
import { asStoreError } from "./failures.ts";
import { asStartError } from "./refusals.ts";
import { readDatabaseUrl } from "./url.ts";

export interface DatabaseHealth {
  /** Such as "18.4". */
  readonly version: string;
  /** Its clock, and how long asking it took, in milliseconds. */
  readonly now: Date;
  readonly askedMs: number;
  /** Migrations that it has, and that this release has. */
  readonly applied: number;
  readonly known: number;
}

/** @throws UNAVAILABLE when nobody answers there; INVALID_ARGUMENT with Postgres' reason when waiting would not help */
export async function databaseHealth(databaseUrl: string, directUrl?: string): Promise<DatabaseHealth> {
  const direct = readDatabaseUrl(directUrl ?? databaseUrl);
  const pool = openPool(direct, 1);
  const { database } = pool;
  try {
    await database.execute(sql`select 1`);
    const before = performance.now();
    const [row] =
      await database.execute(sql`select clock_timestamp()::text as now, current_setting('server_version') as version,
      to_regclass('drizzle.__drizzle_migrations') is not null as migrated`);
    const askedMs = performance.now() - before;
    const [counted] = row?.["migrated"]
      ? await database.execute(sql`select count(*)::int as applied from drizzle.__drizzle_migrations`)
      : [];
    return {
      version: String(row?.["version"]).split(" ")[0] ?? "",
      now: new Date(String(row?.["now"])),
      askedMs,
      applied: Number(counted?.["applied"] ?? 0),
      known: readMigrationFiles({ migrationsFolder }).length,
    };
  } catch (error) {
    throw asStoreError(await asStartError(error, direct));
  } finally {
    await pool.close();
  }
}
