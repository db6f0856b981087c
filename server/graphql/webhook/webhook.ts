/** Webhooks: who is told of changes in the project, and the log of what was delivered. */
import { z } from "zod";
import type { WebhookAttempt } from "../../../schema/webhook-tables.ts";
import { type DeliveryStatus, deliveryStatuses, webhookIdOf } from "../../../schema/webhooks.ts";
import type { Page } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { WebhookDeliveryRef, WebhookRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";

const DeliveryStatusRef = builder.enumType("WebhookDeliveryStatus", {
  description: "Where a delivery is.",
  values: {
    PENDING: { description: "To be tried, now or after a pause; it waits while the webhook is disabled." },
    DELIVERED: { description: "Answered with a status of 200 to 299." },
    FAILED: { description: "Given up after the last attempt. It can be replayed." },
  } satisfies Record<DeliveryStatus, { description: string }>,
});

const AttemptRef = builder.objectRef<WebhookAttempt>("WebhookAttempt").implement({
  description: "One attempt to deliver a message.",
  fields: (t) => ({
    number: t.exposeInt("number", { description: "Its number, from 1; replays go on counting." }),
    at: t.expose("at", { type: "DateTime", description: "When it began." }),
    seconds: t.exposeFloat("seconds", {
      nullable: true,
      description:
        "How long it took. Null while it is under way, and for good if its gateway died: then it was made again.",
    }),
    responseCode: t.exposeInt("responseCode", {
      nullable: true,
      description: "The HTTP status of the answer; null without one.",
    }),
    error: t.exposeString("error", {
      nullable: true,
      description: "Why it failed, with the start of the answer; null for a success, and while it is under way.",
    }),
  }),
});

WebhookDeliveryRef.implement({
  description: "A message for one webhook, and what became of it.",
  fields: (t) => ({
    webhookId: t.string({
      description:
        "The header webhook-id, the same in every attempt and every replay: receivers drop what they have seen.",
      resolve: ({ messageId }) => webhookIdOf(messageId),
    }),
    type: t.exposeString("type", { description: "What happened, such as fine_tune.succeeded." }),
    payload: t.exposeString("payload", { description: "The body, JSON." }),
    status: t.expose("status", { type: DeliveryStatusRef, description: "Where it is." }),
    createdAt: t.expose("createdAt", {
      type: "DateTime",
      description: "When the change was made, or it was first replayed.",
    }),
    nextAttemptAt: t.field({
      type: "DateTime",
      nullable: true,
      description: "When it is tried next, at the earliest; null once it is DELIVERED or FAILED.",
      resolve: ({ status, nextAttemptAt }) => (status === "PENDING" ? nextAttemptAt : null),
    }),
    attempts: t.field({
      type: [AttemptRef],
      description: "The attempts so far, in order.",
      complexity: queryCost,
      resolve: ({ id }, _args, { store }) => store.webhooks.attempts(id),
    }),
  }),
});

WebhookRef.implement({
  description: "An address that is told of changes in the project, by signed requests (standardwebhooks.com).",
  fields: (t) => ({
    url: t.exposeString("url", { description: "Where messages are sent." }),
    description: t.exposeString("description", { description: "What it is for, in the words of whoever made it." }),
    events: t.stringList({
      description: "The types of messages that it gets; empty for all.",
      resolve: ({ events }) => [...events],
    }),
    enabled: t.exposeBoolean("enabled", { description: "Whether messages are made for it and sent." }),
    disabledReason: t.exposeString("disabledReason", {
      nullable: true,
      description: "Why the service disabled it; null if it is enabled, or somebody disabled it.",
    }),
    disabledAt: t.expose("disabledAt", {
      type: "DateTime",
      nullable: true,
      description: "When it was disabled; null while it is enabled.",
    }),
    failingSince: t.expose("failingSince", {
      type: "DateTime",
      nullable: true,
      description: "When the first attempt failed since the last success; null if the last attempt succeeded.",
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was made." }),
    deliveries: t.connection(
      {
        type: WebhookDeliveryRef,
        description: "The log of deliveries, newest first. Messages are kept for 30 days.",
        complexity: pageCost,
        args: {
          status: t.arg({
            type: DeliveryStatusRef,
            description: "Only deliveries with this status.",
            validate: z.enum(deliveryStatuses).nullish(),
          }),
        },
        resolve: ({ id }, { status: wanted, ...args }, { store: { webhooks } }) => {
          const status = wanted ?? undefined;
          const list = (page: Page) => webhooks.deliveries(id, { ...page, status });
          return pageOf(args, list, () => webhooks.countDeliveries(id, status));
        },
      },
      { name: "WebhookDeliveryConnection" },
      { name: "WebhookDeliveryEdge" },
    ),
  }),
});

builder.queryField("webhooks", (t) =>
  t.field({
    type: [WebhookRef],
    description: "The webhooks of the project, the oldest first. Needs the scope admin.",
    complexity: { field: queryCost, multiplier: 20 },
    resolve: (_root, _args, { store }) => store.webhooks.list(),
  }),
);

builder.queryField("webhook", (t) =>
  t.field({
    type: WebhookRef,
    nullable: true,
    description: "The webhook with this id; null if there is none. Needs the scope admin.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: WebhookRef, required: true, description: "Id of a webhook." }) },
    resolve: async (_root, { id }, { store }) => (await store.webhooks.byIds([id.id]))[0] ?? null,
  }),
);
