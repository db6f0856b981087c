/** Projects: whose everything is, and who asks. */
import { z } from "zod";
import { limits } from "../../../schema/limits.ts";
import { type Viewer, scopes } from "../../../schema/projects.ts";
import { builder, queryCost } from "../builder.ts";
import { ApiKeyRef, ProjectRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";

export const ScopeRef = builder.enumType("Scope", {
  description: "What an API key allows. Every scope but `INFER` includes `READ`.",
  values: {
    READ: { value: "read", description: "To read what the project has." },
    WRITE: { value: "write", description: "To store datasets, register models, set aliases and share." },
    TRAIN: { value: "train", description: "To create, stop and delete runs, and to have weights rebuilt." },
    INFER: { value: "infer", description: "To ask models, and to read the answers." },
    ADMIN: {
      value: "admin",
      description: "To manage the project's keys; in the default project, to manage all projects.",
    },
  } satisfies Record<Uppercase<(typeof scopes)[number]>, { value: (typeof scopes)[number]; description: string }>,
});

ProjectRef.implement({
  description: "A project: runs, datasets, checkpoints, completions, evaluations and aliases belong to one.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name, unique in this service." }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was created." }),
  }),
});

const ViewerRef = builder.objectRef<Viewer>("Viewer").implement({
  description: "Who asks.",
  fields: (t) => ({
    project: t.field({
      type: ProjectRef,
      description: "The project that the API key belongs to. Without keys, the default one.",
      complexity: queryCost,
      resolve: (_viewer, _args, { store }) => store.administration.project(),
    }),
    scopes: t.field({
      type: [ScopeRef],
      description: "What the key allows.",
      resolve: (viewer) => scopes.filter((scope) => viewer.scopes.has(scope)),
    }),
    apiKey: t.field({
      type: ApiKeyRef,
      nullable: true,
      description: "The key that this request came with; null without keys, and for the token of the environment.",
      complexity: queryCost,
      resolve: (_viewer, _args, { store }) => store.administration.ownKey(),
    }),
  }),
});

builder.queryField("viewer", (t) =>
  t.field({
    type: ViewerRef,
    description: "Who asks: the project and the scopes of the API key.",
    resolve: (_root, _args, { store }) => store.viewer,
  }),
);

builder.queryField("projects", (t) =>
  t.connection(
    {
      type: ProjectRef,
      description:
        "The projects, newest first: all of them for an operator (scope ADMIN in the default project), else the own one.",
      complexity: pageCost,
      resolve: (_root, args, { store: { administration } }) =>
        pageOf(
          args,
          (page) => administration.projects(page),
          () => administration.countProjects(),
        ),
    },
    { name: "ProjectConnection" },
    { name: "ProjectEdge" },
  ),
);

builder.mutationField("renameProject", (t) =>
  t.field({
    type: ProjectRef,
    description:
      "Gives a project another name. Only an operator may. A name that is taken is a CONFLICT. Repeating it changes nothing.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: ProjectRef, required: true, description: "The project." }),
      name: t.arg.string({
        required: true,
        description: `Its new name, 1 to ${limits.nameLength} characters.`,
        validate: z.string().trim().min(1).max(limits.nameLength),
      }),
    },
    resolve: (_root, { id, name }, { store }) => store.administration.renameProject(id.id, name.trim()),
  }),
);

builder.mutationField("createProject", (t) =>
  t.field({
    type: ProjectRef,
    description:
      "Creates a project. Only an operator may: scope ADMIN in the default project. A name that is taken is a CONFLICT, so a " +
      "repeated request creates no second one.",
    complexity: queryCost,
    args: {
      name: t.arg.string({
        required: true,
        description: `Name of the project, 1 to ${limits.nameLength} characters.`,
        validate: z.string().trim().min(1).max(limits.nameLength),
      }),
    },
    resolve: (_root, { name }, { store }) => store.administration.createProject(name.trim()),
  }),
);
