/** steplog model remove NAME [--yes] [--force] */
import { randomUUID } from "node:crypto";
import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { forgetHash } from "../../engine/model/files/hashes.ts";
import { SteplogError } from "../../schema/errors.ts";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { openStore } from "../../store/store.ts";
import { hashesDirOf, modelNames, ownDirOf } from "../../models/registration.ts";
import type { ServiceConfig } from "../config.ts";
import { readConfig } from "../config.ts";
import { clearPartial } from "../../models/hub/partial.ts";
import type { Place } from "../../models/staging-folder.ts";
import { isThere, placeOf } from "../../models/staging-folder.ts";
import { print } from "../output.ts";

export interface ModelRemoveOptions {
  yes?: true;
  force?: true;
}

/**
 * First the store forgets the model, unless fine-tunes need it; then one rename takes the folder away from the workers; then
 * it is deleted. Whatever stops this leaves a whole model or none.
 */
export async function modelRemove(name: string, options: ModelRemoveOptions): Promise<void> {
  const config = readConfig();
  const place = placeOf(config.modelsDir, name);
  const there = await isThere(place.target);
  if (!there && !(await isThere(place.partial))) throw await noSuchModel(place);
  if (!options.yes) await ask(there ? `Remove ${place.target}?` : `Remove what was downloaded of ${name}?`);
  if (there) {
    await forget(config, name, options.force ?? false);
    await takeAway(place);
  }
  await clearPartial(place);
  print(`Removed ${name}.`);
}

async function noSuchModel({ name, modelsDir }: Place): Promise<SteplogError> {
  const names = await modelNames(modelsDir);
  const known = names.length > 0 ? `There are: ${names.join(", ")}.` : "There are none.";
  return new SteplogError("NOT_FOUND", `There is no model ${name} in ${modelsDir}. ${known}`);
}

/** @throws INVALID_ARGUMENT when the answer is not yes, or nobody is there to give one */
async function ask(question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new SteplogError("INVALID_ARGUMENT", `${question} Say so with --yes.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [y/N] `);
  terminal.close();
  if (!/^y(?:es)?$/iu.test(answer.trim())) throw new SteplogError("INVALID_ARGUMENT", "Nothing was removed.");
}

/**
 * Has the store forget the model. A store that is configured and does not answer is an error, for fine-tunes may need it.
 * @throws CONFLICT naming the fine-tunes that do, UNAVAILABLE
 */
async function forget(config: ServiceConfig, name: string, force: boolean): Promise<void> {
  if (force) return;
  const postgres = await embeddedPostgres(config);
  const databaseUrl = config.databaseUrl ?? postgres?.url;
  if (databaseUrl === undefined) return;
  const store = await openStore({ databaseUrl, storageDir: config.storageDir });
  try {
    await store.migrate();
    await store.baseModels.unregister(name);
  } catch (error) {
    if (!(error instanceof SteplogError && error.code === "UNAVAILABLE")) throw error;
    const advice = "Whether fine-tunes need the model cannot be known; --force removes it all the same.";
    throw new SteplogError("UNAVAILABLE", `${error.message} ${advice}`, [], { cause: error });
  } finally {
    await store.close();
    await postgres?.stop();
  }
}

/** The one that `steplog start` uses, where it ever ran: adopted while it runs, else started for the question. */
async function embeddedPostgres({ databaseUrl, dataDir }: ServiceConfig) {
  const folder = join(dataDir, "postgres");
  const ran = await access(folder).then(
    () => true,
    () => false,
  );
  return databaseUrl === null && ran ? startEmbeddedPostgres({ dataDir: folder }) : null;
}

async function takeAway({ name, modelsDir, target }: Place): Promise<void> {
  const removed = join(ownDirOf(modelsDir), "removed");
  await mkdir(removed, { recursive: true });
  await rename(target, join(removed, `${name}-${randomUUID()}`));
  await forgetHash(name, { folder: hashesDirOf(modelsDir) });
  // With what another removal left that was stopped.
  for (const entry of await readdir(removed)) await rm(join(removed, entry), { recursive: true, force: true });
}
