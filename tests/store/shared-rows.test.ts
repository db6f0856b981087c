/** How often rows are read, whoever follows them: counts, without a database. */
import { createHook } from "node:async_hooks";
import { expect, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import type { Notifications } from "../../store/postgres/notifications.ts";
import { SharedRows } from "../../store/live/shared-rows.ts";
import { type Source, pageRows } from "../../store/live/window.ts";

const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);
const rest = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A run of numbers that grows by hand. */
class Run {
  last = 0;
  hasEnded = false;
  /** The number after which each read began. */
  readonly reads: number[] = [];
  failure: Error | null = null;
  readonly #flags = new Set<() => void>();

  readonly source: Source<number> = {
    last: async () => this.last,
    indexOf: (row) => row,
    read: async (after) => {
      this.reads.push(after);
      await rest();
      if (this.failure) throw this.failure;
      return { rows: upTo(Math.min(this.last, after + pageRows), after + 1), hasEnded: this.hasEnded };
    },
  };

  readonly notifications = {
    closed: false,
    subscribe: (_id: string, signal: AbortSignal) => {
      let raised = true;
      let wake = (): void => {};
      const raise = (): void => {
        raised = true;
        wake();
      };
      this.#flags.add(raise);
      signal.addEventListener("abort", raise);
      return {
        change: async () => {
          if (!raised) await new Promise<void>((resolve) => (wake = resolve));
          raised = false;
        },
        close: () => void this.#flags.delete(raise),
      };
    },
  } as unknown as Notifications;

  get readers(): number {
    return this.#flags.size;
  }

  async grow(by: number): Promise<void> {
    this.last += by;
    for (const raise of this.#flags) raise();
    await rest();
    await rest();
  }
}

async function all(rows: AsyncIterable<number>, taken: number[] = []): Promise<number[]> {
  for await (const row of rows) taken.push(row);
  return taken;
}

const never = () => new AbortController().signal;

test("a change is read once, whether one follows or a thousand do, from whatever number", async () => {
  const run = new Run();
  await run.grow(10);
  const shared = new SharedRows(run.notifications, () => run.source);
  const followers = upTo(1_000).map((index) => all(shared.after("run", 10 - (index % 3), never())));
  await rest();
  await rest();
  await rest();
  // The newest rows, and what was there before, once for each number from which somebody began.
  expect(run.reads.toSorted((a, b) => a - b)).toEqual([8, 9, 10]);
  run.reads.length = 0;
  for (let change = 0; change < 5; change++) await run.grow(2);
  run.hasEnded = true;
  await run.grow(0);
  expect(run.reads).toEqual([10, 12, 14, 16, 18, 20]);
  const seen = await Promise.all(followers);
  seen.forEach((rows, index) => expect(rows).toEqual(upTo(20, 11 - ((index + 1) % 3))));
  expect(run.readers).toBe(0);
});

test("a row costs each of those who follow five promises at most", async () => {
  const run = new Run();
  const shared = new SharedRows(run.notifications, () => run.source);
  const [followers, changes] = [200, 20];
  const seen = upTo(followers).map(() => taking(shared.after("run", 0, never())));
  await run.grow(1);
  let promises = 0;
  const counting = createHook({ init: (_id, type) => void (promises += type === "PROMISE" ? 1 : 0) }).enable();
  for (let change = 0; change < changes; change++) await run.grow(1);
  counting.disable();
  // That of next() and those of its wait, and one by which this test takes the row. Generators in generators took nine.
  expect(promises / followers / changes).toBeLessThan(5.5);
  run.hasEnded = true;
  await run.grow(0);
  for (const count of await Promise.all(seen)) expect(count).toBe(1 + changes);
});

async function taking(rows: AsyncIterator<number>): Promise<number> {
  for (let count = 0; ; count++) if ((await rows.next()).done === true) return count;
}

test("one that is slow makes nobody wait and holds no rows; it gets larger parts later, and each row once", async () => {
  const run = new Run();
  const shared = new SharedRows(run.notifications, () => run.source);
  const slow = shared.after("run", 0, never());
  const quick = all(shared.after("run", 0, never()));
  const first = slow.next();
  await rest();
  await run.grow(1);
  expect((await first).value).toBe(1);
  for (let change = 0; change < 6; change++) await run.grow(250);
  run.hasEnded = true;
  await run.grow(0);
  expect(await quick).toEqual(upTo(1_501));
  run.reads.length = 0;
  expect(await all(slow)).toEqual(upTo(1_501, 2));
  // All but the newest 500, in pages of as many.
  expect(run.reads).toEqual([1, 501]);
});

test("nobody reads once nobody follows", async () => {
  const run = new Run();
  const shared = new SharedRows(run.notifications, () => run.source);
  const leaving = new AbortController();
  const taken: number[] = [];
  const gone = all(shared.after("run", 0, leaving.signal), taken);
  await run.grow(3);
  await expect.poll(() => taken).toEqual([1, 2, 3]);
  leaving.abort();
  expect(await gone).toEqual([1, 2, 3]);
  run.reads.length = 0;
  await run.grow(3);
  expect(run.reads).toEqual([]);
});

test("what fails for the reader fails for all that follow, and those who come afterwards try again", async () => {
  const run = new Run();
  const shared = new SharedRows(run.notifications, () => run.source);
  const followers = upTo(3).map(() => all(shared.after("run", 0, never())));
  await run.grow(1);
  run.failure = new SteplogError("NOT_FOUND", "gone");
  const ended = Promise.allSettled(followers);
  await run.grow(1);
  for (const end of await ended) expect(end).toMatchObject({ status: "rejected", reason: { code: "NOT_FOUND" } });
  run.failure = null;
  run.hasEnded = true;
  expect(await all(shared.after("run", 0, never()))).toEqual([1, 2]);
});
