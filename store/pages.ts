/**
 * Keyset pages. A cursor is the id of a row, and Postgres looks up the row's time: a JavaScript Date has milliseconds where
 * Postgres has microseconds, so a time that went through the client would skip or repeat neighbouring rows.
 */
import { type SQL, type SQLWrapper, and, asc, between, count, desc, eq, sql } from "drizzle-orm";
import type { PgColumn, PgTable } from "drizzle-orm/pg-core";
import { SteplogError } from "../schema/errors.ts";
import { type Executor, isUuid, only } from "./postgres/database.ts";

/**
 * One page of a list, newest first unless its keys are ascending. A cursor is the id of a row: `after` gives the rows older than it, `before` the newer
 * ones. `inverted` reverses the order (oldest first), so that `limit` counts from the other end. These are the arguments
 * that Pothos' resolveCursorConnection passes on; its toCursor is `(row) => row.id`.
 */
export interface Page {
  readonly after?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
  readonly inverted?: boolean | undefined;
}

/** What the list is sorted by; the id breaks ties. */
export interface Keys {
  readonly table: PgTable;
  /**
   * The rows that the list could ever have: of a project, a run, an endpoint. No other row is a cursor, so that a position never
   * tells of one. What changes, as a filter's status, is not of it. Undefined: everybody's.
   */
  readonly of: SQL | undefined;
  readonly sort: PgColumn;
  readonly id: PgColumn;
  /** The least first. */
  readonly ascending?: boolean;
}

/** Conditions, also those of `keys.of`, and order of one page, for `.where(and(...where)).orderBy(...order).limit(page.limit)`. */
export async function pageOf(database: Executor, keys: Keys, page: Page): Promise<{ where: SQL[]; order: SQL[] }> {
  const position = sql`(${keys.sort}, ${keys.id})`;
  const where: SQL[] = keys.of ? [keys.of] : [];
  const { ascending = false } = keys;
  const [behind, ahead] = ascending ? [sql`>`, sql`<`] : [sql`<`, sql`>`];
  if (page.after !== undefined) where.push(sql`${position} ${behind} ${await positionOf(database, keys, page.after)}`);
  if (page.before !== undefined) where.push(sql`${position} ${ahead} ${await positionOf(database, keys, page.before)}`);
  const inOrder = (page.inverted ?? false) === ascending ? desc : asc;
  const order = [inOrder(keys.sort), inOrder(keys.id)];
  return { where, order };
}

/** How many rows meet a condition. */
export async function countOf(database: Executor, table: PgTable, where: SQL | undefined): Promise<number> {
  return only(await database.select({ count: count() }).from(table).where(where)).count;
}

/** Rows of one project, or of all. */
export function inProject({ projectId }: { readonly projectId: PgColumn }, id: string | undefined): SQL | undefined {
  return id === undefined ? undefined : eq(projectId, id);
}

async function positionOf(database: Executor, keys: Keys, cursor: string): Promise<SQL> {
  const here = and(keys.of, eq(keys.id, cursor));
  const known = isUuid(cursor) && (await database.select({ id: keys.id }).from(keys.table).where(here));
  if (!known || known.length === 0) {
    throw new SteplogError("INVALID_ARGUMENT", `The cursor ${JSON.stringify(cursor)} is not from this list.`);
  }
  const sort = sql.identifier(keys.sort.name);
  return sql`(select c.${sort}, c.id from ${keys.table} as c where c.id = ${cursor})`;
}

/** As a range, which the index of the ids knows; undefined for what no id begins with. */
export function beginsWith(id: SQLWrapper, text: string): SQL | undefined {
  const digits = text.toLowerCase().replaceAll("-", "");
  if (!/^[0-9a-f]{4,32}$/u.test(digits)) return undefined;
  return between(id, digits.padEnd(32, "0"), digits.padEnd(32, "f"));
}

/** A pattern of LIKE for what contains a text. */
export const containing = (text: string) => `%${text.replaceAll(/[\\%_]/gu, String.raw`\$&`)}%`;
