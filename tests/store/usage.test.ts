/** What projects use is counted with what is stored, once; and what is beyond a quota is refused without a trace. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Viewer, defaultProjectId, operator } from "../../schema/projects.ts";
import { evaluationRulesSchema } from "../../schema/model-evaluation.ts";
import type { QuotaName } from "../../schema/usage.ts";
import type { ProjectStore, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import {
  append,
  batchOf,
  chainAfter,
  chainStart,
  claimed,
  directly,
  headerBytes,
  newInput,
  sha256,
} from "./fixtures.ts";
import { claimRequests, requestOf, succeed, usage, write } from "./serving-fixtures.ts";

const projectId = "11111111-1111-4111-8111-111111111111";
const admin: Viewer = { projectId, scopes: new Set(["read", "write", "train", "infer", "admin"]), key: null };

let fixture: TestStore;
let store: Store;
let mine: ProjectStore;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  await directly(fixture.url, (sql) => sql`insert into projects (id, name) values (${projectId}, 'one')`);
  mine = store.of(admin);
});
beforeEach(() =>
  directly(fixture.url, async (sql) => {
    await sql`delete from jobs`;
    await sql`delete from completions`;
    await sql`delete from model_evaluations`;
    await sql`delete from fine_tunes`;
    await sql`delete from datasets where project_id = ${projectId}`;
    await sql`delete from usage_days`;
    await sql`update projects set quotas = '{}'`;
  }),
);
afterAll(() => fixture.drop());

const today = () => new Date().toISOString().slice(0, 10);
const used = async () => (await mine.accounts.usage(today(), today()))[0];

async function newRun(steps = 100) {
  const input = await newInput(store);
  const dataset = await store.datasets.create({ projectId, name: "own", sha256: sha256("own"), bytes: 4, rows: 1 });
  const hyperparameters = { ...input.hyperparameters, steps };
  return mine.fineTunes.create({ ...input, datasetId: dataset.id, hyperparameters });
}

async function newTraining(steps = 100) {
  await newRun(steps);
  const job = await claimed(store);
  await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
  return job;
}

/** A run with a checkpoint after its first step. */
async function newCheckpoint() {
  const job = await newTraining();
  await append(store, job, 0, 1);
  const place = { entries: 1, step: 1, chain: chainAfter(1), weightsDigest: "ab".repeat(32) };
  return { job, checkpoint: await store.recordCheckpoint(job, place) };
}

/** As if the job that is held had been claimed so many seconds ago. */
const begunBefore = (seconds: number) =>
  directly(
    fixture.url,
    (sql) => sql`update jobs set claimed_at = clock_timestamp() - ${seconds} * interval '1 second'
      where claimed_at > clock_timestamp() - interval '5 seconds'`,
  );

const failure = { status: "FAILED", code: "INTERNAL", message: "A bug.", issues: [] } as const;

async function evaluationOf() {
  const { baseModelId } = await newInput(store);
  const { id: datasetId } = await store.datasets.create({
    projectId,
    name: "own",
    sha256: sha256("own"),
    bytes: 4,
    rows: 1,
  });
  const settings = evaluationRulesSchema.parse({ answerTokens: 4 });
  const target = { baseModelId, checkpointId: null };
  return { ...target, datasetId, idempotencyKey: null, labelWords: [], calibrationPrompt: null, settings };
}

function exceeded(name: QuotaName, limit: number, more: object = {}): unknown {
  const quota: unknown = expect.objectContaining({ name, limit });
  return expect.objectContaining({ code: "QUOTA_EXCEEDED", quota, ...more });
}

