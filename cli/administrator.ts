/**
 * Who makes projects and keys on a command line: with DATABASE_URL the database itself, which needs no key and makes the first
 * one; otherwise the service at an address, with a key that may.
 */
import { SteplogError } from "../schema/errors.ts";
import { type Keep, keptNames } from "../schema/expiry.ts";
import { type Scope, keyHasEnded, operator } from "../schema/projects.ts";
import { type KeepChanges, type MadeKey, type Store, openStore } from "../store/store.ts";
import { readConfig } from "./config.ts";
import { type Remote, withService } from "./remote.ts";

export interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly start: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
}

export interface ProjectRow {
  readonly id: string;
  readonly name: string;
}

export interface WantedKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly days: number | null;
  /** Null for the administrator's own. */
  readonly projectId: string | null;
}

export interface NewKeyRow extends KeyRow {
  readonly key: string;
}

export interface Administrator {
  projects(): Promise<ProjectRow[]>;
  createProject(name: string): Promise<ProjectRow>;
  /** How long a project keeps what it creates, in seconds: null takes a time away. Returns all that holds. */
  setKeep(changes: KeepChanges, projectId: string | null): Promise<Keep>;
  keys(projectId: string | null): Promise<KeyRow[]>;
  createKey(wanted: WantedKey): Promise<NewKeyRow>;
  rotateKey(id: string, overlapS: number): Promise<NewKeyRow>;
  revokeKey(id: string): Promise<void>;
}

/** @param url of the service that is used without DATABASE_URL */
export async function withAdministrator(url: string, work: (one: Administrator) => Promise<void>): Promise<void> {
  const { databaseUrl, directUrl, storageDir } = readConfig();
  if (databaseUrl === null) return withService(url, (service) => work(ofService(service)));
  const store = await openStore({ databaseUrl, directUrl, storageDir });
  try {
    await store.migrate();
    await work(ofStore(store));
  } finally {
    await store.close();
  }
}

/** The project of a name. @throws NOT_FOUND with the names there are */
export async function projectNamed(one: Administrator, name: string | undefined): Promise<string | null> {
  if (name === undefined) return null;
  const all = await one.projects();
  const found = all.find((project) => project.name === name);
  if (found) return found.id;
  const names = all.map((project) => project.name).join(", ");
  const message = `There is no project ${JSON.stringify(name)}. There are: ${names}. Make one: steplog projects create NAME`;
  throw new SteplogError("NOT_FOUND", message);
}

/** The key that begins so, or has this name or id: of several, one that has not ended. @throws NOT_FOUND; INVALID_ARGUMENT where several do */
export async function keyNamed(one: Administrator, given: string, projectId: string | null): Promise<KeyRow> {
  const found = (await one.keys(projectId)).filter(
    ({ id, name, start }) => id === given || name === given || given.startsWith(start) || start.startsWith(given),
  );
  const live = found.filter((key) => !keyHasEnded(key));
  const [only, ...others] = live.length > 0 ? live : found;
  if (only && others.length === 0) return only;
  if (!only)
    throw new SteplogError("NOT_FOUND", `No key begins with, or is named, ${given}. List them: steplog keys list`);
  const starts = [only, ...others].map(({ start }) => start).join(", ");
  throw new SteplogError("INVALID_ARGUMENT", `Several keys match ${given}: ${starts}. Give the beginning of one.`);
}

const pageSize = 100;

function ofStore(store: Store): Administrator {
  const { administration, accounts } = store.of(operator);
  return {
    setKeep: (changes, projectId) => accounts.setKeep(changes, projectId ?? undefined),
    projects: () => everyPage((after) => administration.projects({ limit: pageSize, after })),
    createProject: (name) => administration.createProject(name),
    keys: async (projectId) =>
      (
        await everyPage((after) => administration.keys({ limit: pageSize, after, projectId: projectId ?? undefined }))
      ).map(rowOf),
    createKey: async ({ name, scopes, days, projectId }) =>
      madeRow(
        await administration.createKey({
          name,
          scopes,
          expiresInS: days === null ? null : days * 86_400,
          projectId: projectId ?? undefined,
        }),
      ),
    rotateKey: async (id, overlapS) => madeRow(await administration.rotateKey(id, overlapS)),
    async revokeKey(id) {
      await administration.revokeKey(id);
    },
  };
}

