/** When a worker counts as idle. Time is the test's. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Idleness } from "../../worker/idleness.ts";
import { Sharing } from "../../worker/sharing.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function idleAfter(ms: number, begin: (idleness: Idleness) => void = () => {}) {
  const idleness = new Idleness(() => Date.now());
  const stop = new AbortController();
  begin(idleness);
  let isIdle = false;
  void idleness.lasts(ms, stop.signal).then(() => (isIdle = true));
  const after = async (passed: number) => {
    await vi.advanceTimersByTimeAsync(passed);
    return isIdle;
  };
  return { idleness, stop, after };
}

test("without work it is idle after the time, and at once if that is 0", async () => {
  const { after } = idleAfter(1_000);
  expect(await after(999)).toBe(false);
  expect(await after(1)).toBe(true);
  expect(await idleAfter(0).after(0)).toBe(true);
});

test("every kind of work counts, and the time begins when the last has ended", async () => {
  const { idleness, after } = idleAfter(1_000, (some) => some.set("models", 1));
  expect(await after(5_000)).toBe(false);
  const sharing = new Sharing(idleness);
  sharing.claimedJob({ kind: "FINE_TUNE", memoryBytes: 0 });
  idleness.set("models", 0);
  sharing.claimedRequests(2);
  sharing.claimedJob(null);
  expect(await after(5_000)).toBe(false);
  sharing.holdRequests(1);
  expect(await after(5_000)).toBe(false);
  sharing.holdRequests(0);
  expect(await after(999)).toBe(false);
  // What finds nothing does not begin it anew.
  sharing.claimedRequests(0);
  sharing.claimedJob(null);
  expect(await after(1)).toBe(true);
});

test("a worker that is told to stop is never idle", async () => {
  const { stop, after } = idleAfter(1_000);
  stop.abort();
  expect(await after(5_000)).toBe(false);
});
