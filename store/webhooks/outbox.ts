/**
 * Deliveries as gateways make them. Several gateways claim one at a time, none the same: a claim skips what another holds, writes
 * an attempt into the log, and moves the time at which the delivery is due to where the attempt counts as lost. So what a gateway
 * held when it died is made again after that, with the same ids, and the log shows an attempt without an end.
 *
 *     PENDING -- success --> DELIVERED
 *        | ^
 *        | +-- failure, and there is another pause; an attempt that was broken off is due at once
 *        +---- failure after the last pause --> FAILED
 *
 * Whoever writes locks the endpoint before the delivery.
 */
import { and, eq, sql } from "drizzle-orm";
import { counted, msOfDay } from "../../schema/units.ts";
import {
  type WebhookEndpoint,
  webhookAttempts,
  webhookDeliveries,
  webhookEndpoints,
  webhookMessages,
} from "../../schema/webhook-tables.ts";
import {
  globalIdOf,
  keepWebhooksMs,
  testEvent,
  webhookLeaseMs,
  webhookPatienceMs,
  webhookPausesMs,
} from "../../schema/webhooks.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import type { Notifications, Subscription } from "../postgres/notifications.ts";
import { msFromStart } from "../postgres/times.ts";
import { announce, webhookNews } from "./announce.ts";
import { auditWebhook } from "./endpoints.ts";

/** The right to make one attempt. */
export interface ClaimedDelivery {
  readonly id: string;
  /** The number of the attempt, which fences it. */
  readonly number: number;
  readonly endpointId: string;
  readonly messageId: string;
  readonly type: string;
  readonly payload: string;
  readonly url: string;
  /** The secret, and the one before while it is valid. */
  readonly secrets: readonly string[];
  /** By Postgres' clock. */
  readonly claimedAt: Date;
}

export interface AttemptOutcome {
  /** BROKEN_OFF: its gateway stopped, so it says nothing of the endpoint. */
  readonly result: "DELIVERED" | "FAILED" | "BROKEN_OFF";
  readonly seconds: number;
  readonly responseCode: number | null;
  /** Null for a success. */
  readonly error: string | null;
  /** Whether the endpoint said that it wants nothing more (410). */
  readonly gone?: boolean;
}

/** For whoever watches the service, over all projects. */
export interface OutboxDepth {
  /** Deliveries that are to be made, or made again, at endpoints that are enabled. */
  readonly waiting: number;
  /** Since the oldest of them was created, in seconds; 0 without any. */
  readonly oldestSeconds: number;
  /** Endpoints that the service disabled because they failed for too long. */
  readonly disabled: number;
}

export interface Outbox {
  /** @param busy endpoints that have enough attempts under way here */
  claim(busy: readonly string[]): Promise<ClaimedDelivery | null>;
  /** Why the endpoint was disabled by it; else null. */
  finish(claim: ClaimedDelivery, outcome: AttemptOutcome): Promise<string | null>;
  depth(): Promise<OutboxDepth>;
  /** Tells when there may be something new to claim. */
  news(signal: AbortSignal): Subscription;
}

export function outboxOf(database: Database, notifications: Notifications): Outbox {
  return {
    claim: (busy) => claim(database, busy),
    finish: (claimed, outcome) => database.transaction((tx) => finish(tx, claimed, outcome)),
    depth: () => depthOf(database),
    news: (signal) => notifications.subscribe(webhookNews, signal),
  };
}

async function claim(database: Database, busy: readonly string[]): Promise<ClaimedDelivery | null> {
  const [row] = await database.execute<
    Omit<ClaimedDelivery, "secrets" | "claimedAt"> & { secret: string; previous: string | null; at: number }
  >(sql`
    with due as (
      select d.id, d.endpoint_id, e.url, e.secret, m.id as message_id, m.type, m.payload,
        case when e.previous_until > now() then e.previous_secret end as previous
      from ${webhookDeliveries} d
      join ${webhookEndpoints} e on e.id = d.endpoint_id
      join ${webhookMessages} m on m.id = d.message_id
      where d.status = 'PENDING' and d.next_attempt_at <= now() and (e.enabled or m.type = ${testEvent})
        and e.id not in (select jsonb_array_elements_text(${JSON.stringify(busy)}::jsonb)::uuid)
      order by d.next_attempt_at
      limit 1
      for update of d skip locked
    ), claimed as (
      update ${webhookDeliveries} d set attempts = d.attempts + 1, next_attempt_at = ${msFromStart(webhookLeaseMs)}
      from due where d.id = due.id
      returning d.id, d.attempts as number
    ), logged as (
      insert into ${webhookAttempts} (delivery_id, number) select id, number from claimed
    )
    select claimed.id, claimed.number, due.endpoint_id as "endpointId", due.message_id as "messageId", due.type, due.payload,
      due.url, due.secret, due.previous, extract(epoch from now())::float8 as at
    from claimed join due on due.id = claimed.id`);
  if (!row) return null;
  const { secret, previous, at, ...rest } = row;
  return { ...rest, claimedAt: new Date(at * 1_000), secrets: previous === null ? [secret] : [secret, previous] };
}

