/** The webhooks of a project: who is told what, the log of deliveries, and telling it again. */
import { randomBytes } from "node:crypto";
import { and, asc, count, eq, inArray, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { projects } from "../../schema/project-tables.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import {
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WebhookMessage,
  webhookAttempts,
  webhookDeliveries,
  webhookEndpoints,
  webhookMessages,
} from "../../schema/webhook-tables.ts";
import {
  type DeliveryStatus,
  globalIdOf,
  messageOf,
  testEvent,
  webhookLimits,
  webhookOverlapMs,
} from "../../schema/webhooks.ts";
import { type Page, countOf, pageOf } from "../pages.ts";
import { type Database, type Executor, type Transaction, inOrderOf, isUuid, only } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { msFromStart } from "../postgres/times.ts";
import type { AuditAction, AuditDetails } from "../../schema/audit.ts";
import { audit } from "../audit/audit.ts";
import { payloadOf, webhookNews } from "./announce.ts";

export type NewWebhook = Pick<WebhookEndpoint, "url" | "description" | "events">;
export type WebhookChange = Partial<NewWebhook & Pick<WebhookEndpoint, "enabled">>;
/** A delivery and what it delivers. */
export type LoggedDelivery = WebhookDelivery & Pick<WebhookMessage, "type" | "payload">;
/** One message by its webhook-id, or all since a time. */
export type ReplayWhat = { readonly webhookId: string } | { readonly since: Date };

export interface Webhooks {
  /** With a secret of its own. @throws INVALID_STATE when the project has as many as it may */
  create(input: NewWebhook): Promise<WebhookEndpoint>;
  /** What is left out stays. Enabling one begins anew: it has not failed yet. @throws NOT_FOUND */
  update(id: string, change: WebhookChange): Promise<WebhookEndpoint>;
  /** With its log. False for an unknown one. */
  remove(id: string): Promise<boolean>;
  /** The old secret signs beside the new one for a day. @throws NOT_FOUND */
  rotateSecret(id: string): Promise<WebhookEndpoint>;
  byIds(ids: readonly string[]): Promise<(WebhookEndpoint | null)[]>;
  /** The oldest first. */
  list(): Promise<WebhookEndpoint[]>;
  /** Newest first. */
  deliveries(
    endpointId: string,
    page: Page & { readonly status?: DeliveryStatus | undefined },
  ): Promise<LoggedDelivery[]>;
  countDeliveries(endpointId: string, status?: DeliveryStatus): Promise<number>;
  deliveriesByIds(ids: readonly string[]): Promise<(LoggedDelivery | null)[]>;
  /** In order. */
  attempts(deliveryId: string): Promise<WebhookAttempt[]>;
  /** Delivers again, with the same ids; how many messages. @throws NOT_FOUND */
  replay(id: string, what: ReplayWhat): Promise<number>;
  /** A message to this endpoint alone, tried once. @throws NOT_FOUND */
  test(id: string): Promise<LoggedDelivery>;
}

const keys = { table: webhookDeliveries, sort: webhookDeliveries.createdAt, id: webhookDeliveries.id };

