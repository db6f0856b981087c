/**
 * API keys. A key is shown when it is made, and stored as its SHA-256 alone: it has 240 random bits, so no slower hash would help.
 * Once there is a key, every request needs one; a key that has expired or was revoked still counts, so that a service does not
 * open when its last key ends.
 */
import { createHash, randomBytes } from "node:crypto";
import { and, eq, gt, isNull, lt, ne, or, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type ApiKey, apiKeys, projects } from "../../schema/project-tables.ts";
import type { Scope, Viewer } from "../../schema/projects.ts";
import type { OwnRates } from "../../schema/rates.ts";
import { type Page, countOf, inProject, pageOf } from "../pages.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { requireRow } from "../postgres/required.ts";
import { msFromNow } from "../postgres/times.ts";
import type { AuditAction, AuditDetails } from "../../schema/audit.ts";
import { audit } from "../audit/audit.ts";

export interface NewKey {
  readonly projectId: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Null: it does not expire. */
  readonly expiresInS: number | null;
  readonly rates?: OwnRates | undefined;
}

/** The only time that the key itself is told. */
export interface MadeKey {
  readonly apiKey: ApiKey;
  readonly key: string;
}

export interface Keys {
  /** Whether there is any, also one that has ended. */
  any(): Promise<boolean>;
  /** Who has this key; null for one that is unknown, revoked or expired. Notes that it was used. */
  viewerOf(key: string): Promise<Viewer | null>;
  /** @throws NOT_FOUND for an unknown project */
  create(input: NewKey): Promise<MadeKey>;
  get(id: string): Promise<ApiKey | null>;
  /** Newest first, also those that have ended; of all projects, or of one. */
  list(page: Page & { readonly projectId?: string | undefined }): Promise<ApiKey[]>;
  /** Of a project, also those that have ended. */
  count(projectId: string): Promise<number>;
  /**
   * A new key in place of another: of the same project, name, scopes and time to live. The other one ends after the overlap.
   * @throws NOT_FOUND; INVALID_STATE for one that has ended
   */
  rotate(id: string, overlapS: number): Promise<MadeKey>;
  /** Repeating it changes nothing. @throws NOT_FOUND */
  rename(id: string, name: string): Promise<ApiKey>;
  /** Ends it at once. One that has ended stays as it is. @throws NOT_FOUND */
  revoke(id: string): Promise<ApiKey>;
  /** Forgets one that has ended. False if there is none. @throws INVALID_STATE for one that is in use, and for the last one */
  delete(id: string): Promise<boolean>;
  /** Whether keys may have changed, again and again, until the signal: at once after a change, every few seconds in any case. */
  changes(signal: AbortSignal): AsyncGenerator<void, void>;
}

/** What watchers of keys subscribe to, in place of the id of a run. */
export const keysTopic = "keys";
/** A use is noted once a minute at most. */
const isNoteDue = or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, sql`now() - interval '1 minute'`));

const keys = { table: apiKeys, sort: apiKeys.createdAt, id: apiKeys.id };
const isLive = and(
  isNull(apiKeys.revokedAt),
  or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, sql`clock_timestamp()`)),
);

