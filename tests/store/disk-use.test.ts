/** What takes room is told by rows: each file once in a kind of a project, and once in the sum. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, newInput, newTraining, sha256 } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

test("by project and kind; a project's own for everybody else", async () => {
  const { id: other } = await store.projects.create("other");
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 10);
  const weights = [
    { name: "a.safetensors", sha256: sha256("a"), bytes: 100 },
    { name: "b.safetensors", sha256: sha256("b"), bytes: 20 },
  ];
  const place = { entries: 10, step: 10, chain: chainAfter(10), weightsDigest: "ab".repeat(32), weightsFiles: weights };
  const { id } = await store.recordCheckpoint(job, place);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  await store.exports.request(id, { merged: false, dtype: "bfloat16" });
  // An export shares a file with the weights.
  const config = { name: "b.safetensors", sha256: sha256("b"), bytes: 20 };
  await store.finishExport(await claimed(store), { files: [config, { name: "c", sha256: sha256("c"), bytes: 3 }] });
  // The same rows twice in one project, and once in another.
  const rows = { name: "more", sha256: sha256("rows"), bytes: 4, rows: 1 };
  await store.datasets.create(rows);
  await store.datasets.create({ ...rows, projectId: other });
  await directly(fixture.url, async (sql) => {
    const base = [{ name: "base", sha256: sha256("base"), bytes: 5_000 }];
    await sql`insert into base_model_files values (${run.baseModelId}, ${sha256("tiny")}, ${sql.json(base)})`;
    await sql`insert into loose_blobs (sha256, bytes) values (${sha256("loose")}, 7), (${sha256("rows")}, 4)`;
  });
  const own = operator.projectId;
  const stored = (kind: string, projectId: string | null, files: number, blobBytes: number) => ({
    kind,
    projectId,
    files,
    blobBytes,
    databaseBytes: 0,
  });
  const all = await store.of(operator).accounts.diskUse();
  const inFiles = all.parts.filter(({ files }) => files > 0);
  expect(inFiles).toHaveLength(6);
  expect(inFiles).toEqual(
    expect.arrayContaining([
      stored("DATASETS", own, 1, 4),
      stored("WEIGHTS", own, 2, 120),
      stored("EXPORTS", own, 2, 23),
      stored("DATASETS", other, 1, 4),
      stored("BASES", null, 1, 5_000),
      stored("UNNAMED", null, 1, 7),
    ]),
  );
  expect(all.blobBytes).toBe(4 + 120 + 3 + 5_000 + 7);
  expect(all.databaseBytes).toBeGreaterThan(1e6);
  // The sizes of tables, with their indexes.
  expect(all.parts.find(({ kind }) => kind === "LOGS")?.databaseBytes).toBeGreaterThan(8_000);
  const metrics = all.parts.find(({ kind }) => kind === "METRICS");
  expect(metrics?.databaseBytes).toBeGreaterThan(8_000);

  const reader = store.of({ projectId: other, scopes: new Set(["read"]), key: null });
  const written = { ...stored("AUDIT", other, 0, 0), databaseBytes: expect.any(Number) as number };
  const theirs = { parts: [written, stored("DATASETS", other, 1, 4)], blobBytes: 4, databaseBytes: null };
  expect(await reader.accounts.diskUse()).toEqual(theirs);
  expect(await store.of(operator).accounts.diskUse(other)).toEqual(theirs);
  await expect(reader.accounts.diskUse(own)).rejects.toEqual(expect.objectContaining({ code: "NOT_FOUND" }));
});

test("what many rows take is the size of their tables, shared out by how many each project has", async () => {
  const [one, two, gone] = [
    await store.projects.create("one"),
    await store.projects.create("two"),
    await store.projects.create("gone"),
  ];
  const target = { baseModelId: (await newInput(store)).baseModelId, checkpointId: null };
  const { id: datasetId } = await store.datasets.create({ name: "r", sha256: sha256("r"), bytes: 1, rows: 1 });
  const evaluate = (projectId: string) =>
    store.evaluations.create({
      ...target,
      projectId,
      idempotencyKey: null,
      datasetId,
      labelWords: [],
      calibrationPrompt: null,
      settings: { precision: "FLOAT32" } as never,
    });
  for (const { id } of [one, one, one, two]) await evaluate(id);
  await directly(fixture.url, async (sql) => {
    for (const [{ id }, count] of [
      [one, 300],
      [two, 100],
      [gone, 50],
    ] as const) {
      await sql`insert into webhook_messages (project_id, type, payload)
        select ${id}, 'fine_tune.succeeded', repeat('x', 500) from generate_series(1, ${count})`;
      await sql`insert into audit_entries (project_id, action, actor_kind, object_type)
        select ${id}, 'key.created', 'SERVICE', 'ApiKey' from generate_series(1, ${count - 1})`;
    }
    await sql`delete from webhook_messages where project_id = ${gone.id}`;
    await sql`delete from projects where id = ${gone.id}`;
  });
  const { parts } = await store.of(operator).accounts.diskUse();
  const bytesOf = (kind: string, project: string | null) =>
    parts.find((part) => part.kind === kind && part.projectId === project)?.databaseBytes ?? 0;
  for (const kind of ["EVALUATIONS", "WEBHOOKS", "AUDIT"]) {
    expect(bytesOf(kind, two.id)).toBeGreaterThan(kind === "EVALUATIONS" ? 8_000 : 30_000);
    expect(bytesOf(kind, one.id) / bytesOf(kind, two.id)).toBeCloseTo(3, 6);
  }
  expect(bytesOf("AUDIT", two.id) / bytesOf("AUDIT", null)).toBeCloseTo(2, 6);
  expect(bytesOf("WEBHOOKS", null)).toBe(0);
  // In the order of the kinds, also where there are ten of them.
  const mine = parts.filter(({ projectId }) => projectId === one.id).map(({ kind }) => kind);
  expect(mine).toEqual(["EVALUATIONS", "WEBHOOKS", "AUDIT"]);
});
