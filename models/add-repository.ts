/**
 * A model from the hub. The revision is resolved to a commit once, and every file is from that commit. The small files come
 * first (the list of files, the config, the index of shards), so that an unusable model is refused before gigabytes are
 * downloaded. Files from an earlier attempt, whole or partial, are kept if the hub still lists them with the same checksum, so
 * that running the same command again resumes the download.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isCompanion } from "../engine/model/files/companions.ts";
import { readModelConfig, readShardIndex } from "../engine/model/files/folder.ts";
import { indexName, weightsName } from "../engine/model/files/shards.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import type { Download } from "./hub/download.ts";
import { downloadFile, persist, sizeOf } from "./hub/download.ts";
import { FilesCounter, type FilesProgress } from "./hub/files-progress.ts";
import type { Hub, HubCommit, HubFile } from "./hub/hub.ts";
import { clearPartial, keepOnlyKnown } from "./hub/partial.ts";
import {
  isPyTorchFolder,
  openPyTorchModel,
  pyTorchIndexName,
  pyTorchName,
  writeAsSafetensors,
} from "./pytorch/convert.ts";
import type { AddedModel, StagingFolder } from "./staging-folder.ts";
import { publish, withStagingFolder } from "./staging-folder.ts";
import { needSpace } from "./space.ts";

/** Files downloaded at a time: one connection rarely uses the whole bandwidth. */
const connections = 4;

export interface AddRepositoryOptions {
  readonly hub: Hub;
  readonly pausesMs: readonly number[];
  /** In bytes; while files are downloaded also by file. What it throws ends the work. */
  readonly onProgress: (stage: string, done: number, total: number, files?: FilesProgress) => void;
  /** Aborting it stops the download and keeps the bytes so far. */
  readonly signal?: AbortSignal;
}

/** @throws NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE from the hub; MODEL_INVALID, MODEL_UNSUPPORTED, CONFLICT */
export async function addRepository(
  repository: string,
  revision: string,
  staging: StagingFolder,
  options: AddRepositoryOptions,
): Promise<AddedModel> {
  const { hub, pausesMs, signal = new AbortController().signal } = options;
  const patience = { pausesMs, signal };
  const commit = await persist(
    patience,
    async () => false,
    () => hub.commitOf(repository, revision),
  );
  refuseUnusable(commit);
  return withStagingFolder(staging, async () => {
    await keepOnlyKnown(staging, commit.files);
    const weights = await fetchConfig(commit, staging, options);
    await fetchAll(commit, weights, staging, options);
    return publishAll(commit, staging, options);
  });
}

/** Refuses what the names of the files already rule out. */
function refuseUnusable({ repository, commit, files }: HubCommit): void {
  const names = files.map((file) => file.name);
  const refuse = (what: string): never => {
    throw new SteplogError("MODEL_INVALID", `${repository}@${commit.slice(0, 12)} ${what}`);
  };
  const quantised = names.find((name) => /^quant(?:ize)?_config\.json$/u.test(name));
  if (quantised !== undefined) {
    const message = `${repository}@${commit.slice(0, 12)} has ${quantised}: its weights are quantised. Add the model they were made from.`;
    throw new SteplogError("MODEL_UNSUPPORTED", message);
  }
  const safetensors = names.includes(weightsName) || names.includes(indexName);
  if (names.includes("config.json") && (safetensors || isPyTorchFolder(names))) return;
  if (names.includes("adapter_config.json")) {
    refuse("is an adapter, not a whole model. Merge it into its base with peft and add the resulting folder.");
  }
  const pickled = names.filter((name) => /\.(?:bin|pt|pth|ckpt)$/u.test(name));
  if (pickled.length > 0 && !safetensors && !isPyTorchFolder(names)) {
    refuse(
      `has its weights only in ${pickled.slice(0, 3).join(", ")}; Steplog reads ${weightsName} and ${pyTorchName}, or shards ` +
        "of these with their index. Look for a pull request of it that adds safetensors and give REPO@refs/pr/NUMBER; or load " +
        "it with transformers, call save_pretrained(FOLDER, safe_serialization=True), and add that folder.",
    );
  }
  const missing = names.includes("config.json") ? weightsName : "config.json";
  const gguf = names.some((name) => name.endsWith(".gguf")) ? " Steplog cannot train quantised weights (gguf)." : "";
  refuse(`has no ${missing}, so transformers cannot load it.${gguf}`);
}

