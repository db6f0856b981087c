/** Requests and their answers: created, claimed together, written together, cancelled, forgotten. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TransactionSql } from "postgres";
import { asSteplogError } from "../../schema/errors.ts";
import { abandonedMs, attendMs } from "../../schema/limits.ts";
import { evaluationRulesSchema } from "../../schema/model-evaluation.ts";
import type { CompletionPiece } from "../../schema/serving-tables.ts";
import { leaseNameOf, type Rows, type Store, unpackTokens } from "../../store/store.ts";
import { claimAny, everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly, lapse, longMs, newInput, newRun, sha256 } from "./fixtures.ts";
import {
  begun,
  claimRequests,
  device,
  newCompletion,
  pieceOf,
  requestOf,
  succeed,
  taskOf,
  usage,
  write,
} from "./serving-fixtures.ts";

let fixture: TestStore;
let store: Store;
let gateway: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  gateway = await fixture.another();
});
beforeEach(() =>
  directly(fixture.url, async (sql) => {
    await sql`delete from jobs`;
    await sql`delete from completions`;
    await sql`delete from model_evaluations`;
    await sql`delete from workers`;
  }),
);
afterAll(() => fixture.drop());

/** Until a statement waits for a lock that this transaction holds. */
async function untilWaiting(tx: TransactionSql): Promise<void> {
  const mine = tx`select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))`;
  if ((await mine).length === 0) return untilWaiting(tx);
}

const statusOf = async (id: string) => (await store.completions.get(id))?.status ?? "DELETED";

async function all(rows: Rows<CompletionPiece>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of rows) texts.push(text);
  return texts;
}

