/** Aliases: names by which clients call a model, and that whoever runs the service points elsewhere. */
import { z } from "zod";
import type { Alias } from "../../../schema/serving-tables.ts";
import { limits } from "../../../schema/limits.ts";
import { idsOf } from "../../targets.ts";
import { builder, queryCost } from "../builder.ts";
import { ModelInput, answeringOfInput } from "../completion/inputs.ts";
import { BaseModelRef, CheckpointRef } from "../nodes.ts";

const AliasRef = builder.objectRef<Alias>("Alias").implement({
  description: "A name by which requests call a model. Where it points can change without the clients' doing.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "The name." }),
    baseModel: t.field({
      type: BaseModelRef,
      description: "The base model that it points at, or of which the checkpoint is.",
      resolve: ({ baseModelId }) => baseModelId,
    }),
    checkpoint: t.field({
      type: CheckpointRef,
      nullable: true,
      description: "The checkpoint that it points at; null for the base model itself.",
      resolve: ({ checkpointId }) => checkpointId,
    }),
    moves: t.exposeInt("moves", {
      description: "How many places it can be traced back to, this one included. Above 1, it can be rolled back.",
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was first set." }),
    updatedAt: t.expose("updatedAt", { type: "DateTime", description: "When it was last pointed somewhere." }),
  }),
});

const nameArgument = {
  required: true,
  description:
    "The name: up to 100 letters, digits and any of . _ : -, the first a letter or a digit. No base model may have it.",
} as const;

builder.queryField("alias", (t) =>
  t.field({
    type: AliasRef,
    nullable: true,
    description: "The alias of this name; null if there is none.",
    complexity: queryCost,
    args: { name: t.arg.string({ required: true, description: "The name." }) },
    resolve: (_root, { name }, { store }) => store.aliases.resolve(name),
  }),
);

builder.queryField("aliases", (t) =>
  t.field({
    type: [AliasRef],
    description: "The aliases, by name.",
    complexity: ({ first }) => ({ field: queryCost, multiplier: first ?? limits.pageSize }),
    args: {
      first: t.arg.int({
        defaultValue: limits.pageSize,
        description: `Most aliases to return, 1 to ${limits.pageSize}.`,
        validate: z.int().min(1).max(limits.pageSize).nullish(),
      }),
      after: t.arg.string({ description: "Return those after this name: the last one that you have." }),
    },
    resolve: (_root, { first, after }, { store }) =>
      store.aliases.list({ limit: first ?? limits.pageSize, after: after ?? undefined }),
  }),
);

builder.mutationField("setAlias", (t) =>
  t.field({
    type: AliasRef,
    description:
      "Points an alias at a model, and makes it if it is new. Requests that came before keep the model that they were asked of. " +
      "Repeating it changes nothing.",
    complexity: queryCost,
    args: {
      name: t.arg.string(nameArgument),
      model: t.arg({ type: ModelInput, required: true, description: "Where it is to point." }),
    },
    resolve: async (_root, { name, model }, { store }) =>
      store.aliases.set(name, idsOf(await answeringOfInput(store, model, "model"))),
  }),
);

builder.mutationField("rollBackAlias", (t) =>
  t.field({
    type: AliasRef,
    description:
      "Points an alias to where it pointed before it was last set. Repeating it goes back once more: look at the alias before " +
      "you do.",
    complexity: queryCost,
    args: { name: t.arg.string({ required: true, description: "The name." }) },
    resolve: (_root, { name }, { store }) => store.aliases.rollBack(name),
  }),
);

builder.mutationField("removeAlias", (t) =>
  t.boolean({
    description: "Removes an alias. True if there was one: repeating it is safe.",
    complexity: queryCost,
    args: { name: t.arg.string({ required: true, description: "The name." }) },
    resolve: (_root, { name }, { store }) => store.aliases.remove(name),
  }),
);
