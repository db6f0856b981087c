/** From the rows of a request to what the serving thread needs to answer it. */
import { join } from "node:path";
import type { ServedCheckpoint, ServedModel, ServingRequest } from "../../engine/thread/serving-messages.ts";
import { hashesDirOf } from "../../models/registration.ts";
import { invariant } from "../../schema/errors.ts";
import type { Completion } from "../../schema/serving-tables.ts";
import { encodeStepLog } from "../../schema/step-log.ts";
import type { BaseModel, Checkpoint, WeightsFile } from "../../schema/tables.ts";
import type { Rebuild } from "./rebuilds.ts";
import { type Store, type WrittenChoice, unpackTokens } from "../../store/store.ts";

export interface ReadRequest {
  readonly completion: Completion;
  readonly baseModel: BaseModel;
  readonly choices: readonly WrittenChoice[];
  readonly request: ServingRequest;
}

/** Null for a completion that was deleted. */
export async function readRequest(store: Store, id: string, modelsDir: string): Promise<ReadRequest | null> {
  const completion = await store.completions.get(id);
  if (!completion) return null;
  const { task, prompt, checkpointId } = completion;
  const [baseModel, choices, checkpoint] = await Promise.all([
    store.baseModels.get(completion.baseModelId),
    store.completions.choices(completion),
    checkpointId === null ? null : servedCheckpoint(store, checkpointId),
  ]);
  invariant(baseModel, `completion ${id} has its base model`);
  const model = {
    modelPath: join(modelsDir, baseModel.name),
    base: baseModel.hash,
    hashesDir: hashesDirOf(modelsDir),
    checkpoint,
  };
  const done = choices.map(({ tokens, finish }) => ({ tokens, finish }));
  return { completion, baseModel, choices, request: { id, model, task, prompt: unpackTokens(prompt), done } };
}

async function servedCheckpoint(store: Store, id: string): Promise<ServedCheckpoint> {
  const checkpoint = await store.checkpoints.get(id);
  invariant(checkpoint, `the completion's checkpoint ${id} exists`);
  return {
    chain: chainOf(checkpoint),
    log: await logOf(store, checkpoint),
    digest: checkpoint.weightsDigest,
    folder: null,
    isStored: storedFiles(checkpoint) !== null,
  };
}

/** The request with the folder of its weights; null where there is none. */
export function inFolder(request: ServingRequest, folder: string | null): ServingRequest {
  const { model } = request;
  return { ...request, model: { ...model, checkpoint: model.checkpoint && { ...model.checkpoint, folder } } };
}

/** The request with a model whose weights are to be rebuilt although they are stored; null if they are not. */
export function withoutStored(request: ServingRequest): ServingRequest | null {
  const { model } = request;
  if (!model.checkpoint?.isStored) return null;
  return { ...request, model: { ...model, checkpoint: { ...model.checkpoint, isStored: false } } };
}

/** What is needed to make a folder of a checkpoint of full weights. */
export async function readRebuild(store: Store, model: ServedModel, checkpointId: string | null): Promise<Rebuild> {
  const checkpoint = checkpointId === null ? null : await store.checkpoints.get(checkpointId);
  return { model, stored: checkpoint && storedFiles(checkpoint) };
}

/** Null for a folder that is not stored whole: one that an earlier release stored may lack its config. */
function storedFiles({ weightsFiles }: Checkpoint): readonly WeightsFile[] | null {
  const isWhole = weightsFiles?.some(({ name }) => name === "config.json") ?? false;
  return isWhole ? weightsFiles : null;
}

export function chainOf({ chain }: Checkpoint): string {
  return Buffer.from(chain).toString("hex");
}

/** A whole .steplog file up to the checkpoint. */
export async function logOf(store: Store, { id, fineTuneId, entries }: Checkpoint): Promise<Uint8Array> {
  const log = await store.fineTunes.logPrefix(fineTuneId, entries);
  invariant(log, `the run of checkpoint ${id} has a log`);
  return encodeStepLog(log);
}
