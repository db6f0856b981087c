/** A run that pauses and is resumed has, byte for byte, the log and the weights of one that does not. A real engine. */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { ModelsAtHand } from "../../models/registration.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { Log } from "../../schema/log.ts";
import type { Store } from "../../store/store.ts";
import { runWorker } from "../../worker/worker.ts";
import { newInput } from "../store/fixtures.ts";
import { scratch } from "../support/models.ts";
import { testStore } from "../support/postgres.ts";
import { demo } from "./run.ts";

const silent: Log = { info() {}, warn() {}, error() {} };
/** Steps that take longer than the store, so that the engine is not many of them ahead. */
const [steps, batchSize] = [30, 2];

/** A worker on the demo's base, and runs of it. The first append after each of these entries asks for a pause of its run. */
async function service(pauseAfter: number[]) {
  const fixture = await testStore();
  const { store } = fixture;
  const modelsDir = join(await scratch(), "models");
  await mkdir(modelsDir);
  await cp(demo("base"), join(modelsDir, "demo"), { recursive: true });
  const hash = await baseHash(await openModelFolder(demo("base")));
  const size = { parameters: 4, bytes: 16, contextLength: 512 };
  const model = await store.baseModels.register({ name: "demo", hash, family: "opt", dtype: "F32", ...size });
  const { sha256, bytes } = await store.blobs.put(Readable.toWeb(createReadStream(demo("train.jsonl"))));
  const dataset = await store.datasets.create({ name: "rows", sha256, bytes, rows: 1 });
  const models = new ModelsAtHand();
  models.add("demo", hash);
  const stop = new AbortController();
  const device = { name: "plain", threads: 1, devicesDir: null };
  const compute = { device, deviceNote: "plain", precisions: ["float32"] as const };
  const pausing: Store = {
    ...store,
    async appendSteps(job, batch) {
      const isTime = batch.firstEntry >= (pauseAfter[0] ?? Infinity);
      if (isTime && pauseAfter.shift() !== undefined) await store.fineTunes.pause(ids[0] ?? "");
      return store.appendSteps(job, batch);
    },
  };
  const ids: string[] = [];
  const working = runWorker({
    store: pausing,
    name: "w",
    modelsDir,
    models,
    ...compute,
    log: silent,
    signal: stop.signal,
  });
  onTestFinished(async () => {
    stop.abort();
    await working;
    await fixture.drop();
  });
  const create = async () => {
    const hyperparameters = hyperparametersSchema.parse({
      steps,
      learningRate: 1e-4,
      batchSize,
      seed: 3,
      checkpointEvery: 10,
    });
    const input = { ...(await newInput(store)), baseModelId: model.id, datasetId: dataset.id, labelWords: [] };
    const { id } = (await store.fineTunes.create({ ...input, hyperparameters })).fineTune;
    ids.push(id);
    return id;
  };
  return { store, create };
}

async function when(store: Store, id: string, isSo: (run: { status: string; stepsDone: number }) => boolean) {
  for await (const run of store.feed.status(id)) if (isSo(run)) return run;
  throw new Error("It ended before.");
}

test("a run that paused twice has the bytes of one that did not", { timeout: 120_000 }, async () => {
  const { store, create } = await service([0, 10]);
  const id = await create();
  for (const _ of [1, 2]) {
    const paused = await when(store, id, ({ status }) => status === "PAUSED");
    // It stopped within the run, and the log and the weights end at the same step.
    expect(paused.stepsDone).toBeLessThan(steps);
    const [last] = await store.checkpoints.list(id, { limit: 1 });
    expect(last).toMatchObject({ step: paused.stepsDone, chain: paused.chain });
    await store.fineTunes.resume(id);
  }
  const straight = await create();
  const [twice, never] = [
    await when(store, id, ({ status }) => status === "SUCCEEDED"),
    await when(store, straight, ({ status }) => status === "SUCCEEDED"),
  ];
  expect(await store.fineTunes.log(twice.id)).toEqual(await store.fineTunes.log(never.id));
  const digests = async (run: string) =>
    new Map(
      (await store.checkpoints.list(run, { limit: 100 })).map(({ step, weightsDigest }) => [step, weightsDigest]),
    );
  const [paused, expected] = [await digests(id), await digests(straight)];
  expect([...expected.keys()]).toEqual([30, 20, 10]);
  for (const [step, digest] of expected) expect([step, paused.get(step)]).toEqual([step, digest]);
});
