/** The store of one project: what belongs to another one does not exist there, and a key does what its scopes name. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Scope, type Viewer, defaultProjectId, operator } from "../../schema/projects.ts";
import type { ProjectStore, Store } from "../../store/store.ts";
import { claimAny } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, directly, newInput, newTraining, sha256 } from "./fixtures.ts";
import { requestOf } from "./serving-fixtures.ts";

const otherId = "11111111-1111-4111-8111-111111111111";

let fixture: TestStore;
let store: Store;
let mine: ProjectStore;
let others: ProjectStore;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  await directly(fixture.url, (sql) => sql`insert into projects (id, name) values (${otherId}, 'other')`);
  mine = store.of(operator);
  others = store.of(viewerOf(otherId));
});
// A run is trained by whoever claims the first job.
beforeEach(() => directly(fixture.url, (sql) => sql`delete from jobs`));
afterAll(() => fixture.drop());

function viewerOf(projectId: string, scopes: readonly Scope[] = ["read", "write", "train", "infer"]): Viewer {
  return { projectId, scopes: new Set(scopes), key: { id: projectId, name: "the key" } };
}

const rows = { name: "reviews", sha256: sha256("rows"), bytes: 4, rows: 1 };
const notFound: unknown = expect.objectContaining({ code: "NOT_FOUND" });

/** A run of the default project with a checkpoint, all that hangs on it, and a completion. */
async function everything() {
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 1);
  const position = { entries: 1, step: 1, chain: chainAfter(1), weightsDigest: "ab".repeat(32) };
  const checkpoint = await store.recordCheckpoint(job, position);
  const target = { baseModelId: run.baseModelId, checkpointId: checkpoint.id };
  const { completion } = await mine.completions.create(await requestOf(store, target));
  const settings = { precision: "FLOAT32" } as never;
  const evaluation = await mine.evaluations.create({
    ...target,
    idempotencyKey: null,
    datasetId: run.datasetId,
    labelWords: [],
    calibrationPrompt: null,
    settings,
  });
  return { run, checkpoint, target, completion, evaluation: evaluation.evaluation };
}

const weights = { name: "model.safetensors", sha256: sha256("weights"), bytes: 7 };
const form = { merged: false, dtype: "bfloat16" } as const;

/** As if a worker had made its weights, also in another form. */
async function withWeights(checkpointId: string): Promise<void> {
  await mine.exports.request(checkpointId, form);
  const files = JSON.stringify([weights]);
  await directly(fixture.url, async (sql) => {
    await sql`update checkpoints set weights_status = 'STORED', weights_files = ${files}::text::jsonb
      where id = ${checkpointId}`;
    await sql`update checkpoint_exports set status = 'STORED', files = ${files}::text::jsonb
      where checkpoint_id = ${checkpointId}`;
  });
}