describe("create", () => {
  test("a repeated request finds the first, also where its seed was drawn or its alias has moved; another is refused", async () => {
    const request = await requestOf(store, { idempotencyKey: "k", isSeedDrawn: true, alias: "chat" });
    const { completion, created } = await store.completions.create(request);
    expect([created, completion.status, [...unpackTokens(completion.prompt)]]).toEqual([
      true,
      "QUEUED",
      [5, 0, 151_000],
    ]);
    const task = taskOf({ sampling: { ...taskOf().sampling, seed: 8 } });
    const again = await store.completions.create({ ...request, task });
    expect([again.created, again.completion]).toEqual([false, completion]);
    for (const change of [{ prompt: [5] }, { task: taskOf({ maxTokens: 3 }) }, { isSeedDrawn: false, task }]) {
      await expect(store.completions.create({ ...request, ...change })).rejects.toThrow(/"k" was used for another/u);
    }
    expect(await claimRequests(store)).toHaveLength(1);
  });

  test("beyond the limit of those that wait it is refused, and nothing stays; a repeated one is not", async () => {
    const queueLimit = 2;
    await newCompletion(store, { queueLimit, idempotencyKey: "first" });
    await newCompletion(store, { queueLimit });
    const refused = { code: "BUSY", message: expect.stringMatching(/^2 requests wait/u) as string };
    await expect(newCompletion(store, { queueLimit })).rejects.toMatchObject(refused);
    await newCompletion(store, { queueLimit, idempotencyKey: "first" });
    expect(await claimRequests(store)).toHaveLength(2);
    await newCompletion(store, { queueLimit });
  });

  test("the limit is exact, also for requests of the same moment by several gateways", async () => {
    const queueLimit = 5;
    const request = await requestOf(store, { queueLimit });
    const asked = Array.from({ length: 24 }, (_, index) => (index % 2 ? store : gateway).completions.create(request));
    const created = (await Promise.allSettled(asked)).filter(({ status }) => status === "fulfilled");
    expect(created).toHaveLength(queueLimit);
    expect(await claimRequests(store)).toHaveLength(queueLimit);
  });

  test("an unknown target is NOT_FOUND", async () => {
    const unknown = crypto.randomUUID();
    for (const change of [{ baseModelId: unknown }, { baseModelId: "x" }, { checkpointId: unknown }]) {
      await expect(newCompletion(store, change)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  test("the job tells nothing of the request", async () => {
    await newCompletion(store, { task: taskOf({ stop: ["secret"] }) });
    const rows = await directly(fixture.url, (sql) => sql<{ text: string }[]>`select jobs::text as text from jobs`);
    expect(rows[0]?.text).toMatch(/COMPLETE/u);
    expect(rows[0]?.text).not.toMatch(/secret|151000|maxTokens/u);
  });
});

describe("claims", () => {
  test("take as many as asked, oldest first; a base that is warm comes first for a while", async () => {
    const { id: cold } = await newCompletion(store);
    const size = { parameters: 4, bytes: 16, contextLength: 32 };
    const hash = "cd".repeat(32);
    const model = await store.baseModels.register({ name: "warm", hash, family: "opt", dtype: "F32", ...size });
    const warm = [
      await newCompletion(store, { baseModelId: model.id }),
      await newCompletion(store, { baseModelId: model.id }),
    ].map(({ id }) => id);
    const capabilities = { ...(await everything(store)), kinds: ["COMPLETE"] as const };
    const claim = async (patienceMs: number, most: number) => {
      const prefer = { bases: [hash], patienceMs };
      return store.claimer().claimJobs({ worker: "w/serve", leaseMs: longMs, capabilities, prefer }, most);
    };
    const subjects = (jobs: readonly { subject: string }[]) => jobs.map(({ subject }) => subject);
    const first = await claim(longMs, 2);
    expect(subjects(first)).toEqual(warm);
    for (const job of first) await store.releaseJob(job);
    expect(subjects(await claim(0, 2))).toEqual([cold, warm[0]]);
    expect(await claimRequests(store, 1)).toHaveLength(1);
    expect(await claimRequests(store, 1)).toHaveLength(0);
  });

  test("take the first of every project before the second of any, those that are being answered counted", async () => {
    const [many, few] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"] as const;
    await directly(
      fixture.url,
      (sql) => sql`insert into projects (id, name) values (${many}, 'many'), (${few}, 'few')`,
    );
    const requests = async (projectId: string, count: number) => {
      const ids: string[] = [];
      for (let i = 0; i < count; i++) ids.push((await newCompletion(store, { projectId })).id);
      return ids;
    };
    const [theirs, mine] = [await requests(many, 5), await requests(few, 2)];
    const ahead = (ids: readonly string[]) => Promise.all(ids.map((id) => store.completions.queuePosition(id)));
    expect(await ahead(theirs)).toEqual([0, 2, 4, 5, 6]);
    expect(await ahead(mine)).toEqual([1, 3]);
    const claim = async (most: number) => (await claimRequests(store, most)).map(({ subject }) => subject);
    expect(await claim(3)).toEqual([theirs[0], theirs[1], mine[0]]);
    expect(await ahead([...theirs.slice(2), ...mine.slice(1)])).toEqual([1, 2, 3, 0]);
    expect(await claim(2)).toEqual([theirs[2], mine[1]]);
  });

  test("are left for a while to another worker that is warm, alive and not full, and to no other", async () => {
    const { id } = await newCompletion(store);
    const capabilities = { ...(await everything(store)), kinds: ["COMPLETE"] as const };
    const base = sha256("tiny");
    const claim = async (worker: string, patienceMs: number, bases: readonly string[] = []) => {
      const prefer = { bases, patienceMs };
      const asked = { worker: leaseNameOf("COMPLETE", worker), leaseMs: longMs, capabilities, prefer };
      const jobs = await store.claimer().claimJobs(asked, 1);
      for (const job of jobs) await store.releaseJob(job);
      return jobs.map(({ subject }) => subject);
    };
    const report = async (requests: number, warm: readonly { base: string; chain: null }[]) => {
      const serving = { memoryBytes: 100, usedBytes: 0, places: 2, requests, warm };
      const row = { id: "6a0f9c3e-1f0b-4e5e-9a53-2b1f7c6f0002", name: "warm", device: "plain", version: "1", serving };
      await store.workers.report({ ...row, ...(await everything(store)) });
    };
    await report(1, [{ base, chain: null }]);
    expect(await claim("cold", longMs)).toEqual([]);
    expect(await claim("cold", 0)).toEqual([id]);
    expect(await claim("warm", longMs, [base])).toEqual([id]);
    expect(await claim("warm", longMs)).toEqual([id]);
    await report(2, [{ base, chain: null }]);
    expect(await claim("cold", longMs)).toEqual([id]);
    await report(0, [{ base: "ff".repeat(32), chain: null }]);
    expect(await claim("cold", longMs)).toEqual([id]);
    await report(0, [{ base, chain: null }]);
    await directly(fixture.url, (sql) => sql`update workers set last_seen_at = last_seen_at - interval '1 hour'`);
    expect(await claim("cold", longMs)).toEqual([id]);
  });

  test("two lanes of a worker hear of the same work, whichever looked last", async () => {
    const [one, other] = [store.claimer(), store.claimer()];
    const capabilities = await everything(store);
    const claim = { worker: "w", leaseMs: longMs, capabilities };
    await one.claimJobs(claim, 1);
    await other.claimJobs(claim, 1);
    // Their first wait ends when the store begins to listen.
    await Promise.all([one, other].map((lane) => lane.waitForJob({ timeoutMs: longMs })));
    await one.claimJobs(claim, 1);
    await other.claimJobs(claim, 1);
    await newCompletion(gateway);
    await one.waitForJob({ timeoutMs: longMs });
    expect(await one.claimJobs(claim, 1)).toHaveLength(1);
    await other.waitForJob({ timeoutMs: longMs });
  });

  test("a worker that names no COMPLETE, as those of the release before, leaves it alone", async () => {
    await newCompletion(store);
    const can = await everything(store);
    const kinds = ["FINE_TUNE", "MATERIALISE", "MEASURE"] as const;
    expect(await store.claimJob({ worker: "w", leaseMs: longMs, capabilities: { ...can, kinds } })).toBeNull();
    expect(await claimAny(store)).toMatchObject({ kind: "COMPLETE" });
  });

  test("one call renews all that are held, says what is wanted of each, and which are lost", async () => {
    const [a, b, c] = [await begun(store), await begun(store), await begun(store)];
    await store.completions.cancel(b.id);
    await lapse(fixture.url, c.job);
    await claimRequests(store);
    expect(await store.renewLeases([c.job, b.job, a.job], longMs)).toEqual([null, "CANCEL", "RUN"]);
    expect(await store.renewLeases([], longMs)).toEqual([]);
  });
});

describe("an answer", () => {
  test("is seen as it comes and again later, from any cursor, and joined", async () => {
    const { id, job } = await begun(store, { task: taskOf({ n: 2 }) });
    const live = all(gateway.feed.pieces(id, { after: 0 }));
    expect(await write(store, job, 0, "a")).toBe("RUN");
    expect(await store.completions.get(id)).toMatchObject({ status: "RUNNING", device, stage: null });
    const pieces = [
      pieceOf(1, "b\0", { finish: "END" }),
      pieceOf(0, "x", { choice: 1, tokens: [1, 2] }),
      pieceOf(2, "y", { choice: 1, finish: "LENGTH" }),
    ];
    const end = { status: "SUCCEEDED", usage, scores: null } as const;
    expect(await store.appendPieces([{ job, after: 1, pieces, end }], device)).toEqual(["RUN"]);
    expect(await live).toEqual(["a", "b\uFFFD", "x", "y"]);
    expect(await all(gateway.feed.pieces(id, { after: 2 }))).toEqual(["x", "y"]);
    const completion = await store.completions.get(id);
    expect(completion).toMatchObject({ status: "SUCCEEDED", usage, pieces: 4 });
    expect(completion && (await store.completions.choices(completion))).toEqual([
      { index: 0, tokens: [10, 11], text: "ab\uFFFD", logprobs: null, finish: "END" },
      { index: 1, tokens: [1, 2, 12], text: "xy", logprobs: null, finish: "LENGTH" },
    ]);
    expect(await claimAny(store)).toBeNull();
  });

  test("has scores instead, and log-probabilities where they were wanted", async () => {
    const chance = { token: 1, text: "\0", bytes: [0], logprob: -1 };
    const stored = { ...chance, text: "\uFFFD" };
    const { id, job } = await begun(store, { task: taskOf({ logprobs: 1 }) });
    const pieces = [pieceOf(0, "a", { logprobs: [{ ...chance, top: [chance] }] })];
    await store.appendPieces([{ job, after: 0, pieces, end: null }], device);
    const row = await store.completions.get(id);
    expect(row && (await store.completions.choices(row))).toMatchObject([
      { logprobs: [{ ...stored, top: [stored] }], finish: null },
    ]);
    const task = { kind: "SCORE", rows: [{ prompt: [1], completion: [2] }], logprobs: null, labels: null } as const;
    const scored = await begun(store, { task, prompt: [] });
    const scores = [[{ ...chance, text: "a", top: [] }]];
    const end = { status: "SUCCEEDED", usage, scores } as const;
    await store.appendPieces([{ job: scored.job, after: 0, pieces: [], end }], device);
    const done = await store.completions.get(scored.id);
    expect(done).toMatchObject({ status: "SUCCEEDED", scores });
    expect(done && (await store.completions.choices(done))).toEqual([]);
    expect(await all(store.feed.pieces(scored.id, { after: 0 }))).toEqual([]);
  });

  test("of a lost request is left out, and those beside it are written", async () => {
    const [kept, lost] = [await begun(store), await begun(store)];
    await lapse(fixture.url, lost.job);
    const [taken] = await claimRequests(store);
    const pieces = [pieceOf(0, "a")];
    const both = [lost, kept].map(({ job }) => ({ job, after: 0, pieces, end: null }));
    expect(await store.appendPieces(both, device)).toEqual([null, "RUN"]);
    expect((await store.completions.get(lost.id))?.pieces).toBe(0);
    expect(taken && (await write(store, taken, 0, "b"))).toBe("RUN");
  });

  test("that waits for others to change its rows is written once, and says what is wanted then", async () => {
    const { id, job } = await begun(store);
    let written: Promise<unknown> = Promise.resolve();
    for (const [after, set] of [`attended_until = now() + interval '1 hour'`, `wanted = 'CANCEL'`].entries()) {
      await directly(fixture.url, (sql) =>
        sql.begin(async (tx) => {
          await tx`update jobs set lease_expires_at = now() + interval '1 hour' where id = ${job.id}`;
          await tx.unsafe(`update completions set ${set} where id = '${id}'`);
          written = write(store, job, after, "ab"[after] ?? "");
          await untilWaiting(tx);
        }),
      );
      expect(await written).toBe(after === 0 ? "RUN" : "CANCEL");
    }
    const row = await store.completions.get(id);
    expect(row).toMatchObject({ pieces: 2, device });
    expect(row && (await store.completions.choices(row))).toMatchObject([{ text: "ab" }]);
  });

  test("of each of several is read at once, of an unknown one is NOT_FOUND", async () => {
    const [a, b] = [await begun(store), await begun(store)];
    const both = [a, b].map(({ job }, at) => ({ job, after: 0, pieces: [pieceOf(0, "ab"[at] ?? "")], end: null }));
    const live = [a, b, a].map(({ id }) => all(gateway.feed.pieces(id, { after: 0 })));
    const unknown = all(gateway.feed.pieces("00000000-0000-4000-8000-000000000000", { after: 0 }));
    await expect(unknown).rejects.toMatchObject({ code: "NOT_FOUND" });
    await store.appendPieces(both, device);
    await Promise.all([succeed(store, a.job, 1), succeed(store, b.job, 1)]);
    expect(await Promise.all(live)).toEqual([["a"], ["b"], ["a"]]);
  });

  test("can be written again where that may have failed, and only there", async () => {
    const { id, job } = await begun(store);
    await write(store, job, 0, "a", "b");
    expect(await write(store, job, 0, "a", "b")).toBe("RUN");
    expect(await write(store, job, 1, "b")).toBe("RUN");
    expect(await write(store, job, 1, "b", "c", "d")).toBeNull();
    expect(await write(store, job, 3, "d")).toBeNull();
    await succeed(store, job, 2);
    expect(await all(store.feed.pieces(id, { after: 0 }))).toEqual(["a", "b"]);
  });

  test("goes on under another worker after a release and a failed attempt; tokens are progress", async () => {
    const { id, job } = await begun(store);
    await store.setStage(job, "LOADING");
    expect(await store.completions.get(id)).toMatchObject({ stage: "LOADING" });
    await write(store, job, 0, "a");
    expect(await store.repeatJob(job, { message: "INTERNAL", attempts: 3 })).toBe(true);
    expect(await statusOf(id)).toBe("RUNNING");
    await directly(fixture.url, (sql) => sql`update jobs set not_before = null`);
    const [again] = await claimRequests(store);
    expect(again).toMatchObject({ subject: id, attempts: 2, lastError: "INTERNAL" });
    expect(await write(store, job, 1, "x")).toBeNull();
    expect(again && (await write(store, again, 1, "b"))).toBe("RUN");
    if (again) await store.releaseJob(again);
    expect(await claimRequests(store)).toMatchObject([{ attempts: 1, lastError: null }]);
  });
});

describe("cancel", () => {
  test("ends what nobody has begun at once, and what a worker holds with its next tokens", async () => {
    const { id: waiting } = await newCompletion(store);
    expect(await store.completions.cancel(waiting)).toMatchObject({ status: "CANCELLED" });
    expect(await claimAny(store)).toBeNull();

    const { id, job } = await begun(store);
    expect(await store.completions.cancel(id)).toMatchObject({ status: "RUNNING", wanted: "CANCEL" });
    expect(await write(store, job, 0, "a")).toBe("CANCEL");
    const end = { status: "CANCELLED", usage } as const;
    await store.appendPieces([{ job, after: 1, pieces: [], end }], device);
    const row = await store.completions.cancel(id);
    expect(row).toMatchObject({ status: "CANCELLED", usage });
    expect(await store.completions.choices(row)).toMatchObject([{ text: "a", finish: "CANCELLED" }]);
  });

  test("ends what waits for its next attempt, and an attempt that fails meanwhile is the last", async () => {
    const [waits, fails] = [await begun(store), await begun(store)];
    await store.repeatJob(waits.job, { message: "INTERNAL", attempts: 3 });
    expect(await store.completions.cancel(waits.id)).toMatchObject({ status: "CANCELLED" });
    await store.completions.cancel(fails.id);
    expect(await store.repeatJob(fails.job, { message: "INTERNAL", attempts: 3 })).toBe(true);
    expect(await statusOf(fails.id)).toBe("CANCELLED");
    await expect(store.completions.cancel("x")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("forgetting", () => {
  test("a deleted completion leaves nothing, and its worker and its watchers learn of it", async () => {
    const { id, job } = await begun(store);
    const watching = all(gateway.feed.pieces(id, { after: 0 }));
    await write(store, job, 0, "a");
    expect(await store.completions.delete(id)).toBe(true);
    await expect(watching).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await write(store, job, 1, "b")).toBeNull();
    expect(await store.completions.delete(id)).toBe(false);
    const left = await directly(fixture.url, (sql) => sql`select from completion_pieces union all select from jobs`);
    expect(left).toHaveLength(0);
  });

  test("reports of workers delete what has expired, and end what was not begun in time", async () => {
    const [expired, kept] = [await begun(store), await begun(store)];
    const { id: late } = await newCompletion(store, { waitMs: 2_000 });
    const past = "1 hour";
    await directly(fixture.url, async (sql) => {
      await sql`update completions set expires_at = now() - ${past}::interval where id = ${expired.id}`;
      await sql`update completions set start_by = start_by - ${past}::interval, created_at = created_at - ${past}::interval`;
    });
    const report = { id: crypto.randomUUID(), name: "w", device: "plain", version: "1" };
    await store.workers.report({ ...report, ...(await everything(store)) });
    expect(await Promise.all([expired, kept].map(({ id }) => statusOf(id)))).toEqual(["DELETED", "RUNNING"]);
    expect(await store.completions.get(late)).toMatchObject({
      status: "FAILED",
      errorCode: "UNAVAILABLE",
      errorMessage: expect.stringMatching(/within 2 seconds/u) as string,
    });
  });

  test("what its worker has left ends when no other goes on with it", async () => {
    const [killed, released, held] = [await begun(store), await begun(store), await begun(store)];
    await store.releaseJob(released.job);
    const ids = [killed, released, held].map(({ id }) => id);
    const statuses = async () => {
      await store.completions.forget();
      return Promise.all(ids.map(statusOf));
    };
    const later = (ms: number) =>
      directly(fixture.url, async (sql) => {
        const by = `${ms} milliseconds`;
        await sql`update completions set start_by = start_by - ${by}::interval`;
        await sql`update jobs set lease_expires_at = lease_expires_at - ${by}::interval where id <> ${held.job.id}`;
      });
    await later(longMs + 1_000);
    expect(await statuses()).toEqual(["RUNNING", "FAILED", "RUNNING"]);
    await later(abandonedMs);
    expect(await statuses()).toEqual(["FAILED", "FAILED", "RUNNING"]);
    expect(await store.completions.get(killed.id)).toMatchObject({
      errorCode: "UNAVAILABLE",
      errorMessage: expect.stringMatching(/gone/u) as string,
    });
    expect(await claimAny(store)).toBeNull();
  });

  test("what nobody waits for any more ends, but not what is to be fetched later", async () => {
    const isAttended = true;
    const [running, still] = [await begun(store, { isAttended }), await begun(store, { isAttended })];
    const [{ id: queued }, { id: later }] = [await newCompletion(store, { isAttended }), await newCompletion(store)];
    const ms = attendMs.holds + 1_000;
    await directly(
      fixture.url,
      (sql) => sql`update completions set attended_until = attended_until - ${`${ms} milliseconds`}::interval`,
    );
    await store.completions.attend([still.id, later, "x"]);
    await directly(fixture.url, (sql) => sql`update completions set attended_until = null where id = ${later}`);
    expect(await store.renewLeases([running.job, still.job], longMs)).toEqual(["CANCEL", "RUN"]);
    expect(await write(store, running.job, 0, "a")).toBe("CANCEL");
    await store.completions.forget();
    expect(await Promise.all([running.id, still.id, queued, later].map(statusOf))).toEqual([
      "RUNNING",
      "RUNNING",
      "CANCELLED",
      "QUEUED",
    ]);
  });

  test("a base model that goes takes its completions along", async () => {
    const size = { parameters: 4, bytes: 16, contextLength: 32 };
    const named = { name: "gone", hash: "ef".repeat(32), family: "opt", dtype: "F32" };
    const { id: baseModelId } = await store.baseModels.register({ ...named, ...size });
    const { id } = await newCompletion(store, { baseModelId });
    await store.aliases.set("chat", { baseModelId, checkpointId: null });
    await expect(store.baseModels.unregister("gone")).rejects.toMatchObject({ issues: [{ field: "chat" }] });
    const { baseModelId: other } = await newInput(store);
    await store.aliases.set("chat", { baseModelId: other, checkpointId: null });
    await store.baseModels.unregister("gone");
    expect(await statusOf(id)).toBe("DELETED");
    expect(await claimAny(store)).toBeNull();
    await expect(store.aliases.rollBack("chat")).rejects.toMatchObject({ code: "INVALID_STATE" });
  });
});

describe("evaluations", () => {
  async function input(changes: object = {}) {
    const { baseModelId, datasetId } = await newInput(store);
    const asked = { idempotencyKey: null, labelWords: ["good"], calibrationPrompt: null };
    return {
      ...asked,
      baseModelId,
      checkpointId: null,
      datasetId,
      settings: evaluationRulesSchema.parse({}),
      ...changes,
    };
  }
  const create = async (changes: object = {}) => store.evaluations.create(await input(changes));

  test("are repeated by key, measured by a worker, and listed by model, newest first", async () => {
    const target = await input({ idempotencyKey: "e" });
    const { evaluation } = await store.evaluations.create(target);
    expect(await store.evaluations.create(target)).toEqual({ evaluation, created: false });
    const other = store.evaluations.create({ ...target, labelWords: [] });
    await expect(other).rejects.toMatchObject({ code: "CONFLICT" });
    const { evaluation: second } = await create({ settings: evaluationRulesSchema.parse({ precision: "BFLOAT16" }) });
    const job = await claimAny(store);
    if (!job) throw new Error("There is a job.");
    expect(job).toMatchObject({ kind: "EVALUATE", subject: evaluation.id });
    expect(await store.evaluations.get(evaluation.id)).toMatchObject({ status: "RUNNING" });
    const measured = { rows: 3, loss: 0.5, accuracy: 1, f1: null, exactMatch: null };
    await store.finishEvaluation(job, { status: "SUCCEEDED", measured });
    expect(await store.evaluations.list(target, { limit: 9 })).toMatchObject([
      { id: second.id, status: "QUEUED" },
      { id: evaluation.id, status: "SUCCEEDED", ...measured },
    ]);
    const plain = { ...(await everything(store)), precisions: ["FLOAT32"] as const };
    expect(await store.claimJob({ worker: "w", leaseMs: longMs, capabilities: plain })).toBeNull();
  });

  test("are cancelled at once while they wait, and by their worker once they run", async () => {
    const { evaluation: waits } = await create();
    expect(await store.evaluations.cancel(waits.id)).toMatchObject({ status: "CANCELLED" });
    const { evaluation: runs } = await create();
    const job = await claimAny(store);
    if (!job) throw new Error("There is a job.");
    expect(await store.evaluations.cancel(runs.id)).toMatchObject({ status: "RUNNING", wanted: "CANCEL" });
    expect(await store.renewLease(job, longMs)).toEqual({ wanted: "CANCEL" });
    expect(await store.repeatJob(job, { message: "INTERNAL", attempts: 3 })).toBe(true);
    expect(await store.evaluations.get(runs.id)).toMatchObject({ status: "CANCELLED" });
    expect(await claimAny(store)).toBeNull();
  });
});

describe("waiting", () => {
  const serving = { memoryBytes: 100, usedBytes: 0, places: 1, requests: 0, warm: [] };

  async function report(changes: object = {}): Promise<void> {
    const row = { id: "6a0f9c3e-1f0b-4e5e-9a53-2b1f7c6f0001", name: "w", device: "plain", version: "1", serving };
    await store.workers.report({ ...row, ...(await everything(store)), ...changes });
  }

  test("a request says what no worker has for it, and whether others come first", async () => {
    const target = await requestOf(store);
    const create = () => store.completions.create({ ...target, idempotencyKey: "k", needsWorker: true });
    const whyNobodyCan = async (): Promise<string | null> => {
      const failure = await create().then(() => null, asSteplogError);
      expect(failure?.code ?? "UNAVAILABLE").toBe("UNAVAILABLE");
      return failure?.message ?? null;
    };
    expect(await whyNobodyCan()).toMatch(/^No worker is running/u);
    await report({ kinds: ["FINE_TUNE"], serving: null });
    expect(await whyNobodyCan()).toBe("No live worker answers requests. Start one: steplog worker --serve both.");
    await report({ serving: { ...serving, memoryBytes: 15 } });
    expect(await whyNobodyCan()).toMatch(/needs 16 bytes.* gives to requests is 15 bytes\. .*STEPLOG_SERVE_MEMORY/u);
    await report({ models: [] });
    expect(await whyNobodyCan()).toMatch(/has the base model tiny/u);
    await report({ serving: { ...serving, requests: 1 } });
    expect(await whyNobodyCan()).toBeNull();
    await report({ models: [] });
    const { completion, created } = await create();
    expect(created).toBe(false);
    await store.completions.delete(completion.id);
    await report({ serving: { ...serving, requests: 1 } });
    const [{ id: first }, { id: second }] = [await newCompletion(store), await newCompletion(store)];
    const reasons = () => Promise.all([first, second].map((id) => store.completions.waitingReason(id)));
    expect(await reasons()).toEqual([
      "Waiting for a worker: next in line.",
      "Waiting for a worker: 1 request is ahead.",
    ]);
    await report();
    expect(await reasons()).toEqual([null, null]);
    for (const wrong of [{ baseModelId: first }, { checkpointId: first }, { checkpointId: "x" }]) {
      const refused = store.completions.create({ ...target, ...wrong, needsWorker: true });
      await expect(refused).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  test("the list of workers has each once, with its one job, however many requests it answers", async () => {
    await report();
    const run = await newRun(store);
    await newCompletion(store);
    await newCompletion(store);
    expect(await claimRequests(store)).toHaveLength(2);
    await claimAny(store, "w");
    expect(await store.workers.list()).toMatchObject([{ name: "w", serving, job: { subject: run.id } }]);
    await store.fineTunes.cancel(run.id);
  });
});

describe("aliases", () => {
  test("point elsewhere and back; two at once make two moves", async () => {
    const { baseModelId: first } = await newInput(store);
    const size = { parameters: 4, bytes: 16, contextLength: 32 };
    const named = { name: "other", hash: "aa".repeat(32), family: "opt", dtype: "F32" };
    const { id: second } = await store.baseModels.register({ ...named, ...size });
    const at = (baseModelId: string) => ({ baseModelId, checkpointId: null });
    const set = (id: string) => store.aliases.set("best:latest", at(id));
    await Promise.all([set(first), set(second), set(first), set(second)]);
    const { moves, baseModelId } = (await store.aliases.resolve("best:latest")) ?? { moves: 0, baseModelId: "" };
    expect(moves).toBeGreaterThan(1);
    expect((await set(baseModelId)).moves).toBe(moves);
    const other = baseModelId === first ? second : first;
    expect(await set(other)).toMatchObject({ moves: moves + 1, baseModelId: other });
    expect(await store.aliases.rollBack("best:latest")).toMatchObject({ moves, baseModelId });
    expect(await store.aliases.rollBack("best:latest")).toMatchObject({ moves: moves - 1, baseModelId: other });
    expect(await store.aliases.list({ limit: 9, after: "best" })).toMatchObject([{ name: "best:latest" }, {}]);
    expect(await store.aliases.remove("best:latest")).toBe(true);
    expect(await store.aliases.remove("best:latest")).toBe(false);
    await expect(store.aliases.rollBack("best:latest")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test.for([
    ["tiny", "CONFLICT"],
    ["with space", "INVALID_ARGUMENT"],
    ["a/b", "INVALID_ARGUMENT"],
    ["", "INVALID_ARGUMENT"],
    ["6a0f9c3e-1f0b-4e5e-9a53-2b1f7c6f0001", "INVALID_ARGUMENT"],
  ] as const)("%j is refused: %s", async ([name, code]) => {
    const { baseModelId } = await newInput(store);
    await expect(store.aliases.set(name, { baseModelId, checkpointId: null })).rejects.toMatchObject({ code });
  });
});
