/**
 * Who makes projects and keys on a command line: with DATABASE_URL the database itself, which needs no key and makes the first
 * one; otherwise the service at an address, with a key that may.
 */
import { didYouMean } from "../schema/did-you-mean.ts";
import { SteplogError } from "../schema/errors.ts";
import { keyHasEnded } from "../schema/projects.ts";
import { openStore } from "../store/store.ts";
import type { Administrator, KeyRow } from "./administration.ts";
import { ofDatabase } from "./administrator-database.ts";
import { ofService } from "./administrator-service.ts";
import { readConfig, storeOptions } from "./config.ts";
import { allOf } from "./pages.ts";
import { withService } from "./remote.ts";

/** @param url of the service that is used without DATABASE_URL */
export async function withAdministrator(url: string, work: (one: Administrator) => Promise<void>): Promise<void> {
  const config = readConfig();
  const { databaseUrl } = config;
  if (databaseUrl === null) return withService(url, (service) => work(ofService(service)));
  const store = await openStore({ databaseUrl, ...storeOptions(config) });
  try {
    await store.migrate();
    await work(ofDatabase(store));
  } finally {
    await store.close();
  }
}

/** The project of a name. @throws NOT_FOUND with the names there are */
export async function projectNamed(one: Administrator, name: string | undefined): Promise<string | null> {
  if (name === undefined) return null;
  const all = await allOf((page) => one.projects(page));
  const found = all.find((project) => project.name === name);
  if (found) return found.id;
  const names = all.map((project) => project.name);
  const hint = didYouMean(name, names);
  const message = `There is no project ${JSON.stringify(name)}.${hint} There are: ${names.join(", ")}. Make one: steplog projects create NAME`;
  throw new SteplogError("NOT_FOUND", message);
}

/**
 * The key that begins so, or has this name or id: of several, one that has not ended, or with `ended` one that has.
 * @throws NOT_FOUND; INVALID_ARGUMENT where several do
 */
export async function keyNamed(
  one: Administrator,
  given: string,
  projectId: string | null,
  { ended = false } = {},
): Promise<KeyRow> {
  const all = await allOf((page) => one.keys(projectId, page));
  const found = all.filter(
    ({ id, name, start }) => id === given || name === given || given.startsWith(start) || start.startsWith(given),
  );
  const likely = found.filter((key) => keyHasEnded(key) === ended);
  const [only, ...others] = likely.length > 0 ? likely : found;
  if (only && others.length === 0) return only;
  if (!only) {
    const hint = didYouMean(
      given,
      all.flatMap(({ name, start }) => [name, start]),
    );
    const message = `No key begins with, or is named, ${given}.${hint} List them: steplog keys list`;
    throw new SteplogError("NOT_FOUND", message);
  }
  const starts = [only, ...others].map(({ start }) => start).join(", ");
  throw new SteplogError("INVALID_ARGUMENT", `Several keys match ${given}: ${starts}. Give the beginning of one.`);
}