describe("what belongs to another project", () => {
  test("is not there", async () => {
    const { run, checkpoint, target, completion, evaluation } = await everything();
    const { id } = run;
    await withWeights(checkpoint.id);
    expect(await others.fineTunes.get(id)).toBeNull();
    expect(await others.fineTunes.byIds([id])).toEqual([null]);
    expect(await others.fineTunes.list({ limit: 9 })).toEqual([]);
    expect(await others.fineTunes.metrics(id, { afterStep: 0, limit: 9 })).toEqual([]);
    expect(await others.fineTunes.charts([{ id: id, points: 9 }])).toEqual([[]]);
    expect(await others.fineTunes.events(id, { after: 0, limit: 9 })).toEqual([]);
    expect(await others.fineTunes.evaluations(id)).toEqual([]);
    expect(await others.fineTunes.losses(id)).toHaveLength(0);
    expect(await others.fineTunes.log(id)).toBeNull();
    expect(await others.fineTunes.logParts(id, null)).toBeNull();
    expect(await others.fineTunes.waitingReason(id)).toBeNull();
    await expect(others.fineTunes.cancel(id)).rejects.toEqual(notFound);
    expect(await others.checkpoints.get(checkpoint.id)).toBeNull();
    expect(await others.checkpoints.byIds([checkpoint.id])).toEqual([null]);
    expect(await others.checkpoints.list(id, { limit: 9 })).toEqual([]);
    expect(await others.checkpoints.lastUpTo(id, 9)).toBeNull();
    expect(await others.checkpoints.runOf(checkpoint)).toBeNull();
    expect(await others.checkpoints.logParts(checkpoint)).toBeNull();
    await expect(others.checkpoints.requestWeights(checkpoint.id)).rejects.toEqual(notFound);
    expect(await others.fineTunes.delete(id, { cancel: true })).toBe(false);
    expect(await others.checkpoints.delete(checkpoint.id)).toBe(false);
    await expect(others.checkpoints.deleteWeights(checkpoint.id)).rejects.toEqual(notFound);
    expect(await others.datasets.delete(run.datasetId)).toBe(false);
    expect(await others.evaluations.delete(evaluation.id)).toBe(false);
    await expect(others.exports.request(checkpoint.id, { merged: false, dtype: "bfloat16" })).rejects.toEqual(notFound);
    expect(await others.exports.list(checkpoint.id)).toEqual([]);
    expect(await others.datasets.get(run.datasetId)).toBeNull();
    expect(await others.datasets.list({ limit: 9 })).toEqual([]);
    await expect(others.files.rows(run.datasetId)).rejects.toEqual(notFound);
    await expect(others.files.weights(checkpoint.id, weights.name)).rejects.toEqual(notFound);
    await expect(others.files.exported(checkpoint.id, form, weights.name)).rejects.toEqual(notFound);
    expect(await others.completions.get(completion.id)).toBeNull();
    expect(await others.completions.delete(completion.id)).toBe(false);
    await expect(others.completions.cancel(completion.id)).rejects.toEqual(notFound);
    await expect(others.completions.create(await requestOf(store, target))).rejects.toEqual(notFound);
    await expect(others.aliases.set("theirs", target)).rejects.toEqual(notFound);
    expect(await others.evaluations.get(evaluation.id)).toBeNull();
    await expect(others.evaluations.cancel(evaluation.id)).rejects.toEqual(notFound);
    for (const rowsOf of [
      others.feed.steps(id, { afterStep: 0 }),
      others.feed.status(id),
      others.feed.events(id, { after: 0 }),
      others.feed.pieces(completion.id, { after: 0 }),
    ])
      await expect(rowsOf.next()).rejects.toEqual(notFound);
    await expect(others.fineTunes.create(await newInput(store))).rejects.toEqual(notFound);
    // The owner sees all of it.
    expect(await mine.files.rows(run.datasetId)).toMatchObject({ sha256: rows.sha256, bytes: rows.bytes });
    const { sha256: hash, bytes } = weights;
    expect(await mine.files.weights(checkpoint.id, weights.name)).toMatchObject({ sha256: hash, bytes });
    expect(await mine.files.exported(checkpoint.id, form, weights.name)).toMatchObject({ sha256: hash, bytes });
    await expect(mine.files.weights(checkpoint.id, "other.safetensors")).rejects.toEqual(notFound);
    expect(await mine.fineTunes.get(id)).toMatchObject({ id });
    expect(await mine.fineTunes.metrics(id, { afterStep: 0, limit: 9 })).toHaveLength(1);
    expect(await mine.checkpoints.list(id, { limit: 9 })).toHaveLength(1);
    expect((await mine.feed.steps(id, { afterStep: 0 }).next()).done).toBe(false);
  });

  test("is read where it is shared, without its run, until it is not", async () => {
    const { run, checkpoint, target } = await everything();
    const share = (kind: string, object: string) =>
      directly(fixture.url, (sql) => sql`insert into shares values (${kind}, ${object}, ${otherId})`);
    await share("CHECKPOINT", checkpoint.id);
    await share("DATASET", run.datasetId);
    const reader = store.of(viewerOf(otherId));
    expect(await reader.checkpoints.get(checkpoint.id)).toMatchObject({ id: checkpoint.id });
    expect(await reader.checkpoints.runOf(checkpoint)).toMatchObject({ id: run.id });
    expect(await reader.checkpoints.logParts(checkpoint)).toMatchObject({ entries: 1 });
    expect(await reader.fineTunes.get(run.id)).toBeNull();
    expect((await reader.datasets.list({ limit: 9 })).map(({ id }) => id)).toEqual([run.datasetId]);
    expect((await reader.completions.create(await requestOf(store, target))).created).toBe(true);
    // What is shared is read, and not deleted; and what stands on it is counted, and not named.
    expect(await reader.checkpoints.delete(checkpoint.id)).toBe(false);
    await expect(reader.checkpoints.deleteWeights(checkpoint.id)).rejects.toEqual(notFound);
    expect(await reader.datasets.delete(run.datasetId)).toBe(false);
    expect(await reader.files.rows(run.datasetId)).toMatchObject({ sha256: rows.sha256 });
    const { fineTune } = await reader.fineTunes.create({
      ...(await newInput(store)),
      datasetId: run.datasetId,
      from: { checkpointId: checkpoint.id, firstStep: 0 },
    });
    expect(fineTune).toMatchObject({ projectId: otherId, firstEntry: 1 });
    await expect(mine.fineTunes.delete(run.id, { cancel: true })).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringContaining("needed: another project's fine-tune continues from it.") as string,
    });
    await directly(fixture.url, (sql) => sql`delete from shares`);
    expect(await reader.checkpoints.get(checkpoint.id)).toBeNull();
    expect(await reader.datasets.get(run.datasetId)).toBeNull();
  });
});

