/** steplog model push CHECKPOINT --repo NAME [--private] [--merged] [--dtype DTYPE] */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import { Option } from "commander";
import type { CheckpointOriginQuery } from "../../client/operations.ts";
import * as operations from "../../client/operations.ts";
import type { SteplogClient, WeightsDtype, WeightsFile } from "../../client/index.ts";
import { fineTunedOrigin, originName, readOrigin, writeOrigin } from "../../engine/model/files/origin.ts";
import type { Card } from "../../models/hub/card.ts";
import { logName, modelCard } from "../../models/hub/card.ts";
import type { PushedFile } from "../../models/hub/push.ts";
import { needSpace } from "../../models/space.ts";
import { SteplogError } from "../../schema/errors.ts";
import { modelKindOf } from "../../schema/model-kind.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import { outputDtypes } from "../../schema/output-dtype.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { formatBytes } from "../../schema/units.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";
import { isPlain } from "../../schema/weights-form.ts";
import { readConfig, readHubAccess, readProxies } from "../config.ts";
import { urlOption } from "../options.ts";
import { ProgressLine, print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { idOf } from "../short-ids.ts";

interface ModelPushOptions {
  repo: string;
  private?: true;
  merged?: true;
  dtype?: OutputDtype;
  baseModel?: string;
  url: string;
  json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Send a checkpoint of a service to the Hugging Face hub: its model or adapter, its log and a model card.",
    )
    .argument("<checkpoint>", "id of the checkpoint")
    .requiredOption(
      "--repo <name>",
      "ORGANISATION/NAME; NAME alone is the token's user's. It is made if it does not exist",
    )
    .option("--private", "make the repository private, and refuse one that is public")
    .option("--merged", "for a LoRA adapter: send the whole model with the adapter merged into it")
    .addOption(new Option("--dtype <dtype>", "send all weights in this format").choices(outputDtypes))
    .option(
      "--base-model <repo>",
      "repository of the base, for the card; the default is where this machine's copy is from",
    )
    .addOption(urlOption())
    .option("--json", "print one JSON object at the end")
    .addHelpText(
      "after",
      "\nExample:\n  steplog model push Q2hlY2twb2ludDo... --repo me/tuned --private --merged --dtype bfloat16\n\n" +
        "HF_TOKEN, or the token of hf auth login, must be allowed to write; HF_ENDPOINT names another hub.",
    )
    .action(modelPush);
}

async function modelPush(checkpoint: string, options: ModelPushOptions): Promise<void> {
  // Loaded only when needed: the hub's library is large.
  const [{ pushModel, pushTarget }, { Hub }, { pausesMs }, { fetchThrough }] = await Promise.all([
    import("../../models/hub/push.ts"),
    import("../../models/hub/hub.ts"),
    import("../../models/hub/download.ts"),
    import("../../models/hub/proxy.ts"),
  ]);
  const hub = new Hub(await readHubAccess(), { fetch: await fetchThrough(readProxies()) });
  const isPrivate = options.private ?? false;
  const repository = await pushTarget(hub, options.repo, isPrivate);
  const progress = new ProgressLine();
  const folder = await mkdtemp(join(tmpdir(), "steplog-push-"));
  try {
    progress.show("rebuilding");
    const { files, name } = await withService(options.url, async ({ client }) =>
      gather(client, await idOf(client, "CHECKPOINT", checkpoint), { ...options, folder }),
    );
    const title = `Add ${name}, made by Steplog`;
    const onProgress = (stage: string, done: number, total: number) =>
      progress.show(`${stage} ${Math.floor((100 * done) / Math.max(1, total))}% of ${formatBytes(total)}`);
    const pushed = await pushModel(hub, { repository, isPrivate, title, files }, { pausesMs, onProgress });
    progress.end();
    if (options.json) printJson(pushed);
    else print(`Pushed ${files.length} files to ${pushed.url} (commit ${pushed.commit.slice(0, 12)}).`);
  } finally {
    progress.end();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Gathering extends Pick<ModelPushOptions, "merged" | "dtype" | "baseModel"> {
  /** An empty folder for the files. */
  readonly folder: string;
}

/** Has the weights rebuilt, and brings everything that is pushed to this machine. */
async function gather(
  client: SteplogClient,
  id: string,
  { folder, baseModel, ...options }: Gathering,
): Promise<{ files: PushedFile[]; name: string }> {
  const { checkpoint } = await client.query(operations.checkpointOrigin, { id });
  if (!checkpoint) throw new SteplogError("NOT_FOUND", `The service has no checkpoint ${id}.`);
  const form: WeightsForm = { merged: options.merged ?? false, dtype: options.dtype ?? null };
  const log = await (await client.download(checkpoint.logUrl)).bytes();
  const { header } = checked(decodeStepLog(log), checkpoint);
  const weights = await rebuiltFiles(client, id, form);
  const bytes = weights.reduce((sum, file) => sum + file.bytes, 0);
  await needSpace(folder, bytes, "set TMPDIR to a folder on a larger disk");
  await client.downloadFiles(weights, folder);
  const { fineTune, chainHash: chain, entries, weightsDigest: digest } = checkpoint;
  const { name, hash } = fineTune.baseModel;
  const origin = { entries, chain, digest, ...form };
  await writeOrigin(folder, await fineTunedOrigin(join(readConfig().modelsDir, name), hash, origin));
  const repository = baseModel ?? (await repositoryOf(name));
  const card = modelCard(cardOf(checkpoint, header, form, repository));
  const names = [...weights.map((file) => file.name), originName];
  const files = [
    ...names.map((file) => ({ name: file, content: pathToFileURL(join(folder, file)) })),
    { name: logName, content: new Blob([Uint8Array.from(log)]) },
    { name: "README.md", content: new Blob([card]) },
  ];
  return { name: fineTune.name, files };
}

type CheckpointOrigin = NonNullable<CheckpointOriginQuery["checkpoint"]>;

function cardOf(
  { fineTune, entries, step, chainHash, weightsDigest }: CheckpointOrigin,
  header: Card["header"],
  form: WeightsForm,
  repository: string | null,
): Card {
  const { name, baseModel, evaluations, tests } = fineTune;
  return {
    name,
    base: { ...baseModel, repository },
    kind: modelKindOf(baseModel.family),
    step,
    entries,
    chain: chainHash,
    weightsDigest,
    form,
    header,
    evaluations: [...evaluations, ...tests].filter((one) => one.step === 0 || one.step === step),
  };
}

/** @throws LOG_INVALID for a log that is not the checkpoint's */
function checked(log: StepLog, { chainHash, fineTune }: CheckpointOrigin): StepLog {
  if (Buffer.from(log.chain).toString("hex") === chainHash && log.header.base === fineTune.baseModel.hash) return log;
  throw new SteplogError("LOG_INVALID", "The service sent a log that is not the checkpoint's. Nothing was pushed.");
}

async function rebuiltFiles(client: SteplogClient, id: string, form: WeightsForm): Promise<readonly WeightsFile[]> {
  if (isPlain(form)) return (await client.rebuild(id)).weightsFiles;
  const { merged, dtype } = form;
  const named = dtype === null ? {} : { dtype: dtype.toUpperCase() as WeightsDtype };
  return (await client.exportWeights(id, { merged, ...named })).files;
}

/** Where this machine's copy of a base is from, if it has one from the hub. */
async function repositoryOf(name: string): Promise<string | null> {
  const source = (await readOrigin(join(readConfig().modelsDir, name)))?.source;
  return source && "repository" in source ? source.repository : null;
}