function madeRow({ apiKey, key }: MadeKey): NewKeyRow {
  return { ...rowOf(apiKey), key };
}

function rowOf({ id, name, start, scopes, ...times }: MadeKey["apiKey"]): KeyRow {
  const text = (at: Date | null) => at?.toISOString() ?? null;
  return {
    id,
    name,
    start,
    scopes,
    createdAt: times.createdAt.toISOString(),
    expiresAt: text(times.expiresAt),
    lastUsedAt: text(times.lastUsedAt),
    revokedAt: text(times.revokedAt),
  };
}

async function everyPage<Row extends { readonly id: string }>(
  read: (after: string | undefined) => Promise<Row[]>,
): Promise<Row[]> {
  const all: Row[] = [];
  for (;;) {
    const page = await read(all.at(-1)?.id);
    all.push(...page);
    if (page.length < pageSize) return all;
  }
}

const keptFields = Object.entries(keptNames);

const keyFields = "id name start scopes createdAt expiresAt lastUsedAt revokedAt";

/** The scopes of the API are the words of the command line in upper case. */
function ofService({ client }: Remote): Administrator {
  const lower = <Row extends KeyRow>(row: Row): Row => ({
    ...row,
    scopes: row.scopes.map((scope) => scope.toLowerCase()),
  });
  interface Made {
    readonly key: string;
    readonly apiKey: KeyRow;
  }
  const made = ({ key, apiKey }: Made): NewKeyRow => lower({ ...apiKey, key });
  return {
    projects: () =>
      everyConnection<ProjectRow>((after) =>
        client.query<{ list: Connection<ProjectRow> }>(
          "query ($after: String) { list: projects(first: 100, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } } }",
          { after },
        ),
      ),
    async createProject(name) {
      const text = "mutation ($name: String!) { createProject(name: $name) { id name } }";
      return (await client.query<{ createProject: ProjectRow }>(text, { name })).createProject;
    },
    async setKeep(changes, project) {
      const fields = keptFields.map(([name]) => name).join(" ");
      const text = `mutation ($project: ID, $keep: ProjectKeepInput!) { setProjectKeep(project: $project, keep: $keep) { ${fields} } }`;
      const keep = Object.fromEntries(
        keptFields.flatMap(([name, kind]) => (changes[kind] === undefined ? [] : [[name, changes[kind]]])),
      );
      const { setProjectKeep: set } = await client.query<{
        setProjectKeep: Readonly<Record<string, number | null>>;
      }>(text, { project, keep });
      return Object.fromEntries(keptFields.flatMap(([name, kind]) => (set[name] == null ? [] : [[kind, set[name]]])));
    },
    async keys(project) {
      const text = `query ($project: ID, $after: String) {
        list: apiKeys(project: $project, first: 100, after: $after) { nodes { ${keyFields} } pageInfo { hasNextPage endCursor } }
      }`;
      const rows = await everyConnection<KeyRow>((after) =>
        client.query<{ list: Connection<KeyRow> }>(text, { project, after }),
      );
      return rows.map(lower);
    },
    async createKey({ name, scopes, days, projectId }) {
      const text = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { ${keyFields} } } }`;
      const wanted = scopes.map((scope) => scope.toUpperCase());
      const input = { name, scopes: wanted, expiresInDays: days, project: projectId };
      return made((await client.query<{ createApiKey: Made }>(text, { input })).createApiKey);
    },
    async rotateKey(id, overlapSeconds) {
      const text = `mutation ($id: ID!, $overlapSeconds: Int!) {
        rotateApiKey(id: $id, overlapSeconds: $overlapSeconds) { key apiKey { ${keyFields} } }
      }`;
      return made((await client.query<{ rotateApiKey: Made }>(text, { id, overlapSeconds })).rotateApiKey);
    },
    async revokeKey(id) {
      await client.query("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id });
    },
  };
}

interface Connection<Row> {
  readonly nodes: readonly Row[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

async function everyConnection<Row>(
  read: (after: string | null) => Promise<{ readonly list: Connection<Row> }>,
): Promise<Row[]> {
  const all: Row[] = [];
  for (let after: string | null = null; ;) {
    const { list }: { readonly list: Connection<Row> } = await read(after);
    all.push(...list.nodes);
    if (!list.pageInfo.hasNextPage) return all;
    after = list.pageInfo.endCursor;
  }
}
