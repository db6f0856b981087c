/** What tests wait for is waited for as long on a machine that does much else, or stops this process for a while. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { firstTry } from "../support/first-try.ts";
import { until } from "./service.ts";

/** Nothing of this process runs meanwhile. */
const suspend = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test("a time in which this process was suspended is not counted", async () => {
  let isThere = false;
  const found = until("what comes after it", 1_500, () => isThere);
  await delay(10);
  suspend(2_000);
  await delay(200);
  isThere = true;
  expect(await found).toBeGreaterThan(2_000);
});

test("patience begins anew with progress, and ends without", async () => {
  let steps = 0;
  const training = setInterval(() => (steps += 1), 100);
  await until(
    "ten steps",
    400,
    () => steps === 10,
    () => steps,
  );
  clearInterval(training);
  await expect(
    until(
      "an eleventh",
      300,
      () => steps === 11,
      () => steps,
    ),
  ).rejects.toThrow("not within 300 ms");
});

test("a test of faults is tried again for what came too late, and for nothing else", async () => {
  const late: unknown = await until("an eleventh", 10, () => false).catch((error: unknown) => error);
  const timedOut = "Test timed out in 20000ms.\nIf this is a long-running test, pass a timeout value";
  for (const error of [late as Error, new Error(timedOut)]) expect(firstTry.retry.condition(error)).toBe(true);
  for (const message of ["expected 11 to be 10", "3 steps came twice", "not within 10 ms of it"])
    expect(firstTry.retry.condition(new Error(message))).toBe(false);
});