/** The webhooks of one project. */
export function webhooksOf(database: Database, projectId = defaultProjectId): Webhooks {
  const mine = eq(webhookEndpoints.projectId, projectId);
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) =>
      database
        .select()
        .from(webhookEndpoints)
        .where(and(mine, inArray(webhookEndpoints.id, wanted))),
    );
  const change = (id: string, set: Parameters<typeof changed>[2], action: AuditAction, fields?: string) =>
    database.transaction(async (tx) => {
      const [row] = isUuid(id) ? await changed(tx, and(mine, eq(webhookEndpoints.id, id)), set) : [];
      if (!row) return notThere(id);
      await auditWebhook(tx, action, row, fields === undefined ? {} : { fields });
      return row;
    });
  return {
    byIds,
    create: (input) => database.transaction((tx) => create(tx, projectId, input)),
    update: (id, given) => change(id, columnsOf(given), "webhook.updated", fieldsOf(given)),
    async remove(id) {
      if (!isUuid(id)) return false;
      const here = and(mine, eq(webhookEndpoints.id, id));
      return database.transaction(async (tx) => {
        const [gone] = await tx.delete(webhookEndpoints).where(here).returning();
        if (gone) await auditWebhook(tx, "webhook.deleted", gone);
        return gone !== undefined;
      });
    },
    rotateSecret: (id) => change(id, rotated(), "webhook.secret_rotated"),
    list: async () =>
      database
        .select()
        .from(webhookEndpoints)
        .where(mine)
        .orderBy(asc(webhookEndpoints.createdAt), asc(webhookEndpoints.id)),
    async deliveries(endpointId, { status, ...page }) {
      if (!isUuid(endpointId)) return [];
      const its = database
        .select({ id: webhookEndpoints.id })
        .from(webhookEndpoints)
        .where(and(mine, eq(webhookEndpoints.id, endpointId)));
      const { where, order } = await pageOf(
        database,
        { ...keys, of: inArray(webhookDeliveries.endpointId, its) },
        page,
      );
      return logged(database)
        .where(and(...where, to(endpointId, status)))
        .orderBy(...order)
        .limit(page.limit);
    },
    async countDeliveries(endpointId, status) {
      const its = isUuid(endpointId) ? (await byIds([endpointId]))[0] : null;
      return its ? countOf(database, webhookDeliveries, to(endpointId, status)) : 0;
    },
    deliveriesByIds: (ids) =>
      inOrderOf(ids, (wanted) =>
        logged(database).where(and(ofProject(projectId), inArray(webhookDeliveries.id, wanted))),
      ),
    async attempts(deliveryId) {
      const rows = await database
        .select({ attempt: webhookAttempts })
        .from(webhookAttempts)
        .innerJoin(webhookDeliveries, eq(webhookDeliveries.id, webhookAttempts.deliveryId))
        .innerJoin(webhookMessages, eq(webhookMessages.id, webhookDeliveries.messageId))
        .where(and(ofProject(projectId), eq(webhookAttempts.deliveryId, deliveryId)))
        .orderBy(asc(webhookAttempts.number));
      return rows.map(({ attempt }) => attempt);
    },
    replay: (id, what) => database.transaction((tx) => replay(tx, projectId, id, what)),
    test: (id) => database.transaction((tx) => test(tx, projectId, id)),
  };
}

function notThere(id: string): never {
  throw new SteplogError("NOT_FOUND", `There is no webhook ${JSON.stringify(id)}.`);
}

/** A delivery's message is of its endpoint's project. */
const ofProject = (projectId: string) => eq(webhookMessages.projectId, projectId);

const to = (endpointId: string, status: DeliveryStatus | undefined) =>
  and(eq(webhookDeliveries.endpointId, endpointId), status && eq(webhookDeliveries.status, status));

/** A change of a webhook, in the audit log: of the address the host alone, since the rest may be a secret. */
export function auditWebhook(
  tx: Transaction,
  action: AuditAction,
  { id, projectId, description, url }: WebhookEndpoint,
  details: AuditDetails = {},
): Promise<void> {
  const host = URL.canParse(url) ? new URL(url).host : null;
  return audit(tx, { projectId, action, object: { id, name: description }, details: { host, ...details } });
}

function fieldsOf(given: WebhookChange): string {
  const names = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  return names.toSorted().join(",");
}

function rotated() {
  return {
    secret: newSecret(),
    previousSecret: sql`${webhookEndpoints.secret}`,
    previousUntil: msFromStart(webhookOverlapMs),
  };
}

function newSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}

async function create(tx: Transaction, projectId: string, input: NewWebhook): Promise<WebhookEndpoint> {
  // Counted by one at a time.
  await tx.select().from(projects).where(eq(projects.id, projectId)).for("no key update");
  const { there } = only(
    await tx.select({ there: count() }).from(webhookEndpoints).where(eq(webhookEndpoints.projectId, projectId)),
  );
  if (there >= webhookLimits.endpoints) {
    throw new SteplogError(
      "INVALID_STATE",
      `The project has ${there} webhooks, and no project may have more. Delete one, or have one receive more.`,
    );
  }
  const row = { ...input, events: [...input.events], projectId, secret: newSecret() };
  const made = only(await tx.insert(webhookEndpoints).values(row).returning());
  await auditWebhook(tx, "webhook.created", made);
  return made;
}

