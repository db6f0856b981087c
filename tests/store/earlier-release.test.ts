/** While servers and workers are replaced one by one, the release before writes the same tables in its own way. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { settingsOf } from "../../schema/hyperparameters.ts";
import type { Store } from "../../store/store.ts";
import { claimAny } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, claimed, directly, lapse, longMs, newInput, newRun, newTraining } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

/** The settings that the release before knows. It fails a run with any other, so a setting that is not here must be `late`. */
const knownBefore = new Set(
  (
    "method tensors loraRank loraAlpha loraTargets prefixLength objective answerTokens steps batchSize accumulate estimator " +
    "estimates estimatesAtEnd learningRate schedule warmupSteps clipGradient epsilon weightDecay noise precision seed " +
    "evaluateEvery bestMetric patience inContextRows linearProbe checkpointEvery"
  ).split(" "),
);

async function newCheckpoint() {
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 1);
  const position = { entries: 1, step: 1, chain: chainAfter(1), weightsDigest: "ab".repeat(32) };
  const checkpoint = await store.recordCheckpoint(job, position);
  return { run, job, checkpoint };
}

test("a run that an earlier server created is claimed, trained and cancelled", async () => {
  const run = await newRun(store);
  await directly(fixture.url, async (sql) => {
    await sql`delete from jobs where subject = ${run.id}`;
    await sql`insert into jobs (kind, fine_tune_id, checkpoint_id) values ('FINE_TUNE', ${run.id}, null)`;
  });
  const job = await claimed(store);
  expect(job).toMatchObject({ kind: "FINE_TUNE", subject: run.id });
  // As an earlier server cancels.
  await directly(fixture.url, (sql) => sql`update fine_tunes set cancel_requested = true where id = ${run.id}`);
  expect(await store.renewLease(job, longMs)).toEqual({ wanted: "CANCEL" });
  expect(await store.fineTunes.cancel(run.id)).toMatchObject({ status: "RUNNING", wanted: "CANCEL" });
  await store.finishFineTune(job, { status: "CANCELLED" });
  expect(await claimAny(store)).toBeNull();
});

test.each(["GO_ON", "GO_BACK"] as const)(
  "an earlier worker knows all settings of a run with %s",
  async (whenDiverged) => {
    const input = await newInput(store);
    const settings = { ...input.hyperparameters, whenDiverged, truncate: "START" } as const;
    const { fineTune } = await store.fineTunes.create({ ...input, hyperparameters: settings });
    // The columns that it reads.
    const [row] = await directly(
      fixture.url,
      (sql) => sql<{ hyperparameters: object }[]>`select hyperparameters from fine_tunes where id = ${fineTune.id}`,
    );
    expect(new Set(Object.keys(row?.hyperparameters ?? {}))).toEqual(knownBefore);
    expect(settingsOf(fineTune)).toEqual(settings);
    await store.fineTunes.cancel(fineTune.id);
  },
);

test("weights that were requested from an earlier server are rebuilt", async () => {
  const { run, job, checkpoint } = await newCheckpoint();
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  await directly(
    fixture.url,
    (sql) =>
      sql`insert into jobs (kind, fine_tune_id, checkpoint_id) values ('MATERIALISE', ${run.id}, ${checkpoint.id})`,
  );
  const rebuild = await claimed(store);
  expect(rebuild).toMatchObject({ kind: "MATERIALISE", subject: checkpoint.id });
  await store.finishMaterialise(rebuild, { error: "no" });
});

test("an earlier worker finds the run, the checkpoint and the cancel in its columns", async () => {
  const { run, job, checkpoint } = await newCheckpoint();
  await store.checkpoints.requestWeights(checkpoint.id);
  const jobs = await directly(
    fixture.url,
    (sql) => sql`select kind, fine_tune_id, checkpoint_id from jobs where fine_tune_id = ${run.id} order by id`,
  );
  expect([...jobs]).toEqual([
    { kind: "FINE_TUNE", fine_tune_id: run.id, checkpoint_id: null },
    { kind: "MATERIALISE", fine_tune_id: run.id, checkpoint_id: checkpoint.id },
  ]);
  const cancelled = () =>
    directly(fixture.url, (sql) => sql`select cancel_requested from fine_tunes where id = ${run.id}`);
  expect([...(await cancelled())]).toEqual([{ cancel_requested: false }]);
  await store.fineTunes.cancel(run.id);
  expect([...(await cancelled())]).toEqual([{ cancel_requested: true }]);

  // An earlier worker takes over: it raises the token, and the lease of this release is lost.
  await lapse(fixture.url, job);
  await directly(
    fixture.url,
    (sql) => sql`
      update jobs set lease_token = lease_token + 1, lease_worker = 'earlier', lease_expires_at = now() + interval '1 minute'
      where id = ${job.id}`,
  );
  await expect(append(store, job, 1, 1)).rejects.toMatchObject({ code: "LEASE_LOST" });
});
