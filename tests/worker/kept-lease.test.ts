/** A lease is renewed while its job goes on, and no renewal finds it gone because the job has ended. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import { renewMs } from "../../schema/limits.ts";
import type { ClaimedJob, Store } from "../../store/store.ts";
import { keepLease } from "../../worker/kept-lease.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Calls that the store answers when the test says so, in the order in which they came. */
function heldLease() {
  const calls: string[] = [];
  const answers: ((error?: Error) => void)[] = [];
  const call = (name: string) => () =>
    new Promise((resolve, reject) => {
      calls.push(name);
      answers.push((error) => (error ? reject(error) : resolve({ wanted: "RUN" })));
    });
  const store = { renewLease: call("renew"), finishFineTune: call("finish"), releaseJob: call("release"), speeds: {} };
  let isLost = false;
  const lease = keepLease(store as unknown as Store, job, () => {});
  lease.lost.catch(() => (isLost = true));
  onTestFinished(() => lease.end());
  return { calls, answer: (error?: Error) => answers.shift()?.(error), lease, isLost: () => isLost };
}

const job = { id: 1, token: 1 } as ClaimedJob;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test.each(["finish", "release"])(
  "a %s waits for the renewal that is under way, and none begins until it is answered",
  async (name) => {
    const { calls, answer, lease, isLost } = heldLease();
    await pass(renewMs);
    const ended =
      name === "finish" ? lease.store.finishFineTune(job, { status: "CANCELLED" }) : lease.store.releaseJob(job);
    await pass(100);
    expect(calls).toEqual(["renew"]);
    answer();
    await pass(3 * renewMs);
    expect(calls).toEqual(["renew", name]);
    answer();
    await ended;
    await pass(3 * renewMs);
    expect(calls).toEqual(["renew", name]);
    expect(isLost()).toBe(false);
  },
);

test("after an end that could not be written the lease is renewed again, and may be lost", async () => {
  const { calls, answer, lease, isLost } = heldLease();
  const ended = lease.store.finishFineTune(job, { status: "CANCELLED" }).catch((error: unknown) => error);
  await pass(0);
  answer(new SteplogError("UNAVAILABLE", "No."));
  expect(await ended).toMatchObject({ code: "UNAVAILABLE" });
  await pass(renewMs);
  expect(calls).toEqual(["finish", "renew"]);
  answer(new SteplogError("LEASE_LOST", "Gone."));
  await pass(0);
  expect(isLost()).toBe(true);
});