export function keysOf(database: Database, notifications: Notifications): Keys {
  return {
    async any() {
      return (await database.select({ id: apiKeys.id }).from(apiKeys).limit(1)).length > 0;
    },
    viewerOf: (key) => viewerOf(database, key),
    create: (input) =>
      database.transaction(async (tx) => {
        const made = await create(tx, input);
        const { expiresAt } = made.apiKey;
        const ends = expiresAt?.toISOString() ?? null;
        await written(tx, "key.created", made.apiKey, { scopes: made.apiKey.scopes.join(","), expiresAt: ends });
        return made;
      }),
    async get(id) {
      const [found] = isUuid(id) ? await database.select().from(apiKeys).where(eq(apiKeys.id, id)) : [];
      return found ?? null;
    },
    count: (projectId) => countOf(database, apiKeys, eq(apiKeys.projectId, projectId)),
    async list({ projectId, ...page }) {
      const { where, order } = await pageOf(database, { ...keys, of: inProject(apiKeys, projectId) }, page);
      return database
        .select()
        .from(apiKeys)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
    rotate: (id, overlapS) => database.transaction((tx) => rotate(tx, id, overlapS)),
    rename: (id, name) => database.transaction((tx) => rename(tx, id, name)),
    revoke: (id) => database.transaction((tx) => revoke(tx, id)),
    delete: (id) => database.transaction((tx) => remove(tx, id)),
    async *changes(signal) {
      const subscription = notifications.subscribe(keysTopic, signal);
      try {
        for (;;) {
          await subscription.change();
          if (signal.aborted) return;
          yield;
        }
      } finally {
        subscription.close();
      }
    },
  };
}

async function viewerOf(database: Database, key: string): Promise<Viewer | null> {
  const mine = eq(apiKeys.hash, sha256(key));
  const [row] = await database
    .select({ found: apiKeys, ofProject: projects.rates, isNoteDue: sql<boolean>`${isNoteDue}` })
    .from(apiKeys)
    .innerJoin(projects, eq(projects.id, apiKeys.projectId))
    .where(and(mine, isLive));
  if (!row) return null;
  const { found, ofProject } = row;
  if (row.isNoteDue) {
    const lastUsedAt = sql`now()`;
    // Another gateway may have noted it since.
    await database.update(apiKeys).set({ lastUsedAt }).where(and(mine, isNoteDue));
  }
  return {
    projectId: found.projectId,
    scopes: new Set(found.scopes),
    key: { id: found.id, name: found.name },
    rates: { ...ofProject, ...found.rates },
  };
}

/** A change of a key, in the audit log. */
function written(tx: Transaction, action: AuditAction, { id, projectId, name }: ApiKey, details: AuditDetails = {}) {
  return audit(tx, { projectId, action, object: { id, name }, details });
}

async function create(tx: Transaction, { projectId, name, scopes, expiresInS, rates = {} }: NewKey): Promise<MadeKey> {
  await requireRow(tx, projects, projects.id, projectId, "project");
  const key = `steplog_${randomBytes(30).toString("base64url")}`;
  const expiresAt = expiresInS === null ? null : msFromNow(expiresInS * 1_000);
  const shown = { start: key.slice(0, 14), hash: sha256(key) };
  const row = { projectId, name, scopes: [...new Set(scopes)], expiresAt, rates, ...shown };
  const apiKey = only(await tx.insert(apiKeys).values(row).returning());
  await wakeWatchers(tx, keysTopic);
  return { apiKey, key };
}

async function rotate(tx: Transaction, id: string, overlapS: number): Promise<MadeKey> {
  const { key: old, isLive: isInUse } = await lock(tx, id);
  if (!isInUse) throw new SteplogError("INVALID_STATE", `The API key ${old.name} has ended. Make a new one.`);
  const lifeMs = old.expiresAt === null ? null : old.expiresAt.getTime() - old.createdAt.getTime();
  const made = await create(tx, { ...old, expiresInS: lifeMs === null ? null : lifeMs / 1_000 });
  const end =
    overlapS === 0
      ? { revokedAt: sql`now()` }
      : { expiresAt: sql`least(coalesce(${apiKeys.expiresAt}, 'infinity'), ${msFromNow(overlapS * 1_000)})` };
  await tx
    .update(apiKeys)
    .set({ ...end, rotatedTo: made.apiKey.id })
    .where(eq(apiKeys.id, id));
  await written(tx, "key.rotated", old, { newKey: made.apiKey.id, overlapSeconds: overlapS });
  return made;
}

async function rename(tx: Transaction, id: string, name: string): Promise<ApiKey> {
  const { key } = await lock(tx, id);
  if (key.name === name) return key;
  await written(tx, "key.renamed", key, { to: name });
  // Gateways keep the name with what they know of a key.
  await wakeWatchers(tx, keysTopic);
  return only(await tx.update(apiKeys).set({ name }).where(eq(apiKeys.id, id)).returning());
}

async function revoke(tx: Transaction, id: string): Promise<ApiKey> {
  const { key } = await lock(tx, id);
  if (key.revokedAt !== null) return key;
  await written(tx, "key.revoked", key);
  await wakeWatchers(tx, keysTopic);
  return only(
    await tx
      .update(apiKeys)
      .set({ revokedAt: sql`now()` })
      .where(eq(apiKeys.id, id))
      .returning(),
  );
}

async function remove(tx: Transaction, id: string): Promise<boolean> {
  const found = await locked(tx, id);
  if (!found) return false;
  const { key, isLive: isInUse } = found;
  if (isInUse) throw new SteplogError("INVALID_STATE", `The API key ${key.name} is in use. Revoke it first.`);
  await refuseIfLast(tx, key);
  await tx.delete(apiKeys).where(eq(apiKeys.id, id));
  await written(tx, "key.deleted", key);
  await wakeWatchers(tx, keysTopic);
  return true;
}

/** Without any key the service is open to whoever reaches it. Keys are deleted one at a time, so that two cannot both stay for the other. */
async function refuseIfLast(tx: Transaction, { id, name }: ApiKey): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtext('steplog deletes a key'))`);
  const [other] = await tx.select({ id: apiKeys.id }).from(apiKeys).where(ne(apiKeys.id, id)).limit(1);
  if (other) return;
  const why = "without any, the service would be open to whoever reaches it";
  throw new SteplogError("INVALID_STATE", `The API key ${name} is the last one, and ${why}. Make another one first.`);
}

interface Locked {
  readonly key: ApiKey;
  /** Told by the clock that accepts it. */
  readonly isLive: boolean;
}

async function locked(tx: Transaction, id: string): Promise<Locked | null> {
  const columns = { key: apiKeys, isLive: sql<boolean>`${isLive}` };
  const [found] = isUuid(id) ? await tx.select(columns).from(apiKeys).where(eq(apiKeys.id, id)).for("update") : [];
  return found ?? null;
}

/** @throws NOT_FOUND */
async function lock(tx: Transaction, id: string): Promise<Locked> {
  const found = await locked(tx, id);
  if (!found) throw new SteplogError("NOT_FOUND", `There is no API key ${JSON.stringify(id)}.`);
  return found;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
