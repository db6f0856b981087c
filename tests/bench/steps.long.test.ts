/** A bounded share of `bench steps`: what 100,000 steps take on the disk, and that every kind of request is answered. */
import { expect, test } from "vitest";
import type { StepsResult } from "../../bench/steps.ts";
import { FakeRun } from "../../bench/subscribers/fake-worker.ts";
import { directly } from "../store/fixtures.ts";
import { scratch } from "../support/models.ts";
import { testStore } from "../support/postgres.ts";
import { bench } from "./program.ts";

test("100,000 steps take a few bytes each in the log, and lists, charts, logs and new runs are answered", async () => {
  const args = ["steps", "--steps", "100000", "--runs", "4", "--requests", "5", "--json"];
  const { status, stdout, stderr } = bench(args, await scratch());
  expect({ status, stderr: status === 0 ? "" : stderr }).toStrictEqual({ status: 0, stderr: "" });
  const { bytes, waits } = JSON.parse(stdout) as StepsResult;
  expect(bytes.log).toBeGreaterThan(2);
  // Of ten million it is less than 4. Here a good part is what autovacuum, which comes once a minute, has not yet cleared away.
  expect(bytes.log).toBeLessThan(12);
  expect(Object.keys(waits)).toHaveLength(6);
  for (const { median, p99, max } of Object.values(waits)) {
    expect(median).toBeGreaterThan(0);
    expect(max).toBeGreaterThanOrEqual(p99);
    // Quiet, the slowest kind takes some 50 ms. This machine has other work.
    expect(p99).toBeLessThan(1_000);
  }
}, 180_000);

test("a step takes two bytes in the log, and with rows and indexes less than four", { timeout: 120_000 }, async () => {
  const service = await testStore();
  const [runs, steps] = [2, 25_000];
  for (let at = 0; at < runs; at++) {
    const run = await FakeRun.begin(service.store, steps, `run ${at}`);
    await run.appendAll(steps);
    await run.finish();
  }
  const sizes = async () =>
    directly(service.url, async (sql) => {
      // Autovacuum runs once a minute, and may not have cleared dead rows yet.
      await sql`vacuum full log_segments`;
      const [bytes] = await sql<{ own: number; whole: number }[]>`select sum(pg_column_size(scalars))::float8 as own,
        pg_total_relation_size('log_segments')::float8 as whole from log_segments`;
      return { own: (bytes?.own ?? Infinity) / (runs * steps), whole: (bytes?.whole ?? Infinity) / (runs * steps) };
    });
  // Rows that a transaction of another test's database may still see stay until it has ended.
  await expect.poll(async () => (await sizes()).whole, { timeout: 60_000, interval: 500 }).toBeLessThan(4);
  const { own } = await sizes();
  await service.drop();
  expect(own).toBeLessThanOrEqual(2.2);
});