test("idempotency keys and aliases are each project's own", async () => {
  const ours = await store.datasets.create({ ...rows, name: "ours", idempotencyKey: "key" });
  const theirs = await store.datasets.create({ ...rows, projectId: otherId, name: "theirs", idempotencyKey: "key" });
  expect(theirs).not.toMatchObject({ id: ours.id });
  expect(await others.datasets.ofKey("key")).toMatchObject({ id: theirs.id });
  expect(await mine.datasets.ofKey("key")).toMatchObject({ id: ours.id });
  const [first, second] = [await store.baseModels.getByName("tiny"), others];
  const target = { baseModelId: first?.id ?? "", checkpointId: null };
  await mine.aliases.set("best", target);
  expect(await second.aliases.resolve("best")).toBeNull();
  expect(await second.aliases.set("best", target)).toMatchObject({ name: "best", projectId: otherId });
  expect(await second.aliases.list({ limit: 9 })).toHaveLength(1);
  expect(await second.aliases.remove("best")).toBe(true);
  expect(await mine.aliases.resolve("best")).toMatchObject({ name: "best", projectId: defaultProjectId });
});

test("a key does what its scopes name", async () => {
  const { run, checkpoint } = await everything();
  const of = (...scopes: Scope[]) => store.of(viewerOf(defaultProjectId, scopes));
  const forbidden: unknown = expect.objectContaining({ code: "FORBIDDEN" });
  expect(await of("read").fineTunes.get(run.id)).toMatchObject({ id: run.id });
  await expect(of("read").fineTunes.cancel(run.id)).rejects.toEqual(forbidden);
  await expect(of("read").fineTunes.delete(run.id, { cancel: true })).rejects.toEqual(forbidden);
  await expect(of("train").datasets.delete(run.datasetId)).rejects.toEqual(forbidden);
  await expect(of("read").datasets.create({ name: "rows", path: "rows.jsonl", rows: 1 })).rejects.toEqual(forbidden);
  await expect(of("write").fineTunes.create(await newInput(store))).rejects.toEqual(forbidden);
  await expect(of("train").datasets.create({ name: "rows", path: "rows.jsonl", rows: 1 })).rejects.toEqual(forbidden);
  await expect(of("infer").files.rows(run.datasetId)).rejects.toEqual(forbidden);
  await expect(of("infer").files.weights(checkpoint.id, weights.name)).rejects.toEqual(forbidden);
  await expect(of("infer").fineTunes.get(run.id)).rejects.toEqual(forbidden);
  await expect(of("infer").feed.steps(run.id, { afterStep: 0 }).next()).rejects.toEqual(forbidden);
  const target = { baseModelId: run.baseModelId, checkpointId: null };
  await expect(of("train").completions.create(await requestOf(store, target))).rejects.toEqual(forbidden);
  expect((await of("infer").completions.create(await requestOf(store, target))).created).toBe(true);
  expect(await of("train").fineTunes.get(run.id)).toMatchObject({ id: run.id });
});

test("jobs say whose they are", async () => {
  const dataset = await store.datasets.create({ ...rows, projectId: otherId, name: "for a job" });
  const { fineTune } = await others.fineTunes.create({ ...(await newInput(store)), datasetId: dataset.id });
  const [job] = await directly(
    fixture.url,
    (sql) => sql<{ project_id: string }[]>`select project_id from jobs where subject = ${fineTune.id}`,
  );
  expect(job).toEqual({ project_id: otherId });
  await others.fineTunes.cancel(fineTune.id);
  await claimAny(store);
});
