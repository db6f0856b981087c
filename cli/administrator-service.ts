/** An administrator by the service at an address, with a key that may. */
import type { SteplogClient } from "../client/index.ts";
import type { DiskUse, DiskUsePart } from "../schema/disk-use.ts";
import { keptNames } from "../schema/expiry.ts";
import type {
  Administrator,
  AuditQuery,
  AuditRow,
  ErasureRow,
  KeyRow,
  NewKeyRow,
  ProjectRow,
} from "./administration.ts";
import type { Remote } from "./remote.ts";

const keptFields = Object.entries(keptNames);

const keyFields = "id name start scopes createdAt expiresAt lastUsedAt revokedAt";

/** The scopes of the API are the words of the command line in upper case. */
export function ofService({ client, url }: Remote): Administrator {
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
    async diskUse(project) {
      const fields = "parts { project { name } kind files blobBytes databaseBytes } blobBytes databaseBytes";
      const text = `query ($project: ID) { diskUse(project: $project) { ${fields} } }`;
      type Part = Omit<DiskUsePart, "projectId"> & { readonly project: { readonly name: string } | null };
      type Told = Omit<DiskUse, "parts"> & { readonly parts: readonly Part[] };
      const { diskUse } = await client.query<{ diskUse: Told }>(text, { project });
      return { ...diskUse, parts: diskUse.parts.map((part) => ({ ...part, project: part.project?.name ?? null })) };
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
    async renameProject(id, name) {
      await client.query("mutation ($id: ID!, $name: String!) { renameProject(id: $id, name: $name) { id } }", {
        id,
        name,
      });
    },
    async exportProject(id, { weights }) {
      const path = `/projects/${encodeURIComponent(id)}/export${weights ? "" : "?weights=no"}`;
      return (await client.download(`${url.replace(/\/+$/u, "")}${path}`)).stream as AsyncIterable<Uint8Array>;
    },
    async eraseProject(id, name) {
      const text = `mutation ($id: ID!, $name: String!) {
        eraseProject(id: $id, name: $name) { runs: fineTunes datasets evaluations completions files filesWaiting }
      }`;
      return (await client.query<{ eraseProject: ErasureRow }>(text, { id, name })).eraseProject;
    },
    async renameKey(id, name) {
      await client.query("mutation ($id: ID!, $name: String!) { renameApiKey(id: $id, name: $name) { id } }", {
        id,
        name,
      });
    },
    async deleteKey(id) {
      await client.query("mutation ($id: ID!) { deleteApiKey(id: $id) }", { id });
    },
    audit: (query) => auditPages(client, query),
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

const auditText = `query ($project: ID, $from: DateTime, $until: DateTime, $actor: String, $action: String, $object: ID, $after: String) {
  list: auditLog(
    project: $project, from: $from, until: $until, actor: $actor, action: $action, object: $object, first: 100, after: $after
  ) {
    nodes {
      at projectId action objectType objectId objectName
      actor { kind name apiKeyId requestId address }
      details { name value }
    }
    pageInfo { hasNextPage endCursor }
  }
}`;

type AuditNode = Omit<AuditRow, "details"> & {
  readonly details: readonly { readonly name: string; readonly value: string | null }[];
};

async function* auditPages(client: SteplogClient, { projectId, ...query }: AuditQuery) {
  for (let after: string | null = null; ;) {
    const { list }: { readonly list: Connection<AuditNode> } = await client.query(auditText, {
      ...query,
      project: projectId,
      after,
    });
    yield list.nodes.map((node): AuditRow => ({
      ...node,
      details: Object.fromEntries(node.details.map(({ name, value }) => [name, value])),
    }));
    if (!list.pageInfo.hasNextPage) return;
    after = list.pageInfo.endCursor;
  }
}
