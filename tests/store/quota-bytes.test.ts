/** The quota `bytes`: whatever is to be stored for a project asks first, and what was promised counts like what is there. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Viewer, operator } from "../../schema/projects.ts";
import type { ClaimedJob, ProjectStore, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, chainStart, claimed, directly, headerBytes, newInput, sha256 } from "./fixtures.ts";

const projectId = "11111111-1111-4111-8111-111111111111";
const owner: Viewer = { projectId, scopes: new Set(["read", "write", "train"]), key: null };
/** Of the base of newInput: what a run on all of its weights stores. */
const baseBytes = 16;
const datasetBytes = 4;

let fixture: TestStore;
let store: Store;
let mine: ProjectStore;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  await directly(fixture.url, (sql) => sql`insert into projects (id, name) values (${projectId}, 'one')`);
  mine = store.of(owner);
});
beforeEach(() =>
  directly(fixture.url, async (sql) => {
    await sql`delete from jobs`;
    await sql`delete from fine_tunes`;
    await sql`delete from datasets`;
    await sql`delete from usage_days`;
    await sql`update projects set quotas = '{}'`;
  }),
);
afterAll(() => fixture.drop());

const allow = (bytes: number) => store.of(operator).accounts.setQuotas({ bytes }, projectId);
const used = async () => (await mine.accounts.quotas())[0]?.used;
const exceeded: unknown = expect.objectContaining({
  code: "QUOTA_EXCEEDED",
  quota: expect.objectContaining({ name: "bytes" }) as unknown,
});
const filesOf = (bytes: number) => [{ name: "model.safetensors", sha256: sha256(`${bytes}`), bytes }];

async function createRun(keepWeights = false) {
  const dataset = await store.datasets.create({
    projectId,
    name: "own",
    sha256: sha256("own"),
    bytes: datasetBytes,
    rows: 1,
  });
  const { fineTune } = await mine.fineTunes.create({
    ...(await newInput(store)),
    datasetId: dataset.id,
    keepWeights,
  });
  return fineTune;
}

async function training(keepWeights = false): Promise<{ id: string; job: ClaimedJob }> {
  const { id } = await createRun(keepWeights);
  const job = await claimed(store);
  await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
  await append(store, job, 0, 10);
  return { id, job };
}

const placeAt = (entries: number) => ({
  entries,
  step: entries,
  chain: chainAfter(entries),
  weightsDigest: "ab".repeat(32),
});

/** Of a run that has ended. */
async function twoCheckpoints(): Promise<readonly [string, string]> {
  const { job } = await training();
  const [first, last] = [await store.recordCheckpoint(job, placeAt(5)), await store.recordCheckpoint(job, placeAt(10))];
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  return [first.id, last.id];
}

test("weights that would not fit are refused when they are asked for, with their size; those before them count", async () => {
  const [first, last] = await twoCheckpoints();
  await allow(datasetBytes + baseBytes - 1);
  await expect(mine.checkpoints.requestWeights(first)).rejects.toEqual(exceeded);
  expect(await mine.checkpoints.get(first)).toMatchObject({ weightsStatus: "NONE" });
  await allow(datasetBytes + 2 * baseBytes - 1);
  await mine.checkpoints.requestWeights(first);
  await expect(mine.checkpoints.requestWeights(last)).rejects.toEqual(exceeded);
  expect(await mine.checkpoints.requestWeights(first)).toMatchObject({ weightsStatus: "QUEUED" });
  await store.finishMaterialise(await claimed(store), { weightsFiles: filesOf(baseBytes) });
  expect(await used()).toBe(datasetBytes + baseBytes);
  await expect(mine.checkpoints.requestWeights(last)).rejects.toEqual(exceeded);
  await mine.checkpoints.deleteWeights(first);
  await mine.checkpoints.requestWeights(last);
});

test("weights that turn out larger than was known fail, and take no room", async () => {
  const [first] = await twoCheckpoints();
  await allow(datasetBytes + baseBytes);
  await mine.checkpoints.requestWeights(first);
  await store.finishMaterialise(await claimed(store), { weightsFiles: filesOf(baseBytes + 1) });
  const failed = { weightsStatus: "FAILED", weightsFiles: null, weightsBlob: null, weightsBytes: null };
  expect(await mine.checkpoints.get(first)).toMatchObject(failed);
  expect((await mine.checkpoints.get(first))?.weightsError).toMatch(/^QUOTA_EXCEEDED: .* may store 20 bytes/u);
  expect(await used()).toBe(datasetBytes);
});

test("exports ask and count too, by the size of their numbers", async () => {
  const [first, last] = await twoCheckpoints();
  const half = { merged: false, dtype: "float16" } as const;
  await allow(datasetBytes + 8);
  await expect(mine.exports.request(first, { ...half, dtype: "float32" })).rejects.toEqual(exceeded);
  expect(await mine.exports.list(first)).toEqual([]);
  await mine.exports.request(first, half);
  await expect(mine.exports.request(last, half)).rejects.toEqual(exceeded);
  await store.finishExport(await claimed(store), { files: filesOf(9) });
  expect(await mine.exports.get(first, half)).toMatchObject({ status: "FAILED", files: null });
  await allow(datasetBytes + 9);
  await mine.exports.request(first, half);
  await store.finishExport(await claimed(store), { files: filesOf(9) });
  expect(await mine.exports.get(first, half)).toMatchObject({ status: "STORED" });
  expect(await used()).toBe(datasetBytes + 9);
  const more = { name: "more", sha256: sha256("more"), bytes: 1, rows: 1 };
  await expect(store.datasets.create({ ...more, projectId })).rejects.toEqual(exceeded);
});

test("a run that is to keep weights that do not fit is refused, and one that keeps none is not", async () => {
  await allow(datasetBytes + baseBytes - 1);
  await expect(createRun(true)).rejects.toEqual(exceeded);
  await createRun();
});

test("a run whose weights no longer fit at its end succeeds, keeps none and says so", async () => {
  const { id, job } = await training(true);
  await allow(datasetBytes + baseBytes - 1);
  const weightsFiles = filesOf(baseBytes);
  expect(await store.recordCheckpoint(job, { ...placeAt(10), weightsFiles })).toMatchObject({ weightsStatus: "NONE" });
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  expect(await mine.fineTunes.get(id)).toMatchObject({ status: "SUCCEEDED" });
  const events = await mine.fineTunes.events(id, { after: 0, limit: 20 });
  expect(events.find(({ type }) => type === "WEIGHTS_NOT_KEPT")?.message).toContain("may store 19 bytes");
});

test("weights that a run keeps count once, from its creation on", async () => {
  const { job } = await training(true);
  await allow(datasetBytes + baseBytes);
  expect(await used()).toBe(datasetBytes + baseBytes);
  const weightsFiles = filesOf(baseBytes);
  const kept = await store.recordCheckpoint(job, { ...placeAt(10), weightsFiles });
  expect(kept).toMatchObject({ weightsStatus: "STORED" });
  expect(await used()).toBe(datasetBytes + baseBytes);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  expect(await used()).toBe(datasetBytes + baseBytes);
  const today = new Date().toISOString().slice(0, 10);
  const days = await mine.accounts.usage(today, today);
  expect(days).toMatchObject([{ BYTES: datasetBytes + baseBytes }]);
});
