/** A store and workers with real engines, on the demo's base and rows. */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { ModelsAtHand } from "../../models/registration.ts";
import { type Hyperparameters, hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { Log } from "../../schema/log.ts";
import type { NewFineTune, Store } from "../../store/store.ts";
import { runWorker } from "../../worker/worker.ts";
import { newInput } from "../store/fixtures.ts";
import { scratch } from "../support/models.ts";
import { devicesDir } from "../support/open-devices.ts";
import { testStore } from "../support/postgres.ts";
import { demo } from "./run.ts";

const silent: Log = { info() {}, warn() {}, error() {} };

/** @param storeOf what the workers write to, instead of the store itself */
export async function trainingService({ storeOf = (store: Store) => store, device = "plain", workers = 1 } = {}) {
  const fixture = await testStore();
  const { store } = fixture;
  const modelsDir = join(await scratch(), "models");
  await mkdir(modelsDir);
  await cp(demo("base"), join(modelsDir, "demo"), { recursive: true });
  const hash = await baseHash(await openModelFolder(demo("base")));
  const size = { parameters: 4, bytes: 16, contextLength: 512 };
  const model = await store.baseModels.register({ name: "demo", hash, family: "opt", dtype: "F32", ...size });
  const rowsOf = async (file: string) => {
    const { sha256, bytes } = await store.blobs.put(Readable.toWeb(createReadStream(demo(file))));
    return (await store.datasets.create({ name: file, sha256, bytes, rows: 1 })).id;
  };
  const input = { ...(await newInput(store)), baseModelId: model.id, datasetId: await rowsOf("train.jsonl") };
  const validation = await rowsOf("validation.jsonl");
  const models = new ModelsAtHand();
  models.add("demo", hash);
  const stop = new AbortController();
  const compute = { device: { name: device, threads: 1, devicesDir }, deviceNote: device };
  const written = storeOf(store);
  const working = Array.from({ length: workers }, (_, at) =>
    runWorker({
      store: written,
      name: `w${at === 0 ? "" : at}`,
      modelsDir,
      models,
      ...compute,
      precisions: ["float32"],
      memoryBytes: 2e9,
      log: silent,
      signal: stop.signal,
    }),
  );
  onTestFinished(async () => {
    stop.abort();
    await Promise.all(working);
    await fixture.drop();
  });
  const create = async (settings: Partial<Hyperparameters>, more: Partial<NewFineTune> = {}) => {
    const hyperparameters = hyperparametersSchema.parse(settings);
    return (await store.fineTunes.create({ ...input, labelWords: [], ...more, hyperparameters })).fineTune.id;
  };
  return { store, create, validation };
}

export async function when(store: Store, id: string, isSo: (run: { status: string; stepsDone: number }) => boolean) {
  for await (const run of store.feed.status(id)) if (isSo(run)) return run;
  throw new Error("It ended before.");
}
