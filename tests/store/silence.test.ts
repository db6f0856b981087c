/** Connections that stay open and say nothing: what waits on them is given up, and a statement that takes long is not. */
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type Pool, openPool } from "../../store/postgres/database.ts";
import { isUnavailable } from "../../store/postgres/failures.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type Relay, relayTo } from "../support/relay.ts";

const silentMs = 300;
const connections = 3;

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

async function relayed(): Promise<{ relay: Relay; pool: Pool }> {
  const relay = await relayTo(database.url);
  const pool = openPool(readDatabaseUrl(relay.url), connections, null, silentMs);
  onTestFinished(async () => {
    await pool.close();
    relay.close();
  });
  // Every connection is open and idle.
  await Promise.all(Array.from({ length: connections }, () => pool.database.execute(sql`select pg_sleep(0.05)`)));
  return { relay, pool };
}

const one = sql`select 1 as one`;

const works: Readonly<Record<string, (pool: Pool) => Promise<unknown>>> = {
  statement: ({ database: its }) => its.execute(one),
  transaction: ({ database: its }) => its.transaction((tx) => tx.execute(one)),
  "crowd that has no connection": ({ database: its }) =>
    Promise.all(Array.from({ length: 3 * connections }, () => its.execute(one))),
};

test.for(Object.entries(works))(
  "a %s is given up when its connection is lost, and the next one works",
  async ([, work]) => {
    const { relay, pool } = await relayed();
    relay.lose();
    await expect(work(pool)).rejects.toSatisfy(isUnavailable);
    expect(await pool.database.execute(one)).toEqual([{ one: 1 }]);
  },
);

test("a transaction whose connection is lost before it commits is given up", async () => {
  const { relay, pool } = await relayed();
  const work = pool.database.transaction(async (tx) => {
    await tx.execute(one);
    relay.lose();
  });
  await expect(work).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("has not answered") as string,
  });
  expect(await pool.database.execute(one)).toEqual([{ one: 1 }]);
});

test("while nothing passes at all, what waits is given up, and works once it does", { timeout: 30_000 }, async () => {
  const { relay, pool } = await relayed();
  relay.freezeAfter(0);
  await expect(pool.database.execute(one)).rejects.toSatisfy(isUnavailable);
  relay.restore();
  await expect.poll(() => pool.database.execute(one).catch(() => null)).toEqual([{ one: 1 }]);
});

test("a statement that takes long, one that waits for a lock and a crowd behind them go on", async () => {
  const { pool } = await relayed();
  const { database: its } = pool;
  await its.execute(sql`create table if not exists locked (id int)`);
  const holds = its.transaction(async (tx) => {
    await tx.execute(sql`lock table locked`);
    await tx.execute(sql`select pg_sleep(1.5)`);
  });
  const waits = its.transaction((tx) => tx.execute(sql`lock table locked`));
  const long = Array.from({ length: connections }, () => its.execute(sql`select pg_sleep(1.5)`));
  await Promise.all([holds, waits, ...long, its.execute(one)]);
});

test("a process that was suspended finds its answers, and gives nothing up", async () => {
  const { pool } = await relayed();
  const asked = pool.database.transaction(async (tx) => {
    await tx.execute(one);
    return tx.execute(one);
  });
  for (let times = 0; times < 3; times++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const until = performance.now() + 4 * silentMs;
    while (performance.now() < until);
  }
  expect(await asked).toEqual([{ one: 1 }]);
});
