/**
 * Keyset pages. A cursor is a row's id, and the row itself says where it stands: a JavaScript Date has milliseconds
 * where Postgres has microseconds, so a time that went through the client would skip or repeat its neighbours.
 */
import { type SQL, asc, desc, eq, sql } from "drizzle-orm";
import type { PgColumn, PgTable } from "drizzle-orm/pg-core";
import { SteplogError } from "../schema/errors.ts";
import { type Executor, isUuid } from "./postgres/database.ts";
import type { Page } from "./types.ts";

/** What the list is sorted by; the id settles ties. */
export interface Keys {
  readonly table: PgTable;
  readonly sort: PgColumn;
  readonly id: PgColumn;
}

/** Conditions and order of one page, for `.where(and(...where)).orderBy(...order).limit(page.limit)`. */
export async function pageOf(database: Executor, keys: Keys, page: Page): Promise<{ where: SQL[]; order: SQL[] }> {
  const place = sql`(${keys.sort}, ${keys.id})`;
  const where: SQL[] = [];
  if (page.after !== undefined) where.push(sql`${place} < ${await placeOf(database, keys, page.after)}`);
  if (page.before !== undefined) where.push(sql`${place} > ${await placeOf(database, keys, page.before)}`);
  const order = page.inverted ? [asc(keys.sort), asc(keys.id)] : [desc(keys.sort), desc(keys.id)];
  return { where, order };
}

async function placeOf(database: Executor, keys: Keys, cursor: string): Promise<SQL> {
  const known = isUuid(cursor) && (await database.select({ id: keys.id }).from(keys.table).where(eq(keys.id, cursor)));
  if (!known || known.length === 0) {
    throw new SteplogError("INVALID_ARGUMENT", `The cursor ${JSON.stringify(cursor)} is not from this list.`);
  }
  const sort = sql.identifier(keys.sort.name);
  return sql`(select c.${sort}, c.id from ${keys.table} as c where c.id = ${cursor})`;
}
