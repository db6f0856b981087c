/** What tests wait for is waited for as long on a machine that does much else, or stops this process for a while. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
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
