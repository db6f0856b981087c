/** Which statements connections keep, and that they are sent at once then. */
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KeptStatements } from "../../store/postgres/kept-statements.ts";
import { openPool } from "../../store/postgres/database.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import { type TestStore, testStore } from "../support/postgres.ts";

let fixture: TestStore;
beforeAll(async () => (fixture = await testStore()));
afterAll(() => fixture.drop());

test("those that come again, and no more than connections can remember", () => {
  const statements = new KeptStatements();
  const thrice = (text: string) => [statements.use(text), statements.use(text), statements.use(text)];
  expect(thrice("often")).toEqual([false, false, true]);
  for (let at = 0; at < 5_000; at++) expect(statements.use(`insert ${at} rows`)).toBe(false);
  const kept = Array.from({ length: 400 }, (_, at) => thrice(`some ${at}`)[2]);
  expect(kept.filter((isKept) => isKept)).toHaveLength(299);
  expect([statements.use("often"), statements.use("some 0"), statements.use("some 399")]).toEqual([true, true, false]);
});

test("a connection that keeps one plans it for its values", async () => {
  const pool = openPool(readDatabaseUrl(fixture.url), 1);
  const asked = (value: number) => pool.database.execute(sql`select ${value}::int as value`);
  for (const value of [1, 2, 3, 4]) expect(await asked(value)).toEqual([{ value }]);
  const kept = await pool.database.execute(
    sql`select statement, custom_plans, generic_plans from pg_prepared_statements`,
  );
  await pool.close();
  expect(kept).toMatchObject([{ statement: "select $1::int as value", custom_plans: "2", generic_plans: "0" }]);
});
