/** What is due ends by itself, unless it is in use; and stored weights end when nobody has used them for a while. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Expiry } from "../../schema/expiry.ts";
import { operator } from "../../schema/projects.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, newInput, newTraining, sha256 } from "./fixtures.ts";
import { newCompletion } from "./serving-fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
// A run is trained by whoever claims the first job, and only what a test has made is due.
beforeEach(() =>
  directly(fixture.url, async (sql) => {
    await sql`delete from jobs`;
    for (const table of ["fine_tunes", "checkpoints", "datasets", "model_evaluations", "checkpoint_exports"])
      await sql`update ${sql(table)} set expires_at = null`;
  }),
);
afterAll(() => fixture.drop());

const past: Expiry = { at: new Date(Date.now() - 1_000) };
const weightsFiles = [{ name: "model.safetensors", sha256: sha256("weights"), bytes: 7 }];

async function trained({ ended = true } = {}) {
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 2);
  const place = { entries: 2, step: 2, chain: chainAfter(2), weightsDigest: "ab".repeat(32), weightsFiles };
  const checkpoint = await store.recordCheckpoint(job, place);
  if (ended) await store.finishFineTune(job, { status: "SUCCEEDED" });
  return { run, job, checkpoint, target: { baseModelId: run.baseModelId, checkpointId: checkpoint.id } };
}

async function evaluationOf(target: { baseModelId: string; checkpointId: string | null }, datasetId: string) {
  const settings = { precision: "FLOAT32" } as never;
  const input = { ...target, idempotencyKey: null, datasetId, labelWords: [], calibrationPrompt: null, settings };
  return (await store.evaluations.create(input)).evaluation;
}

const dataset = (expiry?: Expiry) =>
  store.datasets.create({ name: "rows", sha256: sha256("r"), bytes: 1, rows: 1, ...(expiry && { expiry }) });
const look = async (dryRun: boolean) => {
  const { ended, held } = await store.endDue({ dryRun });
  return { ended: ended.map(({ kind, id }) => [kind, id]), held: held.map(({ kind, id, by }) => [kind, id, by]) };
};
const end = () => look(false);
const nothing = { ended: [], held: [] };
/** What is held is looked at again. */
const later = (table = "fine_tunes") =>
  directly(fixture.url, (sql) => sql`update ${sql(table)} set expiry_try_at = null where expiry_try_at is not null`);

