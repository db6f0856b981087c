/** What is deleted is gone with all that hangs on it; what something else stands on stays, and the error names that. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fineTuneJobs } from "../../store/runs/lifecycle.ts";
import type { FineTune } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { operator } from "../../schema/projects.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, newInput, newTraining, sha256 } from "./fixtures.ts";
import { claimRequests, newCompletion } from "./serving-fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
// A run is trained by whoever claims the first job.
beforeEach(() => directly(fixture.url, (sql) => sql`delete from jobs`));
afterAll(() => fixture.drop());

const failsWith = (code: string, message = ""): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as string });
const conflict = (message: string) => failsWith("CONFLICT", message);
const notFound = failsWith("NOT_FOUND");
const left = { cancel: false };

const weightsFiles = [{ name: "model.safetensors", sha256: sha256("weights"), bytes: 7 }];

/** A run with a checkpoint; still RUNNING, or ended. */
async function trained({ ended = true } = {}) {
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 2);
  const place = { entries: 2, step: 2, chain: chainAfter(2), weightsDigest: "ab".repeat(32), weightsFiles };
  const checkpoint = await store.recordCheckpoint(job, place);
  await store.recordEvent(job, { type: "NOTE", message: "A note." });
  if (ended) await store.finishFineTune(job, { status: "SUCCEEDED" });
  return { run, job, checkpoint, target: { baseModelId: run.baseModelId, checkpointId: checkpoint.id } };
}

async function forkOf(checkpointId: string, name = "the fork"): Promise<FineTune> {
  const input = { ...(await newInput(store)), name, from: { checkpointId, firstStep: 0 } };
  return (await store.fineTunes.create(input)).fineTune;
}

async function evaluationOf(target: { baseModelId: string; checkpointId: string | null }, datasetId: string) {
  const settings = { precision: "FLOAT32" } as never;
  const input = { ...target, idempotencyKey: null, datasetId, labelWords: [], calibrationPrompt: null, settings };
  return (await store.evaluations.create(input)).evaluation;
}

