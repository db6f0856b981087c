/** steplog model add PATH | REPOSITORY[@REVISION] [--name NAME] */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { describeSource } from "../../engine/model/files/origin.ts";
import { SteplogError } from "../../schema/errors.ts";
import { readConfig, readHubAccess, readProxies } from "../config.ts";
import { addFolder } from "../../models/add-folder.ts";
import type { AddedModel } from "../../models/staging-folder.ts";
import { placeOf } from "../../models/staging-folder.ts";
import { ProgressLine, print, printJson } from "../output.ts";
import { formatBytes, formatCount, formatDuration } from "../../schema/units.ts";

export interface ModelAddOptions {
  name?: string;
  link?: true;
  json?: true;
}

export async function modelAdd(what: string, options: ModelAddOptions): Promise<void> {
  const { modelsDir } = readConfig();
  const progress = new ProgressLine();
  const speed = new Speed();
  const onProgress = (stage: string, done: number, total: number) => {
    const rest = stage === "downloading" ? speed.describe(done, total) : "";
    progress.show(`${stage} ${Math.floor((100 * done) / Math.max(1, total))}% of ${formatBytes(total)}${rest}`);
  };
  const repository = (await isFolder(what)) ? null : parseRepository(what);
  let added: AddedModel;
  try {
    if (repository === null) {
      const place = placeOf(modelsDir, options.name ?? basename(resolve(what)));
      added = await addFolder(resolve(what), place, { link: options.link ?? false, onProgress });
    } else {
      // Loaded when it is needed: the hub's library is large.
      const [{ addRepository }, { Hub }, { pausesMs }, { fetchThrough }] = await Promise.all([
        import("../../models/add-repository.ts"),
        import("../../models/hub/hub.ts"),
        import("../../models/hub/download.ts"),
        import("../../models/hub/proxy.ts"),
      ]);
      const { name, revision } = repository;
      const place = placeOf(modelsDir, options.name ?? basename(name));
      const hub = new Hub(await readHubAccess(), { fetch: await fetchThrough(readProxies()) });
      added = await addRepository(name, revision, place, { hub, pausesMs, onProgress });
    }
  } finally {
    progress.end();
  }
  if (options.json) printJson(added);
  else report(added);
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** ORGANISATION/NAME or NAME, and behind an @ a branch, tag or commit. @throws NOT_FOUND for what can only be a path */
export function parseRepository(text: string): { name: string; revision: string } {
  const [, name, revision = "main"] = /^((?:[\w-][\w.-]*\/)?[\w-][\w.-]*)(?:@(.+))?$/u.exec(text) ?? [];
  if (name !== undefined) return { name, revision };
  throw new SteplogError(
    "NOT_FOUND",
    `There is no folder ${text}, and it is no repository of the hub, which would be ORGANISATION/NAME[@REVISION].`,
  );
}

/** Before this, a speed would be that of a connection which has just begun. */
const measuredMs = 2_000;

/** How fast bytes come, and how long the rest takes, from what came since the first look. */
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
  if (!hasTokenizer) print("It has no tokenizer.json: rows and prompts for it are tokens.");
  print(
    `A worker registers it when it starts. One that runs finds it within seconds, and registers it when asked:\n` +
      `  mutation { registerBaseModel(name: "${name}") { foundModel { registering } baseModel { id } } }`,
  );
}
