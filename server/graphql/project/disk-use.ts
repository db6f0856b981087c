/** What takes room on disk. */
import { type DiskUse, type DiskUseKind, type DiskUsePart, diskUseKinds } from "../../../schema/disk-use.ts";
import { builder, queryCost } from "../builder.ts";
import { ProjectRef } from "../nodes.ts";

const DiskUseKindRef = builder.enumType("DiskUseKind", {
  description: "What takes room on disk.",
  values: {
    LOGS: { description: "Logs of runs, in the database." },
    METRICS: { description: "Measurements of steps, in the database." },
    COMPLETIONS: { description: "Prompts and answers, in the database." },
    EVALUATIONS: { description: "Evaluations that were asked for, with the rows that they show, in the database." },
    WEBHOOKS: { description: "Webhooks, their messages and deliveries, in the database." },
    AUDIT: {
      description:
        "Entries of the audit log, in the database. Those of projects that were erased belong to no project any more.",
    },
    DATASETS: { description: "Rows of datasets, stored files." },
    WEIGHTS: { description: "Stored weights of checkpoints." },
    EXPORTS: { description: "Weights of checkpoints in other forms." },
    BASES: { description: "Base models that workers stored for machines that lack them. They belong to no project." },
    UNNAMED: {
      description: "Stored files that nothing names any more; they go after a day. They belong to no project.",
    },
  } satisfies Record<DiskUseKind, { description: string }>,
});

const DiskUsePartRef = builder.objectRef<DiskUsePart>("DiskUsePart").implement({
  description: "What one kind of a project's things takes.",
  fields: (t) => ({
    kind: t.expose("kind", { type: DiskUseKindRef, description: "Of what." }),
    project: t.field({
      type: ProjectRef,
      nullable: true,
      description: "Whose; null for what belongs to no project.",
      resolve: ({ projectId }) => projectId,
    }),
    files: t.exposeInt("files", { description: "Number of stored files." }),
    blobBytes: t.exposeFloat("blobBytes", { description: "Bytes of these files, in the storage folder or bucket." }),
    databaseBytes: t.exposeFloat("databaseBytes", {
      description:
        "Bytes in the database: of logs as they are, else the size of the tables, shared out by steps, completions, " +
        "evaluations, messages or entries.",
    }),
  }),
});

const DiskUseRef = builder.objectRef<DiskUse>("DiskUse").implement({
  description: "What takes room on disk.",
  fields: (t) => ({
    parts: t.field({
      type: [DiskUsePartRef],
      description: "By project and kind; what takes nothing is left out.",
      complexity: { field: 1, multiplier: diskUseKinds.length },
      resolve: ({ parts }) => [...parts],
    }),
    blobBytes: t.exposeFloat("blobBytes", {
      description: "Bytes of all these files, each once: the same bytes may be in several parts.",
    }),
    databaseBytes: t.exposeFloat("databaseBytes", {
      nullable: true,
      description: "Bytes of the whole database; null for one project.",
    }),
  }),
});

builder.queryField("diskUse", (t) =>
  t.field({
    type: DiskUseRef,
    description:
      "What takes room on disk, as rows tell it: of the project; for an operator (scope ADMIN in the default project) of all " +
      "projects, and what belongs to none. Of what a disk holds otherwise, such as copies on workers, `steplog sweep --machine` tells; " +
      "uploads that are not complete are on one gateway each, and not counted.",
    complexity: 5 * queryCost,
    args: {
      project: t.arg.globalID({
        for: ProjectRef,
        description: "Id of one project. The key's own if left out; an operator then gets all.",
      }),
    },
    resolve: (_root, { project }, { store }) => store.accounts.diskUse(project?.id),
  }),
);