/** Rows of every table that name an id in any of their columns; the audit log keeps the names of what is gone. */
async function mentions(id: string): Promise<string[]> {
  return directly(fixture.url, async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'audit_entries'`;
    const found = await Promise.all(
      tables.map(async ({ name }) => {
        const rows = await sql`select 1 from ${sql(name)} t where to_jsonb(t)::text like ${`%${id}%`} limit 1`;
        return rows.length > 0 ? [name] : [];
      }),
    );
    return found.flat();
  });
}

describe("a run", () => {
  test("goes with its log, checkpoints, exports, completions, evaluations, jobs and old moves of aliases", async () => {
    const { run, checkpoint, target } = await trained();
    const { id } = run;
    await store.exports.request(checkpoint.id, { merged: false, dtype: "bfloat16" });
    const completion = await newCompletion(store, target);
    const evaluation = await evaluationOf(target, run.datasetId);
    await store.aliases.set("moved", target);
    await store.aliases.set("moved", { ...target, checkpointId: null });
    await directly(
      fixture.url,
      (sql) =>
        sql`insert into shares (kind, object_id, project_id) values ('CHECKPOINT', ${checkpoint.id}, ${run.projectId})`,
    );
    expect(await mentions(id)).toContain("fine_tunes");
    expect(await store.fineTunes.delete(id, left)).toBe(true);
    for (const gone of [id, checkpoint.id, completion.id, evaluation.id]) expect(await mentions(gone)).toEqual([]);
    expect(await store.fineTunes.delete(id, left)).toBe(false);
    expect(await store.fineTunes.delete("no id", left)).toBe(false);
    await expect(store.aliases.rollBack("moved")).rejects.toEqual(failsWith("INVALID_STATE"));
    await store.aliases.remove("moved");
  });

  test("that is being trained goes only with `cancel`: its worker has lost its lease, and is told to stop", async () => {
    const { run, job } = await trained({ ended: false });
    await expect(store.fineTunes.delete(run.id, left)).rejects.toEqual(failsWith("INVALID_STATE", '"run"'));
    await append(store, job, 2, 1);
    expect(await store.fineTunes.delete(run.id, { cancel: true })).toBe(true);
    await expect(append(store, job, 3, 1)).rejects.toEqual(failsWith("LEASE_LOST"));
    expect(await store.renewLeases([job], 1_000)).toEqual([null]);
    // A renewal that began before the deletion and ends after it.
    const database = { select: () => ({ from: () => ({ where: async () => [] }) }) };
    expect(await fineTuneJobs.wanted?.(database as never, [{ subject: run.id } as never])).toEqual(["CANCEL"]);
  });

  test("that waits goes at once, and nobody can claim it", async () => {
    const { fineTune } = await store.fineTunes.create(await newInput(store));
    expect(await store.fineTunes.delete(fineTune.id, left)).toBe(true);
    await expect(claimed(store)).rejects.toThrow("no job");
  });

  test("stays while another one continues from it, or an alias points at it", async () => {
    const { run, checkpoint, target } = await trained();
    const fork = await forkOf(checkpoint.id);
    await store.aliases.set("best", target);
    const said = `the fine-tune "the fork" (${fork.id}) continues from it; the alias "best" points at it`;
    await expect(store.fineTunes.delete(run.id, left)).rejects.toEqual(conflict(said));
    await expect(store.checkpoints.delete(checkpoint.id)).rejects.toEqual(conflict(said));
    await store.aliases.remove("best");
    expect(await store.fineTunes.delete(fork.id, left)).toBe(true);
    expect(await store.fineTunes.delete(run.id, left)).toBe(true);
  });

  test("is told to its subscribers, who wait", async () => {
    const { run, job } = await trained({ ended: false });
    const rows = [store.feed.status(run.id), store.feed.steps(run.id, { afterStep: 2 })];
    await rows[0]?.next();
    // Both have read all there is, and hear of what comes.
    await append(store, job, 2, 1);
    for (const one of rows) await one.next();
    await delay(200);
    const ends = Promise.allSettled(rows.map((one) => one.next()));
    await store.fineTunes.delete(run.id, { cancel: true });
    for (const end of await ends) expect(end).toEqual({ status: "rejected", reason: notFound });
  });

  test("and a fork of it that is created at the same time: one of the two happens", async () => {
    for (let round = 0; round < 8; round++) {
      const { run, checkpoint } = await trained();
      const [fork, gone] = await Promise.allSettled([forkOf(checkpoint.id), store.fineTunes.delete(run.id, left)]);
      const seen = [fork, gone].map((one) =>
        one.status === "fulfilled" ? "done" : (one.reason as { code: string }).code,
      );
      expect([
        ["done", "CONFLICT"],
        ["NOT_FOUND", "done"],
      ]).toContainEqual(seen);
      if (fork.status === "fulfilled") await store.fineTunes.delete(fork.value.id, left);
    }
  });
});

describe("a checkpoint", () => {
  test("goes once its run has ended, and the log stays", async () => {
    const { run, job, checkpoint } = await trained({ ended: false });
    await expect(store.checkpoints.delete(checkpoint.id)).rejects.toEqual(failsWith("INVALID_STATE", "RUNNING"));
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    expect(await store.checkpoints.delete(checkpoint.id)).toBe(true);
    expect(await store.checkpoints.delete(checkpoint.id)).toBe(false);
    expect(await store.fineTunes.log(run.id)).toMatchObject({ entries: 2 });
  });

  test("loses its weights alone, also while they are rebuilt, and can have them again", async () => {
    const { checkpoint } = await trained();
    const form = { merged: false, dtype: "bfloat16" } as const;
    await store.exports.request(checkpoint.id, form);
    const none = { weightsStatus: "NONE", weightsFiles: null, weightsBytes: null, weightsBlob: null };
    expect(await store.checkpoints.deleteWeights(checkpoint.id)).toMatchObject(none);
    expect(await store.exports.list(checkpoint.id)).toEqual([]);
    await store.checkpoints.requestWeights(checkpoint.id);
    const job = await claimed(store);
    expect(await store.checkpoints.deleteWeights(checkpoint.id)).toMatchObject(none);
    await expect(store.finishMaterialise(job, { weightsFiles })).rejects.toEqual(failsWith("LEASE_LOST"));
    expect(await store.checkpoints.requestWeights(checkpoint.id)).toMatchObject({ weightsStatus: "QUEUED" });
    await expect(store.checkpoints.deleteWeights("no id")).rejects.toEqual(notFound);
  });
});

test("a completion of a deleted checkpoint ends for whoever reads it", async () => {
  const { run, target } = await trained();
  const { id } = await newCompletion(store, target);
  await claimRequests(store);
  const end = Promise.allSettled([store.feed.pieces(id, { after: 0 }).next()]);
  await store.fineTunes.delete(run.id, left);
  expect(await end).toEqual([{ status: "rejected", reason: notFound }]);
});

describe("a dataset", () => {
  test("stays while a run or an evaluation needs it; then those that have ended still name it", async () => {
    const { run, job } = await trained({ ended: false });
    const evaluation = await evaluationOf({ baseModelId: run.baseModelId, checkpointId: null }, run.datasetId);
    const { datasetId } = run;
    const said = `the fine-tune "run" (${run.id}) needs its rows; the evaluation ${evaluation.id} needs its rows`;
    await expect(store.datasets.delete(datasetId)).rejects.toEqual(conflict(said));
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    await store.evaluations.cancel(evaluation.id);
    expect(await store.datasets.delete(datasetId)).toBe(true);
    expect(await store.datasets.delete(datasetId)).toBe(false);
    expect(await store.datasets.get(datasetId)).toBeNull();
    expect((await store.datasets.list({ limit: 100 })).map(({ id }) => id)).not.toContain(datasetId);
    const [named] = await store.datasets.byIds([datasetId]);
    expect(named).toMatchObject({ name: "reviews", deletedAt: expect.any(Date) as Date });
    const again = { ...(await newInput(store)), datasetId };
    await expect(store.fineTunes.create(again)).rejects.toEqual(notFound);
    await expect(
      store.fineTunes.create({ ...again, datasetId: run.datasetId, testDatasetId: datasetId }),
    ).rejects.toEqual(notFound);
    await expect(store.of(operator).fineTunes.create(again)).rejects.toEqual(notFound);
    expect(await store.fineTunes.delete(run.id, left)).toBe(true);
    expect(await store.datasets.byIds([datasetId])).toMatchObject([{ id: datasetId }]);
    expect(await store.evaluations.delete(evaluation.id)).toBe(true);
    expect(await store.datasets.byIds([datasetId])).toEqual([null]);
  });

  test("that nothing names leaves nothing, and its key is free", async () => {
    const rows = { name: "alone", sha256: sha256("rows"), bytes: 4, rows: 1, idempotencyKey: "a key" };
    const { id } = await store.datasets.create(rows);
    expect(await store.datasets.delete(id)).toBe(true);
    expect(await mentions(id)).toEqual([]);
    expect((await store.datasets.create(rows)).id).not.toBe(id);
  });

  test("and a run on it that is created at the same time: one of the two happens", async () => {
    for (let round = 0; round < 8; round++) {
      const input = await newInput(store);
      const [made, gone] = await Promise.allSettled([
        store.fineTunes.create(input),
        store.datasets.delete(input.datasetId),
      ]);
      const seen = [made, gone].map((one) =>
        one.status === "fulfilled" ? "done" : (one.reason as { code: string }).code,
      );
      expect([
        ["done", "CONFLICT"],
        ["NOT_FOUND", "done"],
      ]).toContainEqual(seen);
    }
  });
});

test("an evaluation goes at any time; its worker has lost its lease", async () => {
  const { run, target } = await trained();
  const { id } = await evaluationOf(target, run.datasetId);
  const job = await claimed(store);
  expect(job.subject).toBe(id);
  expect(await store.evaluations.delete(id)).toBe(true);
  expect(await store.evaluations.delete(id)).toBe(false);
  await expect(store.finishEvaluation(job, { status: "CANCELLED" })).rejects.toEqual(failsWith("LEASE_LOST"));
});
