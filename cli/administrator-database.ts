/** An administrator with the database itself, which needs no key. */
import { hostname, userInfo } from "node:os";
import { type AuditAction, auditActions, plainObjects } from "../schema/audit.ts";
import type { AuditEntry } from "../schema/audit-tables.ts";
import { didYouMean } from "../schema/did-you-mean.ts";
import { SteplogError } from "../schema/errors.ts";
import { operator } from "../schema/projects.ts";
import type { Quotas, QuotaUse } from "../schema/usage.ts";
import { secondsOfDay } from "../schema/units.ts";
import { globalIdOf, rowIdOf } from "../schema/webhooks.ts";
import type { AuditFilter, MadeKey, Store } from "../store/store.ts";
import type { Administrator, AuditQuery, AuditRow, KeyRow, NewKeyRow, ProjectRow } from "./administration.ts";
import { type ReadPage, allOf, connectionOf } from "./pages.ts";

/** Who calls this command, for the audit log. */
export function caller(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A user without a name, as in a container.
    return `${process.getuid?.() ?? "somebody"}@${hostname()}`;
  }
}

export function ofDatabase(store: Store): Administrator {
  const { administration, accounts, audit } = store.of(operator, { command: caller() });
  const projects: ReadPage<ProjectRow> = (page) =>
    connectionOf(
      page,
      idOf,
      (limit, after) => administration.projects({ limit, after }),
      () => administration.countProjects(),
    );
  return {
    async diskUse(projectId) {
      const all = await allOf(projects);
      const names = new Map(all.map(({ id, name }) => [id, name]));
      const { parts, ...sums } = await accounts.diskUse(projectId ?? undefined);
      const named = parts.map(({ projectId: id, ...part }) => ({ project: names.get(id ?? "") ?? null, ...part }));
      return { parts: named, ...sums };
    },
    setKeep: (changes, projectId) => accounts.setKeep(changes, projectId ?? undefined),
    setQuotas: async (changes, projectId) => limitsOf(await accounts.setQuotas(changes, projectId ?? undefined)),
    projects,
    createProject: (name) => administration.createProject(name),
    keys: (projectId, page) =>
      connectionOf(
        page,
        idOf,
        async (limit, after) =>
          (await administration.keys({ limit, after, projectId: projectId ?? undefined })).map(rowOf),
        () => administration.countKeys(projectId ?? undefined),
      ),
    createKey: async ({ name, scopes, days, projectId }) =>
      madeRow(
        await administration.createKey({
          name,
          scopes,
          expiresInS: days === null ? null : days * secondsOfDay,
          projectId: projectId ?? undefined,
        }),
      ),
    rotateKey: async (id, overlapS) => madeRow(await administration.rotateKey(id, overlapS)),
    async renameProject(id, name) {
      await administration.renameProject(id, name);
    },
    exportProject: async (id, options) => (await administration.exportProject(id, options)).tar,
    async eraseProject(id, name) {
      const { project: _, ...counts } = await administration.eraseProject(id, name);
      return counts;
    },
    async renameKey(id, name) {
      await administration.renameKey(id, name);
    },
    async revokeKey(id) {
      await administration.revokeKey(id);
    },
    async deleteKey(id) {
      await administration.deleteKey(id);
    },
    audit: (query, page) =>
      connectionOf(
        page,
        ({ cursor }) => cursor,
        async (limit, after) => (await audit.list({ ...filterOf(query), limit, after })).map(auditRow),
        () => audit.count(filterOf(query)),
      ),
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

const idOf = ({ id }: { readonly id: string }) => id;

function filterOf({ projectId, from, until, actor, action, object }: AuditQuery): AuditFilter {
  return {
    projectId: projectId ?? undefined,
    from: from ?? undefined,
    until: until ?? undefined,
    actor: actor ?? undefined,
    action: action === null ? undefined : actionNamed(action),
    objectId: object === null ? undefined : rowIdOf(object),
  };
}

function actionNamed(given: string): AuditAction {
  const actions = Object.keys(auditActions);
  const found = actions.find((action): action is AuditAction => action === given);
  if (found) return found;
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `${given} is no action.${didYouMean(given, actions)} There are ${actions.join(", ")}.`,
  );
}

function auditRow(entry: AuditEntry): AuditRow {
  const { at, projectId, action, objectType, objectId, objectName, details } = entry;
  const isPlain = objectId === null || plainObjects.includes(objectType);
  return {
    cursor: entry.id,
    at: at.toISOString(),
    projectId: globalIdOf("Project", projectId),
    action,
    actor: {
      kind: entry.actorKind,
      name: entry.actorName,
      apiKeyId: entry.actorKeyId && globalIdOf("ApiKey", entry.actorKeyId),
      requestId: entry.requestId,
      address: entry.address,
    },
    objectType,
    objectId: isPlain ? objectId : globalIdOf(objectType, objectId),
    objectName,
    details: Object.fromEntries(
      Object.entries(details).map(([name, value]) => [name, value === null ? null : String(value)]),
    ),
  };
}

function limitsOf(quotas: readonly QuotaUse[]): Quotas {
  return Object.fromEntries(quotas.map(({ name, limit }) => [name, limit]));
}
