/**
 * The tables of webhooks: who is told, what, and how it went. The rules are those of tables.ts. A message is written in the
 * transaction of the change that it tells of, with a delivery for each endpoint that wants it.
 */
import {
  boolean,
  doublePrecision,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { sql } from "drizzle-orm";
import { createdAt, instant } from "./columns.ts";
import { ofProject } from "./project-tables.ts";
import type { DeliveryStatus } from "./webhooks.ts";

export const webhookEndpoints = pgTable(
  "webhook_endpoints",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: ofProject(),
    url: text("url").notNull(),
    description: text("description").notNull(),
    /** `whsec_` and base64. As it is: it must be read to sign. */
    secret: text("secret").notNull(),
    /** The one before, and until when it signs too. */
    previousSecret: text("previous_secret"),
    previousUntil: instant("previous_until"),
    /** Types of messages; empty for all. */
    events: text("events").array().notNull(),
    enabled: boolean("enabled").notNull().default(true),
    /** Why the service disabled it; null while it is enabled, or when somebody disabled it. */
    disabledReason: text("disabled_reason"),
    disabledAt: instant("disabled_at"),
    /** When the first attempt failed since the last success. */
    failingSince: instant("failing_since"),
    createdAt: createdAt(),
  },
  (t) => [index("webhook_endpoints_project").on(t.projectId, t.createdAt, t.id)],
);

export const webhookMessages = pgTable(
  "webhook_messages",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    projectId: ofProject(),
    type: text("type").notNull(),
    /** The body, byte for byte. */
    payload: text("payload").notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    index("webhook_messages_project").on(t.projectId, t.createdAt, t.id),
    index("webhook_messages_created").on(t.createdAt),
  ],
);

export const webhookDeliveries = pgTable(
  "webhook_deliveries",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    messageId: uuid("message_id")
      .notNull()
      .references(() => webhookMessages.id, { onDelete: "cascade" }),
    endpointId: uuid("endpoint_id")
      .notNull()
      .references(() => webhookEndpoints.id, { onDelete: "cascade" }),
    status: text("status").$type<DeliveryStatus>().notNull().default("PENDING"),
    /** Attempts so far. The number of an attempt is its fence: the outcome of an earlier one changes nothing here. */
    attempts: integer("attempts").notNull().default(0),
    /** Failed ones since it began or was last replayed: which pause is next. */
    failures: integer("failures").notNull().default(0),
    /** When it is due; while an attempt is under way, when that counts as lost. */
    nextAttemptAt: instant("next_attempt_at").notNull().defaultNow(),
    createdAt: createdAt(),
  },
  (t) => [
    uniqueIndex("webhook_deliveries_pair").on(t.messageId, t.endpointId),
    index("webhook_deliveries_endpoint").on(t.endpointId, t.createdAt, t.id),
    index("webhook_deliveries_due")
      .on(t.nextAttemptAt)
      .where(sql`${t.status} = 'PENDING'`),
  ],
);

/** The log: a row when an attempt begins, completed when it ends. */
export const webhookAttempts = pgTable(
  "webhook_attempts",
  {
    deliveryId: uuid("delivery_id")
      .notNull()
      .references(() => webhookDeliveries.id, { onDelete: "cascade" }),
    number: integer("number").notNull(),
    at: instant("at").notNull().defaultNow(),
    /** Null while it is under way, and for ever if its gateway died. */
    seconds: doublePrecision("seconds"),
    /** Null when there was no answer. */
    responseCode: integer("response_code"),
    /** Null for a success. */
    error: text("error"),
  },
  (t) => [primaryKey({ columns: [t.deliveryId, t.number] })],
);

export type WebhookEndpoint = typeof webhookEndpoints.$inferSelect;
export type WebhookMessage = typeof webhookMessages.$inferSelect;
export type WebhookDelivery = typeof webhookDeliveries.$inferSelect;
export type WebhookAttempt = typeof webhookAttempts.$inferSelect;
