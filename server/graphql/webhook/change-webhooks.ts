/** Mutations of webhooks. All of them need the scope admin: a webhook sends what happens in a project to elsewhere. */
import { z } from "zod";
import { SteplogError } from "../../../schema/errors.ts";
import type { WebhookEndpoint } from "../../../schema/webhook-tables.ts";
import { webhookEvents, webhookLimits } from "../../../schema/webhooks.ts";
import { builder, queryCost } from "../builder.ts";
import { notFound } from "../lookup.ts";
import { WebhookDeliveryRef, WebhookRef } from "../nodes.ts";

const url = z.string().max(webhookLimits.urlLength);
const description = z.string().max(webhookLimits.descriptionLength);
const events = z.array(z.string()).max(webhookEvents.length);
const known = `The types: ${webhookEvents.join(", ")}.`;

const CreateWebhookInput = builder.inputType("CreateWebhookInput", {
  description: "A new webhook.",
  fields: (t) => ({
    url: t.string({
      required: true,
      description:
        "Where messages are sent: https://... or http://..., whose host has public addresses only, unless the operator allows " +
        "others.",
      validate: url,
    }),
    description: t.string({ description: "What it is for.", validate: description.nullish() }),
    events: t.stringList({
      description: `The types of messages that it gets; left out, all. ${known}`,
      validate: events.nullish(),
    }),
  }),
});

const UpdateWebhookInput = builder.inputType("UpdateWebhookInput", {
  description: "What to change of a webhook. What is left out stays.",
  fields: (t) => ({
    url: t.string({ description: "As in CreateWebhookInput.", validate: url.nullish() }),
    description: t.string({ description: "As in CreateWebhookInput.", validate: description.nullish() }),
    events: t.stringList({ description: "As in CreateWebhookInput; empty for all.", validate: events.nullish() }),
    enabled: t.boolean({
      description:
        "Whether messages are made for it and sent. What waited when it was disabled is sent when it is enabled; what happened " +
        "in between is not.",
    }),
  }),
});

const SecretPayload = builder.objectRef<WebhookEndpoint>("WebhookSecretPayload").implement({
  description: "A webhook and its secret, which is not told again.",
  fields: (t) => ({
    webhook: t.field({ type: WebhookRef, description: "The webhook.", resolve: (webhook) => webhook }),
    secret: t.exposeString("secret", { description: "What receivers check signatures with: whsec_..." }),
  }),
});

const idArgument = { for: WebhookRef, required: true, description: "Id of a webhook." } as const;

builder.mutationField("createWebhook", (t) =>
  t.field({
    type: SecretPayload,
    description:
      `Has changes in the project told to an address. A project has at most ${webhookLimits.endpoints}. Repeating it makes ` +
      "another one: look at `webhooks` first. Needs the scope admin.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateWebhookInput, required: true, description: "The webhook." }) },
    async resolve(_root, { input }, { store, webhookAddresses }) {
      // Those who may not are told so before any name is looked up for them.
      await store.webhooks.list();
      checkEvents(input.events);
      await webhookAddresses.check(input.url, "input.url");
      return store.webhooks.create({
        url: input.url,
        description: input.description ?? "",
        events: input.events ?? [],
      });
    },
  }),
);

builder.mutationField("updateWebhook", (t) =>
  t.field({
    type: WebhookRef,
    description: "Changes a webhook. Repeating it changes nothing. Needs the scope admin.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID(idArgument),
      input: t.arg({ type: UpdateWebhookInput, required: true, description: "What to change." }),
    },
    async resolve(_root, { id, input }, { store, webhookAddresses }) {
      await store.webhooks.list();
      checkEvents(input.events);
      if (input.url != null) await webhookAddresses.check(input.url, "input.url");
      const given = Object.entries(input).filter(([, value]) => value !== null && value !== undefined);
      return store.webhooks.update(id.id, Object.fromEntries(given));
    },
  }),
);

builder.mutationField("deleteWebhook", (t) =>
  t.boolean({
    description:
      "Deletes a webhook, what waits for it, and its log. True if there was one: repeating it is safe. Needs the scope admin.",
    complexity: queryCost,
    args: { id: t.arg.globalID(idArgument) },
    resolve: (_root, { id }, { store }) => store.webhooks.remove(id.id),
  }),
);

builder.mutationField("rotateWebhookSecret", (t) =>
  t.field({
    type: SecretPayload,
    description:
      "Gives a webhook a new secret. For 24 hours messages are signed with the old one too. Repeating it makes another one, and " +
      "the one before the last no longer signs. Needs the scope admin.",
    complexity: queryCost,
    args: { id: t.arg.globalID(idArgument) },
    resolve: (_root, { id }, { store }) => store.webhooks.rotateSecret(id.id),
  }),
);

builder.mutationField("testWebhook", (t) =>
  t.field({
    type: WebhookDeliveryRef,
    description:
      "Sends a message of type webhook.test to one webhook, even a disabled one, in one attempt. The delivery tells how it went. " +
      "Repeating it sends another one. Needs the scope admin.",
    complexity: queryCost,
    args: { id: t.arg.globalID(idArgument) },
    resolve: (_root, { id }, { store }) => store.webhooks.test(id.id),
  }),
);

builder.mutationField("replayWebhook", (t) =>
  t.int({
    description:
      "Sends messages again, with the same webhook-id, whether they were delivered or not: one message, or all since a time that " +
      "the webhook would get today. How many. Repeating it sends them once more. Needs the scope admin.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID(idArgument),
      webhookId: t.arg.string({ description: "The message: msg_... Give this or `since`." }),
      since: t.arg({
        type: "DateTime",
        description: "From when on messages are sent again; they are kept for 30 days.",
      }),
    },
    async resolve(_root, { id, webhookId, since }, { store }) {
      const [webhook] = await store.webhooks.byIds([id.id]);
      if (!webhook) notFound("id", "There is no webhook with this id.");
      if (webhookId != null && since == null) return store.webhooks.replay(id.id, { webhookId });
      if (since != null && webhookId == null) return store.webhooks.replay(id.id, { since });
      const message = "give exactly one of `webhookId` and `since`";
      throw new SteplogError("INVALID_ARGUMENT", "Give exactly one of `webhookId` and `since`.", [
        { field: "webhookId", message },
      ]);
    },
  }),
);

function checkEvents(given: readonly string[] | null | undefined): void {
  const unknown = given?.find((type) => !webhookEvents.includes(type));
  if (unknown === undefined) return;
  const message = `has ${JSON.stringify(unknown)}, which is no type of message. ${known}`;
  throw new SteplogError("INVALID_ARGUMENT", `input.events ${message}`, [{ field: "input.events", message }]);
}
