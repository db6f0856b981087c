/** How requests share the time of a worker that answers them at once. */
import { expect, test } from "vitest";
import { SharedTime } from "../../worker/serving/shared-time.ts";

test("each has its part of every second, and together they have what the worker took", () => {
  let now = 5_000;
  const time = new SharedTime(() => now);
  const first = time.begin();
  now += 4_000;
  const second = time.begin();
  now += 2_000;
  expect(second()).toBe(1);
  now += 1_000;
  expect(first()).toBe(6);
  now += 60_000;
  const third = time.begin();
  now += 3_000;
  expect([first(), second(), third()]).toEqual([6, 1, 3]);
});
