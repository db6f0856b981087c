/** steplog model list [--json] */
import { join } from "node:path";
import type { Command } from "commander";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { describeOrigin, readOrigin } from "../../engine/model/files/origin.ts";
import { asSteplogError } from "../../schema/errors.ts";
import { modelNames } from "../../models/folder-stamps.ts";
import { modelSummary } from "../../models/registration.ts";
import { readConfig } from "../config.ts";
import { hashModel } from "../../models/staging-folder.ts";
import { ProgressLine, print, printJson, printTable } from "../output.ts";
import { formatBytes, formatCount } from "../../schema/units.ts";

type Listed =
  | (ReturnType<typeof modelSummary> & { readonly hash: string; readonly source: string | null })
  | { readonly name: string; readonly problem: string };

export function define(command: Command): void {
  command
    .description("List the models folder, with sizes, base hashes and sources.")
    .option("--json", "print {modelsDir, models}")
    .addHelpText("after", "\nExample:\n  steplog model list")
    .action(modelList);
}

async function modelList(options: { json?: true }): Promise<void> {
  const { modelsDir } = readConfig();
  const progress = new ProgressLine();
  const models: Listed[] = [];
  for (const name of await modelNames(modelsDir)) models.push(await look(modelsDir, name, progress));
  progress.end();
  if (options.json) printJson({ modelsDir, models });
  else report(modelsDir, models);
}

async function look(modelsDir: string, name: string, progress: ProgressLine): Promise<Listed> {
  try {
    const folder = await openModelFolder(join(modelsDir, name));
    const hash = await hashModel({ name, modelsDir }, folder, (done, total) =>
      progress.show(`hashing ${name} ${Math.floor((100 * done) / Math.max(1, total))}%`),
    );
    return { ...modelSummary(name, folder), hash, source: describeOrigin(await readOrigin(folder.path)) };
  } catch (error) {
    const { code, message } = asSteplogError(error);
    return { name, problem: `${code}: ${message}` };
  }
}

/** Enough hex digits of a hash to tell models apart. */
const shownDigits = 16;

function report(modelsDir: string, models: readonly Listed[]): void {
  if (models.length === 0) {
    print(`There are no models in ${modelsDir}. Add one: steplog model add facebook/opt-125m`);
    return;
  }
  const rows = models.map((model) => {
    if ("problem" in model) return [model.name, "cannot be used"];
    const { name, family, parameters, bytes, dtype, hash, source } = model;
    return [
      name,
      family,
      formatCount(parameters),
      formatBytes(bytes),
      dtype,
      hash.slice(0, shownDigits),
      source ?? "-",
    ];
  });
  printTable(["NAME", "FAMILY", "PARAMETERS", "SIZE", "DTYPE", "HASH", "SOURCE"], rows);
  for (const model of models) if ("problem" in model) print(`${model.name}: ${model.problem}`);
}
