/** The limit of runs at once, as processes tell it: those that disagree say so, once. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openPool } from "../../store/postgres/database.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import { limitTeller } from "../../store/queue/told-limit.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly } from "./fixtures.ts";

let fixture: TestStore;
let pool: ReturnType<typeof openPool>;
beforeAll(async () => {
  fixture = await testStore();
  pool = openPool(readDatabaseUrl(fixture.url), 1);
});
afterAll(async () => {
  await pool.close();
  await fixture.drop();
});
beforeEach(() => directly(fixture.url, (sql) => sql`delete from service_limits`));

/** A gateway or worker with this value, and what it has warned of. */
function processWith(most: number | null) {
  const warnings: [object, string][] = [];
  const quiet = () => undefined;
  const warn = (fields: object, message: string) => void warnings.push([fields, message]);
  return { tell: limitTeller(pool.database, most, { info: quiet, warn, error: quiet }), warnings };
}

const told = () => directly(fixture.url, (sql) => sql`select name, most from service_limits`);

test("the value of the last process that told it is in the database", async () => {
  const [two, any] = [processWith(2), processWith(null)];
  await two.tell();
  expect(await told()).toEqual([{ name: "concurrentRuns", most: 2 }]);
  await any.tell();
  expect(await told()).toEqual([{ name: "concurrentRuns", most: null }]);
});

test("two that disagree warn with both values, each once", async () => {
  const [two, any] = [processWith(2), processWith(null)];
  for (let minute = 0; minute < 3; minute++) for (const one of [two, any]) await one.tell();
  expect(two.warnings).toEqual([
    [{ here: 2, elsewhere: 0 }, expect.stringContaining("is 2 here, and 0 for another gateway or worker")],
  ]);
  expect(any.warnings).toEqual([
    [{ here: 0, elsewhere: 2 }, expect.stringContaining("is 0 here, and 2 for another gateway or worker")],
  ]);
  // Yet another value is news.
  const five = processWith(5);
  for (let minute = 0; minute < 2; minute++) for (const one of [five, two]) await one.tell();
  expect(two.warnings).toHaveLength(2);
  expect(two.warnings[1]?.[1]).toContain("is 2 here, and 5 for");
});

test("those that agree say nothing, nor does one that starts with a new value after the others have ended", async () => {
  const before = [processWith(2), processWith(2)];
  for (let minute = 0; minute < 2; minute++) for (const one of before) await one.tell();
  const after = [processWith(4), processWith(4)];
  for (let minute = 0; minute < 2; minute++) for (const one of after) await one.tell();
  for (const { warnings } of [...before, ...after]) expect(warnings).toEqual([]);
});