/** Downloads and checks the config; the names of the weight files. @throws for a model that Steplog cannot train */
async function fetchConfig(
  commit: HubCommit,
  staging: StagingFolder,
  options: AddRepositoryOptions,
): Promise<ReadonlySet<string>> {
  const { partial: folder } = staging;
  const names = commit.files.map(({ name }) => name);
  const { single, index } = isPyTorchFolder(names)
    ? { single: pyTorchName, index: pyTorchIndexName }
    : { single: weightsName, index: indexName };
  // A single file counts before shards (engine/model/files/folder.ts).
  const sharded = !names.includes(single);
  const small = commit.files.filter(({ name }) => name === "config.json" || (sharded && name === index));
  await fetchFiles({ ...options, commit, folder, onBytes: () => {} }, small);
  try {
    await readModelConfig(folder);
    const weights = new Set(sharded ? [index, ...(await readShardIndex(folder, index)).values()] : [single]);
    const missing = [...weights].find((name) => !names.includes(name));
    if (missing === undefined) return weights;
    throw new SteplogError("MODEL_INVALID", `${commit.repository} has no ${missing}, which its index lists.`);
  } catch (error) {
    await clearPartial(staging);
    throw error;
  }
}

async function fetchAll(
  commit: HubCommit,
  weights: ReadonlySet<string>,
  { partial: folder }: StagingFolder,
  options: AddRepositoryOptions,
): Promise<void> {
  const files = commit.files.filter(({ name }) => weights.has(name) || isCompanion(name));
  const counter = new FilesCounter(files);
  await needSpace(folder, counter.totalBytes - (await present(folder, files)));
  const onBytes = (name: string, bytes: number) => {
    counter.reached(name, bytes);
    options.onProgress("downloading", counter.doneBytes, counter.totalBytes, counter.look());
  };
  await fetchFiles({ ...options, commit, folder, onBytes }, files);
}

/** By now the files are those of the hub; if they do not fit together, they do not there either. */
async function publishAll(commit: HubCommit, staging: StagingFolder, { hub, onProgress }: AddRepositoryOptions) {
  const { repository, revision } = commit;
  const source = { hub: hub.access.endpoint, repository, revision, commit: commit.commit };
  try {
    await convert(staging.partial, (done, total) => onProgress("converting", done, total));
    const added = await publish(staging, source, (done, total) => onProgress("hashing", done, total));
    await clearPartial(staging);
    return added;
  } catch (error) {
    const { code, message, issues } = asSteplogError(error);
    const advice = `The downloaded files are in ${staging.partial}; steplog model remove ${staging.name} deletes them.`;
    throw new SteplogError(code, `${message} ${advice}`, issues, { cause: error });
  }
}

/** Turns downloaded files of PyTorch into safetensors, and deletes them. */
async function convert(folder: string, onProgress: (done: number, total: number) => void): Promise<void> {
  const names = await readdir(folder);
  if (!isPyTorchFolder(names)) return;
  const model = await openPyTorchModel(folder, names);
  await writeAsSafetensors(model, folder, onProgress);
  for (const name of [...model.files, pyTorchIndexName]) await rm(join(folder, name), { force: true });
}

async function present(folder: string, files: readonly HubFile[]): Promise<number> {
  let bytes = 0;
  for (const { name } of files) {
    bytes += (await sizeOf(join(folder, name))) || (await sizeOf(join(folder, `${name}.part`)));
  }
  return bytes;
}

/** Downloads a few files at a time, in order. The first failure stops the others and is thrown once they have stopped. */
async function fetchFiles(
  { signal, ...download }: Omit<Download, "signal"> & { readonly signal?: AbortSignal },
  files: readonly HubFile[],
): Promise<void> {
  const queue = [...files];
  const stop = new AbortController();
  const ends = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const failures: unknown[] = [];
  const work = async () => {
    for (let file = queue.shift(); file && !ends.aborted; file = queue.shift()) {
      try {
        await downloadFile({ ...download, signal: ends }, file);
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  if (failures.length > 0) throw failures[0];
  if (ends.aborted) throw new SteplogError("UNAVAILABLE", "The download was stopped.");
}
