/** steplog model remove NAME [--yes] [--force] */
import { caller } from "../administrator-database.ts";
import { randomUUID } from "node:crypto";
import { access, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { forgetHash } from "../../engine/model/files/hashes.ts";
import { SteplogError } from "../../schema/errors.ts";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { openStore } from "../../store/store.ts";
import { modelNames } from "../../models/folder-stamps.ts";
import { hashesDirOf } from "../../models/registration.ts";
import type { ServiceConfig } from "../config.ts";
import { agreed } from "../agreed.ts";
import { readConfig } from "../config.ts";
import { clearPartial } from "../../models/hub/partial.ts";
import type { StagingFolder } from "../../models/staging-folder.ts";
import { deleteRemoved, exists, removedDirOf, stagingFolder } from "../../models/staging-folder.ts";
import { print, printJson } from "../output.ts";

interface ModelRemoveOptions {
  yes?: true;
  force?: true;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Delete a model, unless fine-tunes need it.")
    .argument("<name>", "name of the model")
    .option("--yes", "do not ask")
    .option("--force", "delete it even if fine-tunes need it, whose logs then rebuild nothing")
    .option("--json", "print {removed}; needs --yes")
    .addHelpText("after", "\nExample:\n  steplog model remove opt-125m")
    .action(modelRemove);
}

/**
 * Unregisters the model in the store, unless fine-tunes need it; renames its folder, so that workers no longer see it; then
 * deletes the folder. An interruption leaves a whole model or none.
 */
async function modelRemove(name: string, options: ModelRemoveOptions): Promise<void> {
  const config = readConfig();
  const staging = stagingFolder(config.modelsDir, name);
  const complete = await exists(staging.target);
  if (!complete && !(await exists(staging.partial))) throw await noSuchModel(staging);
  const question = complete ? `Remove ${staging.target}?` : `Remove the partial download of ${name}?`;
  if (!options.yes) await ask(question, options.json ?? false);
  if (complete) {
    await unregister(config, name, options.force ?? false);
    await deleteFolder(staging);
  }
  await clearPartial(staging);
  if (options.json) printJson({ removed: name });
  else print(`Removed ${name}.`);
}

async function noSuchModel({ name, modelsDir }: StagingFolder): Promise<SteplogError> {
  const names = await modelNames(modelsDir);
  const known = names.length > 0 ? `Its models are ${names.join(", ")}.` : "It is empty.";
  return new SteplogError("NOT_FOUND", `There is no model ${name} in ${modelsDir}. ${known}`);
}

/** @throws INVALID_ARGUMENT unless the answer is yes, or when there is no terminal to ask on */
async function ask(question: string, json: boolean): Promise<void> {
  if (!(await agreed(question, json))) throw new SteplogError("INVALID_ARGUMENT", "Nothing was removed.");
}

/**
 * Unregisters the model in the store. A configured store that does not answer is an error, because fine-tunes may need it.
 * @throws CONFLICT naming the fine-tunes that need it, UNAVAILABLE
 */
async function unregister(config: ServiceConfig, name: string, force: boolean): Promise<void> {
  if (force) return;
  const postgres = await embeddedPostgres(config);
  const databaseUrl = config.databaseUrl ?? postgres?.url;
  if (databaseUrl === undefined) return;
  const store = await openStore({ databaseUrl, directUrl: config.directUrl, storageDir: config.storageDir });
  try {
    await store.migrate();
    await store.by(caller()).baseModels.unregister(name);
  } catch (error) {
    if (!(error instanceof SteplogError && error.code === "UNAVAILABLE")) throw error;
    const advice = "So it is not known whether fine-tunes need the model; --force removes it anyway.";
    throw new SteplogError("UNAVAILABLE", `${error.message} ${advice}`, [], { cause: error });
  } finally {
    await store.close();
    await postgres?.stop();
  }
}

/** That of `steplog start`, if it ever ran here: adopted if it is running, else started for this check. */
async function embeddedPostgres({ databaseUrl, dataDir }: ServiceConfig) {
  const folder = join(dataDir, "postgres");
  const ran = await access(folder).then(
    () => true,
    () => false,
  );
  return databaseUrl === null && ran ? startEmbeddedPostgres({ dataDir: folder }) : null;
}

async function deleteFolder({ name, modelsDir, target }: StagingFolder): Promise<void> {
  const removed = removedDirOf(modelsDir);
  await mkdir(removed, { recursive: true });
  await rename(target, join(removed, `${name}-${randomUUID()}`));
  await forgetHash(name, { folder: hashesDirOf(modelsDir) });
  await deleteRemoved(modelsDir);
}
