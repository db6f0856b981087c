/** An administrator by the service at an address, with a key that may. */
import type { SteplogClient } from "../client/index.ts";
import type { DiskUse, DiskUsePart } from "../schema/disk-use.ts";
import { keptNames } from "../schema/expiry.ts";
import { spelled } from "../schema/spelling.ts";
import { quotaNames } from "../schema/usage.ts";
import type {
  Administrator,
  AuditQuery,
  AuditRow,
  ErasureRow,
  KeyRow,
  NewKeyRow,
  ProjectRow,
} from "./administration.ts";
import type { Connection, Paging } from "./pages.ts";
import type { Remote } from "./remote.ts";

const keptFields = Object.entries(keptNames);

/** Of a connection, beside its rows. */
const pageFields = "totalCount @include(if: $counted) pageInfo { hasNextPage endCursor }";

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
    async projects(page) {
      const text = `query ($first: Int, $after: String, $counted: Boolean!) {
        list: projects(first: $first, after: $after) { nodes { id name } ${pageFields} }
      }`;
      return (await client.query<{ list: Connection<ProjectRow> }>(text, page)).list;
    },
    async createProject(name) {
      const text = "mutation ($name: String!) { createProject(name: $name) { id name } }";
      return (await client.query<{ createProject: ProjectRow }>(text, { name })).createProject;
    },
    async keys(project, page) {
      const text = `query ($project: ID, $first: Int, $after: String, $counted: Boolean!) {
        list: apiKeys(project: $project, first: $first, after: $after) { nodes { ${keyFields} } ${pageFields} }
      }`;
      const { list } = await client.query<{ list: Connection<KeyRow> }>(text, { project, ...page });
      return { ...list, nodes: list.nodes.map(lower) };
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
    async setQuotas(quotas, project) {
      const text = `mutation ($project: ID, $quotas: QuotasInput!) { setProjectQuotas(project: $project, quotas: $quotas) { name limit } }`;
      const { setProjectQuotas: set } = await client.query<{
        setProjectQuotas: readonly { readonly name: string; readonly limit: number }[];
      }>(text, { project, quotas });
      return Object.fromEntries(
        quotaNames.flatMap((name) => {
          const found = set.find((one) => one.name === spelled(name, "_").toUpperCase());
          return found ? [[name, found.limit]] : [];
        }),
      );
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
    audit: (query, page) => auditPage(client, query, page),
    async revokeKey(id) {
      await client.query("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id });
    },
  };
}

const auditText = `query (
  $project: ID, $from: DateTime, $until: DateTime, $actor: String, $action: String, $object: ID, $first: Int, $after: String
  $counted: Boolean!
) {
  list: auditLog(
    project: $project, from: $from, until: $until, actor: $actor, action: $action, object: $object, first: $first, after: $after
  ) {
    edges {
      cursor
      node {
        at projectId action objectType objectId objectName
        actor { kind name apiKeyId requestId address }
        details { name value }
      }
    }
    ${pageFields}
  }
}`;

type AuditNode = Omit<AuditRow, "details" | "cursor"> & {
  readonly details: readonly { readonly name: string; readonly value: string | null }[];
};

interface AuditEdges {
  readonly list: Omit<Connection<never>, "nodes"> & {
    readonly edges: readonly { readonly cursor: string; readonly node: AuditNode }[];
  };
}

async function auditPage(client: SteplogClient, { projectId, ...query }: AuditQuery, page: Paging) {
  const { list } = await client.query<AuditEdges>(auditText, { ...query, project: projectId, ...page });
  const { edges, ...rest } = list;
  const nodes = edges.map(({ cursor, node }): AuditRow => ({
    cursor,
    ...node,
    details: Object.fromEntries(node.details.map(({ name, value }) => [name, value])),
  }));
  return { nodes, ...rest };
}