async function depthOf(database: Database): Promise<OutboxDepth> {
  const [row] = await database.execute<Record<keyof OutboxDepth, number>>(sql`
    select count(*)::int as waiting,
      coalesce(extract(epoch from clock_timestamp() - min(d.created_at)), 0)::float8 as "oldestSeconds",
      (select count(*)::int from ${webhookEndpoints} where disabled_reason is not null) as disabled
    from ${webhookDeliveries} d join ${webhookEndpoints} e on e.id = d.endpoint_id
    where d.status = 'PENDING' and e.enabled`);
  return { waiting: row?.waiting ?? 0, oldestSeconds: row?.oldestSeconds ?? 0, disabled: row?.disabled ?? 0 };
}

async function finish(tx: Transaction, claimed: ClaimedDelivery, outcome: AttemptOutcome): Promise<string | null> {
  const here = eq(webhookEndpoints.id, claimed.endpointId);
  const [endpoint] = await tx.select().from(webhookEndpoints).where(here).for("no key update");
  // Deleted meanwhile, with its log.
  if (!endpoint) return null;
  const { result, seconds, responseCode, error } = outcome;
  await tx
    .update(webhookAttempts)
    .set({ seconds, responseCode, error })
    .where(and(eq(webhookAttempts.deliveryId, claimed.id), eq(webhookAttempts.number, claimed.number)));
  if (result === "DELIVERED") await delivered(tx, claimed, endpoint);
  if (result === "BROKEN_OFF") await setDelivery(tx, claimed, { nextAttemptAt: sql`now()` });
  return result === "FAILED" ? failed(tx, claimed, endpoint, outcome) : null;
}

/** Nothing changes if the delivery has been claimed again since. */
async function setDelivery(
  tx: Transaction,
  { id, number }: ClaimedDelivery,
  set: Parameters<ReturnType<typeof tx.update<typeof webhookDeliveries>>["set"]>[0],
): Promise<void> {
  const here = and(eq(webhookDeliveries.id, id), eq(webhookDeliveries.attempts, number));
  await tx.update(webhookDeliveries).set(set).where(here);
}

async function delivered(tx: Transaction, claimed: ClaimedDelivery, endpoint: WebhookEndpoint): Promise<void> {
  await setDelivery(tx, claimed, { status: "DELIVERED" });
  if (endpoint.failingSince === null) return;
  await tx.update(webhookEndpoints).set({ failingSince: null }).where(eq(webhookEndpoints.id, endpoint.id));
}

/** A test is tried once, and whoever asked for it sees how it went. */
async function failed(
  tx: Transaction,
  claimed: ClaimedDelivery,
  endpoint: WebhookEndpoint,
  outcome: AttemptOutcome,
): Promise<string | null> {
  if (claimed.type === testEvent) {
    await setDelivery(tx, claimed, { status: "FAILED" });
    return null;
  }
  const pauses = JSON.stringify(webhookPausesMs);
  const pause = sql`(${pauses}::jsonb ->> ${webhookDeliveries.failures})::float8`;
  await setDelivery(tx, claimed, {
    failures: sql`${webhookDeliveries.failures} + 1`,
    status: sql`case when ${pause} is null then 'FAILED' else 'PENDING' end`,
    nextAttemptAt: msFromStart(sql`coalesce(${pause}, 0)`),
  });
  const [since] = await tx
    .update(webhookEndpoints)
    .set({ failingSince: sql`coalesce(${webhookEndpoints.failingSince}, now())` })
    .where(eq(webhookEndpoints.id, endpoint.id))
    .returning({ isLasting: sql<boolean>`${webhookEndpoints.failingSince} < ${msFromStart(-webhookPatienceMs)}` });
  const reason = whyDisabled(outcome, since?.isLasting ?? false);
  if (reason === null || !endpoint.enabled) return null;
  await disable(tx, endpoint, reason);
  return reason;
}

function whyDisabled({ gone, error }: AttemptOutcome, isLasting: boolean): string | null {
  if (gone) return "The endpoint answered 410 (Gone): it wants no more messages.";
  const days = counted(webhookPatienceMs / msOfDay, "day");
  return isLasting ? `All attempts of the last ${days} failed. The last one: ${error ?? ""}` : null;
}

/** The project's other endpoints hear of it. */
async function disable(tx: Transaction, endpoint: WebhookEndpoint, reason: string): Promise<void> {
  const { id, projectId, description } = endpoint;
  await tx
    .update(webhookEndpoints)
    .set({ enabled: false, disabledReason: reason, disabledAt: sql`now()` })
    .where(eq(webhookEndpoints.id, id));
  await auditWebhook(tx, "webhook.disabled", endpoint);
  await announce(tx, {
    projectId,
    type: "webhook.disabled",
    data: { id: globalIdOf("Webhook", id), description, reason },
  });
}

/** In one statement. */
const most = 1_000;

/** Deletes messages that are past their time, all of them, and with them their log. How many. */
export async function endMessages(database: Database, over?: AbortSignal): Promise<number> {
  for (let count = 0; ;) {
    const [gone] = await database.execute<{ count: number }>(sql`
      with gone as (delete from ${webhookMessages} where id in (
        select id from ${webhookMessages} where created_at < ${msFromStart(-keepWebhooksMs)}
        order by created_at limit ${most} for update skip locked) returning 1)
      select count(*)::int as count from gone`);
    const ended = gone?.count ?? 0;
    count += ended;
    if (ended < most || over?.aborted) return count;
  }
}
