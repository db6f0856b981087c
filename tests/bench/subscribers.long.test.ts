/** A bounded share of bench subscribers: nothing is lost or doubled, and nobody waits for those who do not read. */
import { expect, test } from "vitest";
import type { SubscribersResult } from "../../bench/subscribers/subscribers.ts";
import { scratch } from "../support/models.ts";
import { bench } from "./program.ts";

test("100 subscribers of a run, of which some are slow and some stalled", { timeout: 120_000 }, async () => {
  const shape = ["--subscribers", "100", "--slow", "5", "--stalled", "5", "--updates", "10", "--seconds", "10"];
  const { status, stdout, stderr } = bench(["subscribers", ...shape, "--json"], await scratch());
  expect({ status, stderr: status === 0 ? "" : stderr }).toStrictEqual({ status: 0, stderr: "" });
  const { fast, complete, readers, wrong, broken, memory } = JSON.parse(stdout) as SubscribersResult;
  expect({ complete, wrong }).toStrictEqual({ complete: readers, wrong: 0 });
  expect(readers).toStrictEqual({ fast: 90, slow: 5 });
  expect(broken).toBe(0);
  expect(fast.count).toBe(90 * 100);
  // Quiet, it is some 20 ms; before changes were read once for all, some waited for seconds. This machine has other work.
  expect(fast.p99).toBeLessThan(1_000);
  // What it takes to begin, such as compiled code, is there halfway: what grows since, as readers stall, would grow for ever.
  const [, halfway, ended] = memory;
  console.log(memory);
  expect(ended - halfway).toBeLessThan(30);
});
