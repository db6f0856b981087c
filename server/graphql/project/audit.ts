/** The audit log: who did what in a project. */
import { didYouMean } from "../../../schema/did-you-mean.ts";
import { z } from "zod";
import {
  type ActorKind,
  type AuditAction,
  type AuditDetails,
  type AuditObjectType,
  actorKinds,
  auditActions,
  plainObjects,
} from "../../../schema/audit.ts";
import type { AuditEntry } from "../../../schema/audit-tables.ts";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import { globalIdOf } from "../../../schema/webhooks.ts";
import type { Page } from "../../../store/store.ts";
import { builder } from "../builder.ts";
import { ProjectRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";

const ActorKindRef = builder.enumType("AuditActorKind", {
  description: "Who did something.",
  values: {
    KEY: { description: "An API key." },
    OPERATOR: { description: "The token of the environment, or anybody while there were no keys." },
    COMMAND: { description: "A command line with access to the database." },
    SERVICE: { description: "The service itself, which deletes what is past its time." },
  } satisfies Record<ActorKind, { description: string }>,
});

const ActorRef = builder.objectRef<AuditEntry>("AuditActor").implement({
  description: "Who did something, and by which request.",
  fields: (t) => ({
    kind: t.field({ type: ActorKindRef, description: "Who.", resolve: ({ actorKind }) => actorKind }),
    name: t.string({
      nullable: true,
      description: "Name of the key, as it was then; of a command line, its user and machine; else null.",
      resolve: ({ actorName }) => actorName,
    }),
    apiKeyId: t.id({
      nullable: true,
      description: "Id of the key, which may have been deleted since; null for others.",
      resolve: ({ actorKeyId }) => actorKeyId && globalIdOf("ApiKey", actorKeyId),
    }),
    requestId: t.exposeString("requestId", {
      nullable: true,
      description: "The request, as in the header X-Request-Id and in the log; null without one.",
    }),
    address: t.exposeString("address", {
      nullable: true,
      description: "Address of the client, or of the proxy in front of the gateway; null if it is not known.",
    }),
  }),
});

const DetailRef = builder.objectRef<readonly [string, AuditDetails[string]]>("AuditDetail").implement({
  description: "More of what was done, such as a new name.",
  fields: (t) => ({
    name: t.string({ description: "What it says.", resolve: ([name]) => name }),
    value: t.string({
      nullable: true,
      description: "The value, as text; null for none.",
      resolve: ([, value]) => (value === null ? null : String(value)),
    }),
  }),
});

const AuditEntryRef = builder.objectRef<AuditEntry>("AuditEntry").implement({
  description: "Something that was done. Entries never change, and hold no rows, prompts, answers or secrets.",
  fields: (t) => ({
    at: t.expose("at", { type: "DateTime", description: "When." }),
    projectId: t.id({
      description: "Id of the project whose object it was, which may have been erased since.",
      resolve: ({ projectId }) => globalIdOf("Project", projectId),
    }),
    action: t.exposeString("action", { description: "What, such as fine_tune.deleted." }),
    actor: t.field({ type: ActorRef, description: "Who.", resolve: (entry) => entry }),
    objectType: t.string({
      description: "The type of the object, as the API names it.",
      resolve: (entry) => entry.objectType,
    }),
    objectId: t.id({
      nullable: true,
      description: "Id of the object, which may be gone; of an alias its name, of a file its hash; null for several.",
      resolve: ({ objectType, objectId }) => objectId && idOf(objectType, objectId),
    }),
    objectName: t.exposeString("objectName", {
      nullable: true,
      description: "Name of the object, as it was then; of a checkpoint, that of its run.",
    }),
    details: t.field({ type: [DetailRef], description: "More.", resolve: ({ details }) => Object.entries(details) }),
  }),
});

function idOf(type: AuditObjectType, id: string): string {
  return plainObjects.includes(type) ? id : globalIdOf(type, id);
}

const actions = Object.keys(auditActions);

builder.queryField("auditLog", (t) =>
  t.connection(
    {
      type: AuditEntryRef,
      description:
        "The audit log, newest first: who did what. An admin reads that of the own project, an operator that of all. Needs the " +
        "scope ADMIN.",
      complexity: pageCost,
      args: {
        project: t.arg.globalID({
          for: ProjectRef,
          description: "That of one project, for an operator. Left out, that of all; for others, the own one.",
        }),
        from: t.arg({ type: "DateTime", description: "Only entries since this time." }),
        until: t.arg({ type: "DateTime", description: "Only entries before this time." }),
        actor: t.arg.string({
          description: `Only what this actor did: name of a key or of a command line, or one of ${actorKinds.join(", ")}.`,
          validate: z
            .string()
            .max(2 * limits.nameLength)
            .nullish(),
        }),
        action: t.arg.string({ description: `Only what is called so: ${actions.join(", ")}.` }),
        object: t.arg.globalID({ description: "Only what was done to the object with this id." }),
      },
      resolve: (_root, { project, from, until, actor, action, object, ...args }, { store: { audit } }) => {
        const filter = {
          projectId: project?.id,
          from: from ?? undefined,
          until: until ?? undefined,
          actor: actor ?? undefined,
          action: actionNamed(action),
          objectId: object?.id,
        };
        const list = (page: Page) => audit.list({ ...page, ...filter });
        return pageOf(args, list, () => audit.count(filter));
      },
    },
    { name: "AuditLogConnection" },
    { name: "AuditLogEdge" },
  ),
);

function actionNamed(given: string | null | undefined): AuditAction | undefined {
  if (given == null) return undefined;
  const found = actions.find((action): action is AuditAction => action === given);
  if (found) return found;
  const message = `${JSON.stringify(given)} is no action.${didYouMean(given, actions)} There are ${actions.join(", ")}.`;
  throw new SteplogError("INVALID_ARGUMENT", message, [{ field: "action", message }]);
}
