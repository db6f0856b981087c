/** A run in a store, trained on a real model by made-up scalars, so that its checkpoint can be rebuilt. */
import { cp, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { vi } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { seededLora, targetedModules } from "../../engine/model/adapters/lora.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { runMaterialise } from "../../engine/replay/rebuild.ts";
import { trainableTensors } from "../../engine/model/trainable.ts";
import { writeReplayed } from "../../engine/replay/reconstruct.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { decodeStepLog, encodeEntries, packScalars, ruleSeed } from "../../schema/step-log.ts";
import { hashesDirOf } from "../../models/registration.ts";
import type { BaseModel, Checkpoint } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { handlerOf } from "../../worker/jobs/all.ts";
import { claimed, metricsOf, newInput } from "../store/fixtures.ts";

export interface TrainedRun {
  readonly modelsDir: string;
  /** The base's folder in it. */
  readonly base: string;
  readonly log: StepLog;
  readonly checkpoint: Checkpoint;
}

const scalars = [0.5, -0.25, 2 ** -9];
const device = createPlainDevice();

export interface TrainedRunOptions {
  /** An existing folder, in which models and weights are made. */
  readonly folder: string;
  readonly model: string;
  readonly name: string;
  readonly method: "FULL" | "LORA";
}

/** Copies a model into a models folder as `name`, registers it, and trains it. */
export async function trainedRun(
  store: Store,
  { folder: place, model, name, method }: TrainedRunOptions,
): Promise<TrainedRun> {
  const modelsDir = join(place, "models");
  const base = join(modelsDir, name);
  await cp(model, base, { recursive: true });
  const folder = await openModelFolder(base);
  const hash = await baseHash(folder);
  const adapter = seededLora(targetedModules(folder.architecture, []), { rank: 2, alpha: 4, seed: 3 });
  const trained = method === "LORA" ? adapter.tensors : trainableTensors(folder);
  const header = {
    format: 1 as const,
    base: hash,
    trainable: [...trained],
    noise: "normal" as const,
    seed: 3,
    hyperparameters: {},
    ...(method === "LORA" && adapter.header),
  };
  const log = decodeStepLog(
    encodeEntries(
      header,
      scalars.map((scalar, k) => ({ seed: ruleSeed(3, k), scalar })),
    ),
  );
  const weights = await mkdtemp(join(place, "weights-"));
  const { digest } = await writeReplayed(folder, log, device, weights);
  return { modelsDir, base, log, checkpoint: await record(store, log, { name, hash, digest, method }) };
}

async function record(
  store: Store,
  log: StepLog,
  { name, hash, digest, method }: { name: string; hash: string; digest: string; method: "FULL" | "LORA" },
): Promise<Checkpoint> {
  const size = { parameters: 4, bytes: 16, contextLength: 32 };
  const model = await store.baseModels.register({ name, hash, family: "opt", dtype: "F32", ...size });
  const hyperparameters = hyperparametersSchema.parse({ steps: scalars.length, method, seed: 3, noise: "NORMAL" });
  await store.fineTunes.create({ ...(await newInput(store)), baseModelId: model.id, hyperparameters });
  const job = await claimed(store);
  const empty = decodeStepLog(encodeEntries(log.header, []));
  const { headerBytes } = log;
  await store.beginLog(job, { headerBytes, chain: empty.chain, device: "plain: a test" });
  const metrics = metricsOf(0, scalars.length);
  const packed = { firstEntry: 0, scalars: packScalars(scalars), decays: null };
  await store.appendSteps(job, { ...packed, chainAfter: log.chain, metrics, tokens: 0 });
  const place = { entries: scalars.length, step: scalars.length };
  const checkpoint = await store.recordCheckpoint(job, { ...place, chain: log.chain, weightsDigest: digest });
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  return checkpoint;
}

/** What a worker gives to its jobs, for those that nobody stops. */
export function ofTests({ blobs }: Store, modelsDir: string) {
  const pathOf = async (sha256: string) => (await blobs.local(sha256)).path;
  const baseOf = async ({ name }: BaseModel) => ({
    modelPath: join(modelsDir, name),
    hashesDir: hashesDirOf(modelsDir),
  });
  return { pathOf, baseOf, signal: new AbortController().signal };
}

/** Does the next rebuild as a worker does, once there is one. */
export async function rebuildNext(store: Store, { modelsDir }: TrainedRun): Promise<void> {
  const job = await vi.waitFor(() => claimed(store), { timeout: 20_000 });
  const handler = handlerOf(job.kind);
  const weightsDir = await mkdtemp(join(modelsDir, "..", "rebuilt-"));
  const context = { store, job, deviceNote: "plain", weightsDir, stop: () => {}, ...ofTests(store, modelsDir) };
  const running = await handler.start(context);
  if (running.request.kind !== "MATERIALISE") throw new Error("it rebuilds");
  for await (const message of runMaterialise(running.request, device)) {
    if (message.type === "failed") throw new Error(message.message);
    await running.take(message);
  }
}