describe("what is due", () => {
  test("ends, each by its own deletion; a dry run says so and changes nothing", async () => {
    const { run, checkpoint, target } = await trained();
    const other = await trained();
    const evaluation = await evaluationOf(target, run.datasetId);
    await store.evaluations.cancel(evaluation.id);
    const rows = await dataset(past);
    await store.expiries.set("EVALUATION", evaluation.id, past);
    await store.expiries.set("CHECKPOINT", other.checkpoint.id, past);
    await store.expiries.set("FINE_TUNE", run.id, past);
    const all = {
      ended: [
        ["EVALUATION", evaluation.id],
        ["CHECKPOINT", other.checkpoint.id],
        ["FINE_TUNE", run.id],
        ["DATASET", rows.id],
      ],
      held: [],
    };
    expect(await look(true)).toEqual(all);
    expect(await store.fineTunes.get(run.id)).not.toBeNull();
    expect(await end()).toEqual(all);
    expect(await store.fineTunes.get(run.id)).toBeNull();
    expect(await store.checkpoints.get(checkpoint.id)).toBeNull();
    expect(await store.checkpoints.get(other.checkpoint.id)).toBeNull();
    expect(await store.datasets.get(rows.id)).toBeNull();
    expect(await end()).toEqual(nothing);
  });

  test("stays while a run goes on, and ends after it", async () => {
    const { run, job } = await trained({ ended: false });
    await store.expiries.set("FINE_TUNE", run.id, past);
    await store.expiries.set("DATASET", run.datasetId, past);
    const said = await end();
    expect(said.ended).toEqual([]);
    expect(said.held).toEqual([
      ["FINE_TUNE", run.id, expect.stringContaining("is being trained")],
      ["DATASET", run.datasetId, expect.stringContaining("needs its rows")],
    ]);
    expect((await store.fineTunes.get(run.id))?.expiryHeldBy).toContain("is being trained");
    // It is not asked again at once, but a dry run tells of it.
    expect(await end()).toEqual(nothing);
    expect((await look(true)).held).toHaveLength(2);
    await append(store, job, 2, 1);
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    await later();
    expect((await end()).ended).toEqual([["FINE_TUNE", run.id]]);
    // Nor does one that waits: delete mutations may, but nobody asked for this.
    const { fineTune } = await store.fineTunes.create({ ...(await newInput(store)), expiry: past });
    expect((await end()).held).toEqual([["FINE_TUNE", fineTune.id, expect.stringContaining("is QUEUED")]]);
  });

  test("stays while a fork, an alias, a share, a completion, an evaluation or a rebuild uses it", async () => {
    const { run, checkpoint, target } = await trained();
    await store.expiries.set("CHECKPOINT", checkpoint.id, past);
    await store.expiries.set("FINE_TUNE", run.id, past);
    const { id: other } = await store.projects.create(`reader ${run.id}`);
    const reason = async () => {
      const { ended, held } = await look(true);
      expect(ended).toEqual([]);
      const [ofCheckpoint, ofRun] = held.map(([, , by]) => by);
      expect(ofRun).toBe(ofCheckpoint);
      return ofRun;
    };
    const fork = (
      await store.fineTunes.create({ ...(await newInput(store)), from: { checkpointId: checkpoint.id, firstStep: 0 } })
    ).fineTune;
    expect(await reason()).toContain(`"run" (${fork.id}) continues from it`);
    await store.fineTunes.delete(fork.id, { cancel: true });
    await store.aliases.set("best", target);
    expect(await reason()).toContain('the alias "best" points at it');
    await store.aliases.remove("best");
    await store.projects.share("CHECKPOINT", checkpoint.id, other);
    expect(await reason()).toContain("shared with another project");
    await store.projects.unshare("CHECKPOINT", checkpoint.id, other);
    const completion = await newCompletion(store, target);
    expect(await reason()).toBe("It is in use by 1 completion under way.");
    await store.completions.cancel(completion.id);
    const evaluation = await evaluationOf(target, run.datasetId);
    expect(await reason()).toBe("It is in use by 1 evaluation under way.");
    await store.evaluations.cancel(evaluation.id);
    await store.exports.request(checkpoint.id, { merged: false, dtype: "bfloat16" });
    expect(await reason()).toBe("It is in use by 1 rebuild under way.");
    const job = await claimed(store);
    await store.finishExport(job, { files: weightsFiles });
    expect((await end()).ended).toEqual([
      ["CHECKPOINT", checkpoint.id],
      ["FINE_TUNE", run.id],
    ]);
  });

  test("stays if its end is moved or cleared in the meantime, and its jobs with it", async () => {
    const { run } = await trained();
    await store.expiries.set("FINE_TUNE", run.id, past);
    // Somebody moves the end just as the deletion waits for the row.
    let sweeping: ReturnType<typeof end> | undefined;
    await directly(fixture.url, (sql) =>
      sql.begin(async (tx) => {
        await tx`update fine_tunes set expires_at = now() + interval '1 hour' where id = ${run.id}`;
        sweeping = end();
        for (let waits = 0; waits === 0;) {
          const [row] = await tx<{ count: number }[]>`
            select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
          waits = row?.count ?? 0;
        }
      }),
    );
    expect(await sweeping).toEqual(nothing);
    expect(await store.fineTunes.get(run.id)).not.toBeNull();
    expect((await store.expiries.set("FINE_TUNE", run.id, { never: true })).expiresAt).toBeNull();
    expect(await end()).toEqual(nothing);
  });

  test("two that sweep at once do no harm, and more than a batch goes at once", async () => {
    const many = await Promise.all(Array.from({ length: 130 }, () => dataset(past)));
    const seen = await Promise.all([end(), end()]);
    const ids = seen.flatMap(({ ended }) => ended.map(([, id]) => id));
    expect(ids).toHaveLength(many.length);
    expect(new Set(ids)).toEqual(new Set(many.map(({ id }) => id)));
    expect(await end()).toEqual(nothing);
  });
});

describe("the time to live", () => {
  const inSeconds = (at: Date | null | undefined) => at && Math.round((at.getTime() - Date.now()) / 1_000);

  test("is the request's, else the project's at that time, else none", async () => {
    const { accounts } = store.of(operator);
    expect((await dataset()).expiresAt).toBeNull();
    expect(await accounts.setKeep({ DATASET: 600, COMPLETION: 50, FINE_TUNE: 700 })).toEqual({
      DATASET: 600,
      COMPLETION: 50,
      FINE_TUNE: 700,
    });
    const before = await dataset();
    expect(inSeconds(before.expiresAt)).toBeCloseTo(600, -1);
    expect(inSeconds((await dataset({ ttl: 30 })).expiresAt)).toBeCloseTo(30, -1);
    expect((await dataset({ never: true })).expiresAt).toBeNull();
    expect(inSeconds((await newCompletion(store)).expiresAt)).toBeCloseTo(50, -1);
    const { fineTune } = await store.fineTunes.create(await newInput(store));
    expect(inSeconds(fineTune.expiresAt)).toBeCloseTo(700, -1);
    expect(await accounts.setKeep({ DATASET: null, COMPLETION: null, FINE_TUNE: null })).toEqual({});
    expect((await dataset()).expiresAt).toBeNull();
    expect(inSeconds((await newCompletion(store)).expiresAt)).toBeCloseTo(60, -1);
    expect((await store.datasets.get(before.id))?.expiresAt).toEqual(before.expiresAt);
    await store.fineTunes.delete(fineTune.id, { cancel: true });
  });

  test("of a checkpoint is its project's when it is made; it stays while its run goes on, and then goes", async () => {
    const { accounts } = store.of(operator);
    const before = await trained();
    await accounts.setKeep({ CHECKPOINT: 800 });
    const { run, job, checkpoint } = await trained({ ended: false });
    await accounts.setKeep({ CHECKPOINT: null });
    expect(before.checkpoint.expiresAt).toBeNull();
    expect(inSeconds(checkpoint.expiresAt)).toBeCloseTo(800, -1);
    // A worker that takes over makes it again.
    const { entries, step, chain, weightsDigest } = checkpoint;
    const again = await store.recordCheckpoint(job, { entries, step, chain, weightsDigest });
    expect(again.expiresAt).toEqual(checkpoint.expiresAt);
    await directly(
      fixture.url,
      (sql) => sql`update checkpoints set expires_at = now() - interval '1 second' where expires_at is not null`,
    );
    const mayNeedIt: unknown = expect.stringContaining("is RUNNING, and may still need its checkpoints");
    expect(await end()).toEqual({ ended: [], held: [["CHECKPOINT", checkpoint.id, mayNeedIt]] });
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    await later("checkpoints");
    expect((await end()).ended).toEqual([["CHECKPOINT", checkpoint.id]]);
    expect(await store.checkpoints.list(run.id, { limit: 1 })).toEqual([]);
    expect(await store.checkpoints.get(before.checkpoint.id)).not.toBeNull();
  });

  test("is no part of a request that is repeated", async () => {
    const input = await newInput(store, "once");
    const first = await store.fineTunes.create({ ...input, expiry: { ttl: 60 } });
    const again = await store.fineTunes.create({ ...input, expiry: { ttl: 90 } });
    expect(again).toEqual({ fineTune: first.fineTune, created: false });
    await store.fineTunes.delete(first.fineTune.id, { cancel: true });
  });

  test("of a completion can be moved, but it always ends; an unknown id is NOT_FOUND", async () => {
    const { id } = await newCompletion(store);
    expect(inSeconds((await store.expiries.set("COMPLETION", id, { ttl: 900 })).expiresAt)).toBeCloseTo(900, -1);
    const refused = (code: string): unknown => expect.objectContaining({ code });
    await expect(store.expiries.set("COMPLETION", id, { never: true })).rejects.toEqual(refused("INVALID_ARGUMENT"));
    for (const unknown of ["no id", crypto.randomUUID()])
      await expect(store.expiries.set("DATASET", unknown, past)).rejects.toEqual(refused("NOT_FOUND"));
  });
});

describe("stored weights and exports", () => {
  const form = { merged: false, dtype: "bfloat16" } as const;
  /** Seconds until they end, as Postgres has it. */
  const left = async (table: "checkpoints" | "checkpoint_exports", id: string): Promise<number | null> =>
    directly(fixture.url, async (sql) => {
      const [row] =
        table === "checkpoints"
          ? await sql`select extract(epoch from weights_expires_at - now())::int as s from checkpoints where id = ${id}`
          : await sql`select extract(epoch from expires_at - now())::int as s from checkpoint_exports where checkpoint_id = ${id}`;
      return (row as { s: number | null } | undefined)?.s ?? null;
    });
  const timePasses = (seconds: number) =>
    directly(fixture.url, async (sql) => {
      await sql`update checkpoint_exports set expires_at = expires_at - ${seconds} * interval '1 second'`;
      await sql`update checkpoints set weights_expires_at = weights_expires_at - ${seconds} * interval '1 second'`;
    });

  test("stay for a while after each use, then go, and can be asked for again", async () => {
    const { checkpoint } = await trained();
    const { id } = checkpoint;
    await store.exports.request(id, form, { usualSeconds: 1_000 });
    const job = await claimed(store);
    await timePasses(2_000);
    // While it is made, it is not due.
    expect(await look(true)).toEqual(nothing);
    const files = [{ name: "model.safetensors", sha256: sha256("export"), bytes: 9 }];
    await store.finishExport(job, { files });
    expect(await left("checkpoint_exports", id)).toBeGreaterThan(990);
    await timePasses(30);
    const one = await store.exports.get(id, form);
    if (one) await store.exports.used(one);
    expect(await left("checkpoint_exports", id)).toBeLessThan(975);
    await timePasses(500);
    if (one) await store.exports.used(one);
    expect(await left("checkpoint_exports", id)).toBeGreaterThan(990);
    await timePasses(500);
    await store.exports.request(id, form, { usualSeconds: 5 });
    expect(await left("checkpoint_exports", id)).toBeGreaterThan(990);
    await timePasses(1_001);
    expect((await look(true)).ended).toEqual([["EXPORT", id]]);
    expect((await end()).ended).toEqual([["EXPORT", id]]);
    expect(await store.exports.list(id)).toEqual([]);
    // Those that the run was to keep have no end of their own.
    expect(await store.checkpoints.get(id)).toMatchObject({ weightsStatus: "STORED", weightsExpiresAt: null });
    expect(await store.exports.request(id, form, { usualSeconds: 5 })).toMatchObject({ status: "QUEUED" });
  });

  test("of the checkpoint itself, too; as the project says, or the request", async () => {
    const { checkpoint } = await trained();
    const { id } = checkpoint;
    await store.checkpoints.deleteWeights(id);
    await store.of(operator).accounts.setKeep({ WEIGHTS: 300 });
    await store.checkpoints.requestWeights(id, { usualSeconds: 1_000 });
    await store.finishMaterialise(await claimed(store), { weightsFiles });
    expect(await left("checkpoints", id)).toBeLessThan(301);
    await timePasses(200);
    await store.checkpoints.useWeights(id);
    expect(await left("checkpoints", id)).toBeGreaterThan(290);
    await store.checkpoints.requestWeights(id, { keepSeconds: 0 });
    expect(await left("checkpoints", id)).toBeNull();
    await store.checkpoints.requestWeights(id, { keepSeconds: 100 });
    await timePasses(101);
    expect((await end()).ended).toEqual([["WEIGHTS", id]]);
    expect(await store.checkpoints.get(id)).toMatchObject({ weightsStatus: "NONE", weightsFiles: null });
    await store.of(operator).accounts.setKeep({ WEIGHTS: null });
  });
});

test("one process at a time does it, beside its work", async () => {
  const { id } = await dataset(past);
  store.doChores();
  await expect.poll(() => store.datasets.get(id)).toBeNull();
  // Whoever comes now comes too early.
  const second = await dataset(past);
  const other = await fixture.another();
  other.doChores();
  await other.close();
  expect(await store.datasets.get(second.id)).not.toBeNull();
});
