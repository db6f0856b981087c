/** A bounded share of `bench steps`: what 100,000 steps take on the disk, and that every kind of request is answered. */
import { expect, test } from "vitest";
import type { StepsResult } from "../../bench/steps.ts";
import { scratch } from "../support/models.ts";
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
  }
}, 180_000);
