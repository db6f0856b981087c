/** steplog model add PATH | REPOSITORY[@REVISION] [--name NAME] */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { describeSource } from "../../engine/model/files/origin.ts";
import { SteplogError } from "../../schema/errors.ts";
import { readConfig, readHubAccess, readProxies } from "../config.ts";
import type { AddRepositoryOptions } from "../../models/add-repository.ts";
import type { FilesProgress } from "../../models/hub/files-progress.ts";
import { addFolder } from "../../models/add-folder.ts";
import type { AddedModel } from "../../models/staging-folder.ts";
import { stagingFolder } from "../../models/staging-folder.ts";
import { ProgressLine, print, printJson } from "../output.ts";
import { formatBytes, formatCount, formatDuration } from "../../schema/units.ts";

interface ModelAddOptions {
  name?: string;
  link?: true;
  json?: true;
}

export function define(command: Command): void {
  command
    .description("Add a model to the models folder, from a folder on this machine or from the Hugging Face hub.")
    .argument("<what>", "a folder, or ORGANISATION/NAME[@REVISION]")
    .option("--name <name>", "name of the model in fine-tunes; the default is that of the folder or repository")
    .option("--link", "hard-link the files of a folder instead of copying them")
    .option("--json", "print one JSON object at the end")
    .addHelpText(
      "after",
      "\nExamples:\n  steplog model add facebook/opt-125m\n  steplog model add Qwen/Qwen3-0.6B@main --name qwen\n" +
        "  steplog model add ./my-model\n\nHF_TOKEN, or the token of hf auth login, gives access to private and gated " +
        "models; HF_ENDPOINT names a mirror.\nTo resume an interrupted download, run the same command again.",
    )
    .action(modelAdd);
}

async function modelAdd(what: string, options: ModelAddOptions): Promise<void> {
  const { modelsDir } = readConfig();
  const progress = new ProgressLine();
  const speed = new Speed();
  const onProgress: AddRepositoryOptions["onProgress"] = (stage, done, total, files) => {
    const rest = files ? `${speed.describe(done, total)}${filesInWords(files)}` : "";
    progress.show(`${stage} ${Math.floor((100 * done) / Math.max(1, total))}% of ${formatBytes(total)}${rest}`);
  };
  const repository = (await isFolder(what)) ? null : parseRepository(what);
  let added: AddedModel;
  try {
    if (repository === null) {
      const staging = stagingFolder(modelsDir, options.name ?? basename(resolve(what)));
      added = await addFolder(resolve(what), staging, { link: options.link ?? false, onProgress });
    } else {
      // Loaded only when needed: the hub's library is large.
      const [{ addRepository }, { Hub }, { pausesMs }, { fetchThrough }] = await Promise.all([
        import("../../models/add-repository.ts"),
        import("../../models/hub/hub.ts"),
        import("../../models/hub/download.ts"),
        import("../../models/hub/proxy.ts"),
      ]);
      const { name, revision } = repository;
      const staging = stagingFolder(modelsDir, options.name ?? basename(name));
      const hub = new Hub(await readHubAccess(), { fetch: await fetchThrough(readProxies()) });
      added = await addRepository(name, revision, staging, { hub, pausesMs, onProgress });
    }
  } finally {
    progress.end();
  }
  if (options.json) printJson(added);
  else report(added);
}

/** ", 2 of 7 files done, now model.safetensors 40.0 MB of 190 MB" */
export function filesInWords({ current, filesDone, filesTotal }: FilesProgress): string {
  const now =
    current && `, now ${current.name} ${formatBytes(current.doneBytes)} of ${formatBytes(current.totalBytes)}`;
  return `, ${filesDone} of ${filesTotal} files done${now ?? ""}`;
}

/** @throws INVALID_ARGUMENT for a file */
async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (!found || found.isDirectory()) return found !== null;
  throw new SteplogError("INVALID_ARGUMENT", `${path} is a file. Give the folder that it is in.`);
}

/** ORGANISATION/NAME or NAME, then perhaps @ and a branch, tag or commit. @throws NOT_FOUND for anything else */
export function parseRepository(text: string): { name: string; revision: string } {
  const [, name, revision = "main"] = /^((?:[\w-][\w.-]*\/)?[\w-][\w.-]*)(?:@(.+))?$/u.exec(text) ?? [];
  if (name !== undefined) return { name, revision };
  throw new SteplogError(
    "NOT_FOUND",
    `There is no folder ${text}, and a repository of the hub is written ORGANISATION/NAME[@REVISION].`,
  );
}

/** A speed measured over less time would be that of a connection that is still opening. */
const measuredMs = 2_000;

/** The speed of a download and the time left, measured since the first call. */
class Speed {
  #start: { readonly at: number; readonly done: number } | null = null;

  describe(done: number, total: number): string {
    const at = performance.now();
    this.#start ??= { at, done };
    const elapsed = at - this.#start.at;
    const perSecond = (1_000 * (done - this.#start.done)) / elapsed;
    if (elapsed < measuredMs || perSecond <= 0) return "";
    return `, ${formatBytes(perSecond)}/s, ${formatDuration((total - done) / perSecond)} left`;
  }
}

function report({ name, family, parameters, bytes, dtype, hash, source, hasTokenizer }: AddedModel): void {
  const size = `${family} of ${formatCount(parameters)} parameters, ${formatBytes(bytes)} of ${dtype}`;
  print(`Added ${name}: ${size}, from ${describeSource(source)}.`);
  print(`base hash ${hash}`);
  if (!hasTokenizer) print("It has no tokenizer.json, so its rows and prompts must be given as tokens.");
  print(
    `A worker registers it at its next start. A running worker finds it within seconds and registers it on request:\n` +
      `  mutation { registerBaseModel(name: "${name}") { foundModel { registering } baseModel { id } } }`,
  );
}