describe("usage", () => {
  test("steps, their seconds and their tokens are counted with every batch, and an append that is refused counts nothing", async () => {
    const job = await newTraining();
    await append(store, job, 0, 3);
    await append(store, job, 3, 2);
    await expect(store.appendSteps(job, batchOf(3, 2))).rejects.toThrow("ends at entry 5");
    expect(await used()).toMatchObject({ day: today(), STEPS: 5, TOKENS_TRAINED: 100, TOKENS_GENERATED: 0 });
    expect((await used())?.STEP_SECONDS).toBeCloseTo(0.05, 9);
  });

  test("two runs of a project count together, whatever is appended at once", async () => {
    const jobs = [await newTraining(), await newTraining(), await newTraining()];
    await Promise.all(jobs.map((job) => append(store, job, 0, 7)));
    expect(await used()).toMatchObject({ STEPS: 21, TOKENS_TRAINED: 420 });
  });

  test("an answer counts as it is stored, once, and whether it succeeds, fails or is cancelled", async () => {
    await mine.completions.create(await requestOf(store));
    const [job] = await claimRequests(store);
    if (!job) throw new Error("The request was claimed.");
    await write(store, job, 0, "a", "b");
    await write(store, job, 0, "a", "b");
    await succeed(store, job, 2);
    await succeed(store, job, 2);
    expect(await used()).toMatchObject({ TOKENS_GENERATED: usage.completionTokens });
    for (const end of [failure, { status: "CANCELLED", usage: null }] as const) {
      await mine.completions.create(await requestOf(store));
      const [next] = await claimRequests(store);
      if (!next) throw new Error("The request was claimed.");
      await write(store, next, 0, "c");
      const last = { job: next, after: 1, pieces: [], end, seconds: 0.5 };
      await store.appendPieces([last], "plain");
      await store.appendPieces([last], "plain");
    }
    expect(await used()).toMatchObject({ TOKENS_GENERATED: usage.completionTokens + 2, COMPLETION_SECONDS: 1 });
  });

  test("an evaluation counts from its claim on, and what it generated, however it ends", async () => {
    const measured = { rows: 1, loss: 1, accuracy: null, f1: 1, exactMatch: 1 };
    const ends = [{ status: "SUCCEEDED", measured }, { status: "CANCELLED" }, failure] as const;
    for (const [index, end] of ends.entries()) {
      await mine.evaluations.create(await evaluationOf());
      const job = await claimed(store);
      await begunBefore(10);
      await store.countGenerated(job, 4);
      await store.finishEvaluation(job, end);
      const { TOKENS_GENERATED: tokens, EVALUATION_SECONDS: seconds = 0 } = (await used()) ?? {};
      expect(tokens).toBe(4 * (index + 1));
      expect(Math.abs(seconds - 10 * (index + 1))).toBeLessThan(5);
    }
  });

  test("an evaluation that a worker gives back, or that is deleted meanwhile, counts; one that nobody began does not", async () => {
    const { evaluation } = await mine.evaluations.create(await evaluationOf());
    const job = await claimed(store);
    await begunBefore(10);
    await store.releaseJob(job);
    await claimed(store);
    await begunBefore(100);
    await mine.evaluations.delete(evaluation.id);
    expect(Math.abs(((await used())?.EVALUATION_SECONDS ?? 0) - 110)).toBeLessThan(10);
    const next = await mine.evaluations.create(await evaluationOf());
    await mine.evaluations.cancel(next.evaluation.id);
    expect(Math.abs(((await used())?.EVALUATION_SECONDS ?? 0) - 110)).toBeLessThan(10);
  });

  test("a lease that has expired counts until then: its worker may be dead", async () => {
    const { evaluation } = await mine.evaluations.create(await evaluationOf());
    await claimed(store);
    await begunBefore(1_000);
    await directly(fixture.url, (sql) => sql`update jobs set lease_expires_at = now() - interval '970 seconds'`);
    await mine.evaluations.delete(evaluation.id);
    expect(Math.abs(((await used())?.EVALUATION_SECONDS ?? 0) - 30)).toBeLessThan(5);
  });

  test("evaluations of a run count as it measures them, once", async () => {
    const job = await newTraining();
    const evaluation = { entries: 0, step: 0, rows: 1, loss: 1, accuracy: null, seconds: 7 };
    await store.recordEvaluation(job, evaluation);
    await store.recordEvaluation(job, evaluation);
    await store.finishFineTune(job, { status: "CANCELLED" });
    expect(await used()).toMatchObject({ EVALUATION_SECONDS: 7, STEP_SECONDS: 0 });
  });

  test("rebuilt weights and exports count, also where they fail", async () => {
    const { checkpoint } = await newCheckpoint();
    await mine.checkpoints.requestWeights(checkpoint.id);
    const rebuild = await claimed(store);
    await begunBefore(20);
    await store.finishMaterialise(rebuild, { error: "INTERNAL: a bug" });
    await mine.exports.request(checkpoint.id, { merged: false, dtype: "float16" });
    const made = await claimed(store);
    await begunBefore(30);
    await store.finishExport(made, { files: [] });
    expect(Math.abs(((await used())?.REBUILD_SECONDS ?? 0) - 50)).toBeLessThan(5);
  });

  test("a dataset counts when it is created, and not when its key finds it again", async () => {
    const rows = { idempotencyKey: "k", name: "reviews", sha256: sha256("rows"), bytes: 400, rows: 1 };
    await store.datasets.create({ ...rows, projectId });
    await store.datasets.create({ ...rows, projectId });
    expect(await used()).toMatchObject({ BYTES: 400 });
  });

  test("is each project's own, and an operator's to read", async () => {
    await append(store, await newTraining(), 0, 2);
    expect(await store.of(operator).accounts.usage(today(), today())).toMatchObject([{ STEPS: 0 }]);
    expect(await store.of(operator).accounts.usage(today(), today(), projectId)).toMatchObject([{ STEPS: 2 }]);
    await expect(mine.accounts.usage(today(), today(), defaultProjectId)).rejects.toThrow("There is no project");
    await expect(store.of(operator).accounts.usage(today(), today(), "none")).rejects.toThrow("There is no project");
    expect(await mine.accounts.usage("2020-01-01", "2020-12-31")).toEqual([]);
  });
});

