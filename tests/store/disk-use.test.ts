/** What takes room is told by rows: each file once in a kind of a project, and once in the sum. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, newTraining, sha256 } from "./fixtures.ts";

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
  expect(all.parts).toContainEqual({ ...stored("LOGS", own, 0, 0), databaseBytes: 20 });
  const metrics = all.parts.find(({ kind }) => kind === "METRICS");
  expect(metrics?.databaseBytes).toBeGreaterThan(8_000);

  const reader = store.of({ projectId: other, scopes: new Set(["read"]), key: null });
  const theirs = { parts: [stored("DATASETS", other, 1, 4)], blobBytes: 4, databaseBytes: null };
  expect(await reader.accounts.diskUse()).toEqual(theirs);
  expect(await store.of(operator).accounts.diskUse(other)).toEqual(theirs);
  await expect(reader.accounts.diskUse(own)).rejects.toEqual(expect.objectContaining({ code: "NOT_FOUND" }));
});
