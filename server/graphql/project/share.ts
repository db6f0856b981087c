/** Sharing a dataset or a checkpoint with another project, to be read. */
import { builder, queryCost } from "../builder.ts";
import { CheckpointRef, DatasetRef, ProjectRef } from "../nodes.ts";

const readers = {
  type: [ProjectRef] as [typeof ProjectRef],
  description: "Other projects that may read it, by name; none of what others share with this project.",
  complexity: { field: queryCost, multiplier: 5 },
};

builder.objectField(DatasetRef, "sharedWith", (t) =>
  t.field({
    ...readers,
    resolve: ({ id }, _args, { store }) => store.administration.sharedWith("DATASET", id),
  }),
);

builder.objectField(CheckpointRef, "sharedWith", (t) =>
  t.field({
    ...readers,
    resolve: ({ id }, _args, { store }) => store.administration.sharedWith("CHECKPOINT", id),
  }),
);

const projectArgument = { for: ProjectRef, required: true, description: "The other project, by its id." } as const;
const repeats = "Needs the scope WRITE. Repeating it changes nothing.";

builder.mutationField("shareDataset", (t) =>
  t.field({
    type: DatasetRef,
    description: `Lets another project read a dataset: train and evaluate on it. ${repeats}`,
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: DatasetRef, required: true, description: "The dataset." }),
      project: t.arg.globalID(projectArgument),
    },
    resolve: async (_root, { id, project }, { store }) => {
      await store.administration.share("DATASET", id.id, project.id);
      return id.id;
    },
  }),
);

builder.mutationField("unshareDataset", (t) =>
  t.field({
    type: DatasetRef,
    description: `Takes back what shareDataset gave. Runs that train on it go on. ${repeats}`,
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: DatasetRef, required: true, description: "The dataset." }),
      project: t.arg.globalID(projectArgument),
    },
    resolve: async (_root, { id, project }, { store }) => {
      await store.administration.unshare("DATASET", id.id, project.id);
      return id.id;
    },
  }),
);

builder.mutationField("shareCheckpoint", (t) =>
  t.field({
    type: CheckpointRef,
    description:
      "Lets another project read a checkpoint: ask it, evaluate it, download its log, fork it. Its run stays with its project. " +
      repeats,
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: CheckpointRef, required: true, description: "The checkpoint." }),
      project: t.arg.globalID(projectArgument),
    },
    resolve: async (_root, { id, project }, { store }) => {
      await store.administration.share("CHECKPOINT", id.id, project.id);
      return id.id;
    },
  }),
);

builder.mutationField("unshareCheckpoint", (t) =>
  t.field({
    type: CheckpointRef,
    description: `Takes back what shareCheckpoint gave. Forks of it go on. ${repeats}`,
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: CheckpointRef, required: true, description: "The checkpoint." }),
      project: t.arg.globalID(projectArgument),
    },
    resolve: async (_root, { id, project }, { store }) => {
      await store.administration.unshare("CHECKPOINT", id.id, project.id);
      return id.id;
    },
  }),
);