async function changed(
  database: Executor,
  where: ReturnType<typeof and>,
  set: Parameters<ReturnType<typeof database.update<typeof webhookEndpoints>>["set"]>[0],
): Promise<WebhookEndpoint[]> {
  return database.update(webhookEndpoints).set(set).where(where).returning();
}

function columnsOf({ url, description, events, enabled }: WebhookChange) {
  return {
    // An update without any column is no statement.
    projectId: sql`${webhookEndpoints.projectId}`,
    ...(url !== undefined && { url, failingSince: null }),
    ...(description !== undefined && { description }),
    ...(events !== undefined && { events: [...events] }),
    ...(enabled === true && { enabled, disabledReason: null, disabledAt: null, failingSince: null }),
    ...(enabled === false && {
      enabled,
      disabledReason: sql`case when ${webhookEndpoints.enabled} then null else ${webhookEndpoints.disabledReason} end`,
      disabledAt: sql`coalesce(${webhookEndpoints.disabledAt}, now())`,
    }),
  };
}

function logged(database: Executor) {
  const { id, messageId, endpointId, status, attempts, failures, nextAttemptAt, createdAt } = webhookDeliveries;
  const { type, payload } = webhookMessages;
  return database
    .select({ id, messageId, endpointId, status, attempts, failures, nextAttemptAt, createdAt, type, payload })
    .from(webhookDeliveries)
    .innerJoin(webhookMessages, eq(webhookMessages.id, webhookDeliveries.messageId));
}

/** Held until the end of the transaction: it cannot be deleted meanwhile. @throws NOT_FOUND */
async function holdEndpoint(tx: Transaction, projectId: string, id: string): Promise<WebhookEndpoint> {
  const here = and(eq(webhookEndpoints.projectId, projectId), eq(webhookEndpoints.id, id));
  const [row] = isUuid(id) ? await tx.select().from(webhookEndpoints).where(here).for("key share") : [];
  return row ?? notThere(id);
}

/** Also what was delivered, and what was sent before there was this endpoint; with a time, of the types that it wants. */
async function replay(tx: Transaction, projectId: string, id: string, what: ReplayWhat): Promise<number> {
  const { events } = await holdEndpoint(tx, projectId, id);
  const wanted = "since" in what ? sinceTime(what.since, events) : sql`id = ${idOf(what.webhookId)}::uuid`;
  const added = await tx.execute(sql`
    insert into ${webhookDeliveries} (message_id, endpoint_id)
    select id, ${id}::uuid from ${webhookMessages} where project_id = ${projectId}::uuid and ${wanted}
    on conflict (message_id, endpoint_id)
    do update set status = 'PENDING', failures = 0, next_attempt_at = now()
    returning id`);
  if (added.length === 0 && "webhookId" in what) {
    throw new SteplogError("NOT_FOUND", `There is no message ${JSON.stringify(what.webhookId)}.`);
  }
  await wakeWatchers(tx, webhookNews);
  return added.length;
}

function sinceTime(since: Date, events: readonly string[]) {
  const types = JSON.stringify(events);
  const anyType = events.length === 0;
  return sql`created_at >= ${since.toISOString()}::timestamptz and type <> ${testEvent}
    and (${anyType} or type in (select jsonb_array_elements_text(${types}::jsonb)))`;
}

function idOf(webhookId: string): string | null {
  const id = messageOf(webhookId);
  return isUuid(id) ? id : null;
}

async function test(tx: Transaction, projectId: string, id: string): Promise<LoggedDelivery> {
  await holdEndpoint(tx, projectId, id);
  const data = { id: globalIdOf("Webhook", id) };
  const added = { projectId, type: testEvent, payload: payloadOf(testEvent, data) };
  const message = only(await tx.insert(webhookMessages).values(added).returning());
  const delivery = { messageId: message.id, endpointId: id };
  const row = only(await tx.insert(webhookDeliveries).values(delivery).returning());
  await wakeWatchers(tx, webhookNews);
  return { ...row, type: testEvent, payload: message.payload };
}
