/** API keys: making, listing, rotating and revoking them. */
import { z } from "zod";
import { limits } from "../../../schema/limits.ts";
import { secondsOfDay } from "../../../schema/units.ts";
import { type MadeKey } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { ApiKeyRef, ProjectRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";
import { ScopeRef } from "./project.ts";

ApiKeyRef.implement({
  description: "An API key. The key itself is shown only when it is made.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name given by its maker." }),
    start: t.exposeString("start", { description: "Its first characters, by which to recognise it." }),
    project: t.field({
      type: ProjectRef,
      description: "The project that it belongs to.",
      resolve: ({ projectId }) => projectId,
    }),
    scopes: t.field({ type: [ScopeRef], description: "What it allows.", resolve: ({ scopes }) => scopes }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was made." }),
    expiresAt: t.expose("expiresAt", {
      type: "DateTime",
      nullable: true,
      description: "When it ends by itself; null if it does not.",
    }),
    lastUsedAt: t.expose("lastUsedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it was last used, about a minute behind; null if it never was.",
    }),
    revokedAt: t.expose("revokedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it was revoked; null if it was not.",
    }),
  }),
});

const MadeKeyRef = builder.objectRef<MadeKey>("NewApiKey").implement({
  description: "A key that has just been made. Nobody can read the key again.",
  fields: (t) => ({
    key: t.exposeString("key", { description: 'The key, for the header "Authorization: Bearer KEY".' }),
    apiKey: t.field({ type: ApiKeyRef, description: "What is known of it.", resolve: ({ apiKey }) => apiKey }),
  }),
});

builder.queryField("apiKeys", (t) =>
  t.connection(
    {
      type: ApiKeyRef,
      description: "The API keys of a project, newest first, also those that have ended. Needs the scope ADMIN.",
      complexity: pageCost,
      args: {
        project: t.arg.globalID({
          for: ProjectRef,
          description: "Another project, for an operator. Left out, the own one.",
        }),
      },
      resolve: (_root, { project, ...args }, { store: { administration } }) =>
        pageOf(
          args,
          (page) => administration.keys({ ...page, projectId: project?.id }),
          () => administration.countKeys(project?.id),
        ),
    },
    { name: "ApiKeyConnection" },
    { name: "ApiKeyEdge" },
  ),
);

const CreateApiKeyInput = builder.inputType("CreateApiKeyInput", {
  description: "A new API key.",
  fields: (t) => ({
    name: t.string({
      required: true,
      description: `What it is for, 1 to ${limits.nameLength} characters.`,
      validate: z.string().trim().min(1).max(limits.nameLength),
    }),
    scopes: t.field({
      type: [ScopeRef],
      required: true,
      description: "What it allows, one scope at least.",
      validate: z.array(z.unknown()).min(1).max(10),
    }),
    expiresInDays: t.float({
      description: "After how many days it ends, at most 3,650. Left out, it does not end by itself.",
      validate: z.number().positive().max(3_650).nullish(),
    }),
    project: t.globalID({ for: ProjectRef, description: "Another project, for an operator. Left out, the own one." }),
  }),
});

builder.mutationField("createApiKey", (t) =>
  t.field({
    type: MadeKeyRef,
    description:
      "Makes an API key. Needs the scope ADMIN. From the first key on, every request needs one. Repeating it makes another key: " +
      "revoke the one whose answer was lost.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: "The key." }) },
    resolve: (_root, { input: { name, scopes, expiresInDays, project } }, { store }) =>
      store.administration.createKey({
        name: name.trim(),
        scopes,
        expiresInS: expiresInDays == null ? null : expiresInDays * secondsOfDay,
        projectId: project?.id,
      }),
  }),
);

builder.mutationField("rotateApiKey", (t) =>
  t.field({
    type: MadeKeyRef,
    description:
      "Makes a key that takes the place of another: with its name, scopes and time to live. The other one ends after the " +
      "overlap, at once by default. Needs the scope ADMIN.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: ApiKeyRef, required: true, description: "The key to replace." }),
      overlapSeconds: t.arg.int({
        defaultValue: 0,
        description: "How long both are valid, 0 to 2,592,000 seconds (30 days).",
        validate: z.int().min(0).max(2_592_000).nullish(),
      }),
    },
    resolve: (_root, { id, overlapSeconds }, { store }) => store.administration.rotateKey(id.id, overlapSeconds ?? 0),
  }),
);

builder.mutationField("renameApiKey", (t) =>
  t.field({
    type: ApiKeyRef,
    description: "Gives a key another name. Needs the scope ADMIN. Repeating it changes nothing.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: ApiKeyRef, required: true, description: "The key." }),
      name: t.arg.string({
        required: true,
        description: `Its new name, 1 to ${limits.nameLength} characters.`,
        validate: z.string().trim().min(1).max(limits.nameLength),
      }),
    },
    resolve: (_root, { id, name }, { store }) => store.administration.renameKey(id.id, name.trim()),
  }),
);

builder.mutationField("deleteApiKey", (t) =>
  t.boolean({
    description:
      "Deletes what is left of a key that has ended; the audit log keeps its name. True if there was one. Refused as " +
      "INVALID_STATE while the key is in use, and for the last one: without any, the service would be open. Needs the scope ADMIN.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: ApiKeyRef, required: true, description: "The key." }) },
    resolve: (_root, { id }, { store }) => store.administration.deleteKey(id.id),
  }),
);

builder.mutationField("revokeApiKey", (t) =>
  t.field({
    type: ApiKeyRef,
    description:
      "Ends a key at once, and closes what is open under it: WebSockets, event streams, downloads. Needs the scope ADMIN. " +
      "Repeating it changes nothing.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: ApiKeyRef, required: true, description: "The key." }) },
    resolve: (_root, { id }, { store }) => store.administration.revokeKey(id.id),
  }),
);