const setQuotas: ProjectStore["accounts"]["setQuotas"] = (changes) =>
  store.of(operator).accounts.setQuotas(changes, projectId);

describe("quotas", () => {
  test("are an operator's to set; null takes one away, and what is left out stays", async () => {
    await expect(mine.accounts.setQuotas({ bytes: 1 })).rejects.toEqual(expect.objectContaining({ code: "FORBIDDEN" }));
    await setQuotas({ bytes: 10, stepsAMonth: 20 });
    expect(await setQuotas({ bytes: null, tokensAMonth: 30 })).toMatchObject([
      { name: "stepsAMonth", limit: 20, used: 0 },
      { name: "tokensAMonth", limit: 30, used: 0 },
    ]);
    expect(await mine.accounts.quotas()).toHaveLength(2);
    const nowhere = store.of(operator).accounts.setQuotas({ bytes: 1 }, "22222222-2222-4222-8222-222222222222");
    await expect(nowhere).rejects.toThrow("There is no project");
  });

  test("bytes: a dataset beyond it is not stored and does not count, one that is stored already is found", async () => {
    await setQuotas({ bytes: 500 });
    const rows = { idempotencyKey: "first", name: "reviews", sha256: sha256("rows"), bytes: 400, rows: 1 };
    await store.datasets.create({ ...rows, projectId });
    const more = store.datasets.create({ projectId, ...rows, idempotencyKey: null });
    await expect(more).rejects.toEqual(exceeded("bytes", 500, { retryAfterS: undefined }));
    expect(await mine.datasets.list({ limit: 9 })).toHaveLength(1);
    expect(await used()).toMatchObject({ BYTES: 400 });
    expect(await store.datasets.create({ ...rows, projectId })).toMatchObject({ bytes: 400 });
  });

  test("bytes is exact when datasets come at once", async () => {
    await setQuotas({ bytes: 500 });
    const all = Array.from({ length: 8 }, (_, index) =>
      store.datasets.create({ projectId, name: `${index}`, sha256: sha256(`${index}`), bytes: 100, rows: 1 }),
    );
    const done = await Promise.allSettled(all);
    expect(done.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
  });

  test("stepsAMonth counts what is trained and what unfinished runs will train, and tells when the month ends", async () => {
    await setQuotas({ stepsAMonth: 150 });
    const job = await newTraining(100);
    await append(store, job, 0, 10);
    expect(await mine.accounts.quotas()).toMatchObject([{ used: 100 }]);
    const error: unknown = await newRun(51).catch((thrown: unknown) => thrown);
    expect(error).toEqual(exceeded("stepsAMonth", 150));
    const { retryAfterS, quota, message } = error as {
      retryAfterS: number;
      quota: { resetsAt: Date };
      message: string;
    };
    expect(message).toContain("may train 150 steps a month, and with this it would come to 151");
    expect(quota.resetsAt.getUTCDate()).toBe(1);
    expect(Math.abs(retryAfterS - (quota.resetsAt.getTime() - Date.now()) / 1_000)).toBeLessThan(5);
    await newRun(50);
    expect(await mine.fineTunes.list({ limit: 9 })).toHaveLength(2);
  });

  test("steps of an earlier month do not count", async () => {
    await directly(
      fixture.url,
      (sql) => sql`insert into usage_days values (${projectId}, date_trunc('month', now())::date - 1, 'STEPS', 1000)`,
    );
    await setQuotas({ stepsAMonth: 150 });
    await newRun(150);
  });

  test("tokensAMonth: used up, neither runs nor requests are taken; what is under way goes on", async () => {
    const job = await newTraining();
    await append(store, job, 0, 2);
    await setQuotas({ tokensAMonth: 40 });
    await expect(newRun()).rejects.toEqual(exceeded("tokensAMonth", 40));
    const asked = mine.completions.create(await requestOf(store));
    await expect(asked).rejects.toEqual(exceeded("tokensAMonth", 40));
    await expect(mine.evaluations.create(await evaluationOf())).rejects.toEqual(exceeded("tokensAMonth", 40));
    await append(store, job, 2, 2);
    await setQuotas({ tokensAMonth: 81 });
    await mine.completions.create(await requestOf(store));
  });

  test("workerSecondsAMonth: used up, neither runs, requests, evaluations nor rebuilds are taken; what is under way goes on", async () => {
    const { job, checkpoint } = await newCheckpoint();
    await store.recordEvaluation(job, { entries: 1, step: 1, rows: 1, loss: 1, accuracy: null, seconds: 90 });
    await setQuotas({ workerSecondsAMonth: 90 });
    const refused = exceeded("workerSecondsAMonth", 90);
    await expect(newRun()).rejects.toEqual(refused);
    await expect(mine.completions.create(await requestOf(store))).rejects.toEqual(refused);
    await expect(mine.evaluations.create(await evaluationOf())).rejects.toEqual(refused);
    await expect(mine.checkpoints.requestWeights(checkpoint.id)).rejects.toEqual(refused);
    await expect(mine.exports.request(checkpoint.id, { merged: false, dtype: "float16" })).rejects.toEqual(refused);
    await append(store, job, 1, 1);
    await setQuotas({ workerSecondsAMonth: 91 });
    await mine.checkpoints.requestWeights(checkpoint.id);
  });

  test("requestsWaiting: of this project alone; the first of its key is found", async () => {
    await setQuotas({ requestsWaiting: 1 });
    await store.completions.create(await requestOf(store));
    const first = await requestOf(store, { idempotencyKey: "first" });
    await mine.completions.create(first);
    await expect(mine.completions.create(await requestOf(store))).rejects.toEqual(
      exceeded("requestsWaiting", 1, { retryAfterS: 1 }),
    );
    const { completion } = await mine.completions.create(first);
    // One that is being answered counts until it has ended.
    await directly(fixture.url, (sql) => sql`delete from jobs where subject <> ${completion.id}`);
    const job = await claimed(store);
    expect(await mine.completions.get(completion.id)).toMatchObject({ status: "RUNNING" });
    await expect(mine.completions.create(await requestOf(store))).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    await store.appendPieces([{ job, after: 0, pieces: [], end: { status: "CANCELLED", usage: null } }], "plain");
    expect(await mine.completions.create(await requestOf(store))).toMatchObject({ created: true });
  });
});
