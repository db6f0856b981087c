/** The lane of requests: what it claims, writes, cancels and gives back. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import type { Store } from "../../store/store.ts";
import { Sharing } from "../../worker/sharing.ts";
import { directly, newInput } from "../store/fixtures.ts";
import { claimRequests, newCompletion, taskOf } from "../store/serving-fixtures.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { type RunningLane, startLane, until } from "./serving-fixtures.ts";

let fixture: TestStore;
let store: Store;
const lanes: RunningLane[] = [];
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  await newInput(store);
});
beforeEach(() => directly(fixture.url, (sql) => sql`with j as (delete from jobs) delete from completions`));
afterEach(async () => {
  await Promise.all(lanes.splice(0).map((lane) => lane.stop()));
});
afterAll(() => fixture.drop());

function lane(changes: Parameters<typeof startLane>[1] = {}, on: Store = store): RunningLane {
  const started = startLane(on, changes);
  lanes.push(started);
  return started;
}

async function answer(id: string) {
  const completion = await store.completions.get(id);
  if (!completion) throw new Error("It is there.");
  const [choice] = await store.completions.choices(completion);
  return { status: completion.status, text: choice?.text, finish: choice?.finish, error: completion.errorCode };
}

async function untilStatus(id: string, status: string): Promise<void> {
  for (let left = 500; left > 0; left--) {
    if ((await store.completions.get(id))?.status === status) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`It did not become ${status}.`);
}

describe("tokens", () => {
  test("are written at once when they are the first, then together, of all requests", async () => {
    const appends: string[][] = [];
    const counting: Store = {
      ...store,
      async appendPieces(answers, device) {
        appends.push(answers.flatMap(({ pieces }) => pieces.map(({ text }) => text)));
        return store.appendPieces(answers, device);
      },
    };
    const [a, b] = [await newCompletion(store), await newCompletion(store, { task: taskOf({ n: 2 }) })];
    const thread = await lane({}, counting).thread();
    const [first, second] = [await thread.request(a), await thread.request(b)];
    expect(first).toMatchObject({ prompt: new Int32Array([5, 0, 151_000]), done: [{ tokens: [], finish: null }] });
    thread.tokens(first, 0, "a");
    await until(() => appends.length === 1);
    thread.tokens(first, 1, "b");
    thread.tokens(second, 1, "x", { choice: 1 });
    thread.tokens(first, 2, "c", { finish: "END" });
    thread.tokens(second, 2, "y", { choice: 1 });
    await until(() => appends.length === 2);
    expect(appends).toEqual([["a"], ["bc", "xy"]]);
    thread.end(first);
    await untilStatus(a.id, "SUCCEEDED");
    expect(await answer(a.id)).toMatchObject({ text: "abc", finish: "END" });
    expect(await store.completions.get(b.id)).toMatchObject({ status: "RUNNING", device: "fake", pieces: 1 });
  });

  test("tell of a cancel, which ends the request with what it has", async () => {
    const completion = await newCompletion(store);
    const { id } = completion;
    const thread = await lane().thread();
    const request = await thread.request(completion);
    thread.tokens(request, 0, "a");
    await until(() => !thread.isCancelled(request));
    await store.completions.cancel(id);
    thread.tokens(request, 1, "b");
    await until(() => thread.isCancelled(request));
    thread.tokens(request, 2, "", { finish: "CANCELLED" });
    thread.end(request);
    await untilStatus(id, "CANCELLED");
    expect(await answer(id)).toMatchObject({ text: "ab", finish: "CANCELLED" });
  });

  test("that the store cannot take end their request, and no other", async () => {
    const [bad, good] = [await newCompletion(store), await newCompletion(store)];
    const refusing: Store = {
      ...store,
      async appendPieces(answers, device) {
        if (answers.some(({ pieces }) => pieces.some(({ text }) => text === "!"))) {
          throw new SteplogError("INVALID_ARGUMENT", "text!");
        }
        return store.appendPieces(answers, device);
      },
    };
    const thread = await lane({}, refusing).thread();
    const [first, second] = [await thread.request(bad), await thread.request(good)];
    thread.tokens(first, 0, "!");
    thread.tokens(second, 0, "a", { finish: "END" });
    await until(() => thread.isCancelled(first));
    thread.end(second);
    await untilStatus(good.id, "SUCCEEDED");
    expect(await answer(good.id)).toMatchObject({ text: "a" });
    expect(await answer(bad.id)).toMatchObject({ status: "RUNNING" });
  });
});

test("what is wrong with files is told without their folders, which are in the log", async () => {
  const { id } = await newCompletion(store);
  const running = lane();
  const thread = await running.thread();
  const request = await thread.request({ id });
  const message = "/srv/steplog/models/tiny/config.json is not JSON.";
  const issues = [{ field: "config", message: "/srv/steplog/models/tiny/config.json ends early" }];
  thread.say({ type: "failed", id: request.id, code: "MODEL_INVALID", message, issues });
  await untilStatus(id, "FAILED");
  expect(await store.completions.get(id)).toMatchObject({
    errorCode: "MODEL_INVALID",
    errorMessage: "tiny/config.json is not JSON.",
    errorIssues: [{ field: "config", message: "tiny/config.json ends early" }],
  });
  expect(running.logged.join()).toContain("/srv/steplog/models/tiny/config.json");
});

describe("a request is another worker's", () => {
  test("when this one stops: what was said is written, and the next goes on after it", async () => {
    const completion = await newCompletion(store);
    const { id } = completion;
    const first = lane();
    const thread = await first.thread();
    thread.tokens(await thread.request(completion), 0, "ab");
    await first.stop();
    expect(thread).toMatchObject({ isKilled: true });
    const next = await lane().thread();
    const request = await next.request(completion);
    expect(request.done).toEqual([{ tokens: [97, 98], finish: null }]);
    next.tokens(request, 2, "c", { finish: "LENGTH" });
    next.end(request);
    await untilStatus(id, "SUCCEEDED");
    expect(await answer(id)).toMatchObject({ text: "abc", finish: "LENGTH" });
  });

  test("when its thread dies, which starts again with the next request", async () => {
    const completion = await newCompletion(store);
    const { id } = completion;
    const running = lane();
    const thread = await running.thread();
    thread.tokens(await thread.request(completion), 0, "a");
    const blamed = await newCompletion(store);
    const { id: request } = await thread.request(blamed);
    thread.listener.died(new SteplogError("MODEL_INVALID", "Its tokenizer takes too long."), request);
    await untilStatus(blamed.id, "FAILED");
    await newCompletion(store);
    await until(() => running.threads.length === 2);
    await directly(fixture.url, (sql) => sql`update jobs set not_before = null where not_before is not null`);
    await directly(fixture.url, (sql) => sql`select pg_notify('steplog_jobs', '')`);
    const again = await (await running.thread()).request(completion);
    expect(again.done).toEqual([{ tokens: [97], finish: null }]);
    expect(await answer(id)).toMatchObject({ status: "RUNNING", text: "a" });
  });

  test("when its lease is lost: it is cancelled here, and nothing more of it is written", async () => {
    const [lost, kept] = [await newCompletion(store), await newCompletion(store)];
    const running = lane({ sequences: 2 });
    const thread = await running.thread();
    const [first, second] = [await thread.request(lost), await thread.request(kept)];
    await directly(
      fixture.url,
      (sql) => sql`update jobs set lease_expires_at = now() - interval '1 second' where subject = ${lost.id}`,
    );
    await claimRequests(store, 1, "other");
    thread.tokens(first, 0, "a");
    thread.tokens(second, 0, "b");
    await until(() => thread.isCancelled(first));
    expect([await answer(lost.id), await answer(kept.id)]).toMatchObject([{ text: "" }, { text: "b" }]);
    // Its place is free again.
    await thread.request(await newCompletion(store));
  });
});

describe("an error", () => {
  test("of the model ends the request at once, and the folder is read again", async () => {
    const completion = await newCompletion(store);
    const { id } = completion;
    const running = lane();
    const thread = await running.thread();
    const { id: request } = await thread.request(completion);
    thread.say({ type: "failed", id: request, code: "BASE_MISMATCH", message: "The base has changed.", issues: [] });
    await untilStatus(id, "FAILED");
    expect(await store.completions.get(id)).toMatchObject({ errorCode: "BASE_MISMATCH" });
    expect(running.models.list()).toEqual([]);
  });

  test("of the worker gives it back, a few times", async () => {
    const completion = await newCompletion(store);
    const { id } = completion;
    const thread = await lane().thread();
    for (const attempt of [0, 1, 2]) {
      const request = await thread.request(completion, attempt);
      thread.say({ type: "failed", id: request.id, code: "INTERNAL", message: "secret", issues: [] });
      if (attempt === 2) break;
      await untilJob((job) => job?.["last_error"] !== null && job?.["lease_worker"] === null);
      await directly(fixture.url, (sql) => sql`update jobs set not_before = null`);
      await directly(fixture.url, (sql) => sql`select pg_notify('steplog_jobs', '')`);
    }
    await untilStatus(id, "FAILED");
    expect(await answer(id)).toMatchObject({ error: "INTERNAL" });
  });
});

async function untilJob(is: (job: Record<string, unknown> | undefined) => boolean): Promise<void> {
  for (let left = 500; left > 0; left--) {
    const [job] = await directly(fixture.url, (sql) => sql`select * from jobs`);
    if (is(job)) return;
  }
  throw new Error("The job did not become so.");
}

test("no text of a request is in a log, a job or a message of an attempt", async () => {
  const marker = "MARKER";
  const completion = await newCompletion(store, { task: taskOf({ stop: [marker] }) });
  const running = lane();
  const thread = await running.thread();
  const request = await thread.request(completion);
  thread.tokens(request, 0, marker);
  const said = { code: "INTERNAL", message: `Cannot decode ${marker}.` } as const;
  thread.say({ type: "failed", id: request.id, ...said, issues: [{ message: marker }] });
  await untilJob((job) => job?.["last_error"] !== null);
  const told = await directly(fixture.url, (sql) => sql<{ text: string }[]>`select jobs::text as text from jobs`);
  expect(await answer(completion.id)).toMatchObject({ text: marker });
  await running.stop();
  expect(running.logged.join("\n")).toMatch(/An attempt failed/u);
  expect(running.logged.join("\n") + JSON.stringify(told)).not.toContain(marker);
});

describe("beside jobs", () => {
  const job = { kind: "FINE_TUNE", memoryBytes: 1 } as const;
  const kinds = ["FINE_TUNE", "MEASURE"] as const;

  test("a measurement and requests exclude each other", () => {
    const sharing = new Sharing();
    expect(sharing.claimJobs(kinds)).toEqual(kinds);
    expect(sharing.claimRequests()).toBe(false);
    sharing.claimedJob({ ...job, kind: "MEASURE" });
    expect(sharing.claimRequests()).toBe(false);
    sharing.claimedJob(null);
    expect(sharing.claimRequests()).toBe(true);
    expect(sharing.claimJobs(kinds)).toEqual(["FINE_TUNE"]);
    sharing.claimedRequests(1);
    expect(sharing.claimJobs(kinds)).toEqual(["FINE_TUNE"]);
    sharing.claimedJob(job);
    expect(sharing.claimRequests()).toBe(true);
    sharing.claimedRequests(0);
    expect(sharing.claimJobs(kinds)).toEqual(kinds);
  });
});
