/**
 * A model from the hub. The revision becomes a commit once, and everything is of that commit. First comes what is small:
 * the list of files, the config and the index of shards; whatever would make the model useless is found there, before
 * gigabytes are fetched. Files that are there from an attempt before are kept if the hub still lists them with the same
 * checksum, whole or in part, so that the same command again goes on where it stopped.
 */
import { join } from "node:path";
import { isCompanion } from "../engine/model/files/companions.ts";
import { readModelConfig, readShardIndex } from "../engine/model/files/folder.ts";
import { indexName, weightsName } from "../engine/model/files/shards.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import type { Download } from "./hub/download.ts";
import { downloadFile, persist, sizeOf } from "./hub/download.ts";
import type { Hub, HubCommit, HubFile } from "./hub/hub.ts";
import { clearPartial, keepOnlyKnown } from "./hub/partial.ts";
import type { AddedModel, Place } from "./staging-folder.ts";
import { publish, withPlace } from "./staging-folder.ts";
import { needSpace } from "./space.ts";

/** Files fetched at a time: one connection seldom fills a line. */
const connections = 4;

export interface AddRepositoryOptions {
  readonly hub: Hub;
  readonly pausesMs: readonly number[];
  readonly onProgress: (stage: string, done: number, total: number) => void;
}

/** @throws NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE of the hub; MODEL_INVALID, MODEL_UNSUPPORTED, CONFLICT */
export async function addRepository(
  repository: string,
  revision: string,
  place: Place,
  options: AddRepositoryOptions,
): Promise<AddedModel> {
  const { hub, pausesMs } = options;
  const patience = { pausesMs, signal: new AbortController().signal };
  const commit = await persist(
    patience,
    async () => false,
    () => hub.commitOf(repository, revision),
  );
  refuseUseless(commit);
  return withPlace(place, async () => {
    await keepOnlyKnown(place, commit.files);
    const weights = await fetchConfig(commit, place, options);
    await fetchAll(commit, weights, place, options);
    return publishAll(commit, place, options);
  });
}

/** What can be told from the names of the files. */
function refuseUseless({ repository, commit, files }: HubCommit): void {
  const names = files.map((file) => file.name);
  const refuse = (what: string): never => {
    throw new SteplogError("MODEL_INVALID", `${repository}@${commit.slice(0, 12)} ${what}`);
  };
  if (names.includes("config.json") && (names.includes(weightsName) || names.includes(indexName))) return;
  if (names.includes("adapter_config.json")) {
    refuse("is an adapter (LoRA) and no whole model. Merge it into its base with peft, and add the folder that gives.");
  }
  const pickled = names.filter((name) => /\.(?:bin|pt|pth|ckpt)$/u.test(name));
  if (pickled.length > 0 && !names.includes(weightsName) && !names.includes(indexName)) {
    refuse(
      `has its weights in ${pickled.slice(0, 3).join(", ")} only, pickled code that Steplog never runs. Look among its ` +
        "pull requests for one that adds safetensors and give REPO@refs/pr/NUMBER; or load it with transformers, " +
        "save_pretrained(FOLDER, safe_serialization=True), and add that folder.",
    );
  }
  const missing = names.includes("config.json") ? weightsName : "config.json";
  const quantised = names.some((name) => name.endsWith(".gguf")) ? " Quantised weights (gguf) cannot be trained." : "";
  refuse(`has no ${missing}: it is no model that transformers loads.${quantised}`);
}

/** Names of the weight files, once it is clear that Steplog can train them. */
async function fetchConfig(
  commit: HubCommit,
  place: Place,
  options: AddRepositoryOptions,
): Promise<ReadonlySet<string>> {
  const { partial: folder } = place;
  const small = commit.files.filter(({ name }) => name === "config.json" || name === indexName);
  await fetchFiles({ ...options, commit, folder, onBytes: () => {} }, small);
  try {
    await readModelConfig(folder);
    const sharded = small.some(({ name }) => name === indexName);
    const weights = new Set(sharded ? (await readShardIndex(folder)).values() : [weightsName]);
    const missing = [...weights].find((name) => !commit.files.some((file) => file.name === name));
    if (missing === undefined) return weights;
    throw new SteplogError("MODEL_INVALID", `${commit.repository} has no ${missing}, which its index names.`);
  } catch (error) {
    await clearPartial(place);
    throw error;
  }
}

async function fetchAll(
  commit: HubCommit,
  weights: ReadonlySet<string>,
  { partial: folder }: Place,
  options: AddRepositoryOptions,
): Promise<void> {
  const files = commit.files.filter(({ name }) => weights.has(name) || name === indexName || isCompanion(name));
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  await needSpace(folder, total - (await present(folder, files)));
  const progress = new Map<string, number>();
  const onBytes = (name: string, bytes: number) => {
    progress.set(name, bytes);
    const done = [...progress.values()].reduce((sum, value) => sum + value, 0);
    options.onProgress("downloading", done, total);
  };
  await fetchFiles({ ...options, commit, folder, onBytes }, files);
}

/** The files are those of the hub by now; what does not fit together is so there as well. */
async function publishAll(commit: HubCommit, place: Place, { hub, onProgress }: AddRepositoryOptions) {
  const { repository, revision } = commit;
  const source = { hub: hub.access.endpoint, repository, revision, commit: commit.commit };
  try {
    const added = await publish(place, source, (done, total) => onProgress("hashing", done, total));
    await clearPartial(place);
    return added;
  } catch (error) {
    const { code, message, issues } = asSteplogError(error);
    const advice = `What was downloaded is in ${place.partial}; steplog model remove ${place.name} deletes it.`;
    throw new SteplogError(code, `${message} ${advice}`, issues, { cause: error });
  }
}

async function present(folder: string, files: readonly HubFile[]): Promise<number> {
  let bytes = 0;
  for (const { name } of files) {
    bytes += (await sizeOf(join(folder, name))) || (await sizeOf(join(folder, `${name}.part`)));
  }
  return bytes;
}

/** A few at a time, in order. The first failure stops the others, and is thrown once they have stopped. */
async function fetchFiles(download: Omit<Download, "signal">, files: readonly HubFile[]): Promise<void> {
  const queue = [...files];
  const stop = new AbortController();
  const failures: unknown[] = [];
  const work = async () => {
    for (let file = queue.shift(); file && !stop.signal.aborted; file = queue.shift()) {
      try {
        await downloadFile({ ...download, signal: stop.signal }, file);
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  if (failures.length > 0) throw failures[0];
}
