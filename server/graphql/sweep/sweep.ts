/** Sweeps: runs that were created together to find out which settings are best. create-sweep.ts creates them. */
import { settingsOf } from "../../../schema/hyperparameters.ts";
import { limits } from "../../../schema/limits.ts";
import { passesOfRun } from "../../../schema/passes.ts";
import type { FineTuneStatus as Status } from "../../../schema/states.ts";
import { builder, queryCost } from "../builder.ts";
import { FineTuneStatus } from "../fine-tune/fine-tune.ts";
import { FineTuneRef, SweepRef } from "../nodes.ts";
import { notFound } from "../lookup.ts";
import { pageCost, pageOf } from "../page.ts";

interface StatusCount {
  readonly status: Status;
  readonly count: number;
}

const StatusCountRef = builder.objectRef<StatusCount>("SweepStatusCount").implement({
  description: "How many runs of a sweep have a status.",
  fields: (t) => ({
    status: t.expose("status", { type: FineTuneStatus, description: "The status." }),
    count: t.exposeInt("count", { description: "How many runs have it." }),
  }),
});

SweepRef.implement({
  description: "Runs that were created together, with the same model and rows and other settings.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name given by its author; need not be unique." }),
    varied: t.stringList({
      description: "Names of the settings that vary between its runs, in the order of the settings.",
      resolve: ({ varied }) => [...varied],
    }),
    runs: t.field({
      type: [FineTuneRef],
      description: "Its runs that are not deleted, in the order of their settings.",
      complexity: { field: queryCost, multiplier: limits.sweepRuns },
      resolve: ({ id }, _args, { store }) => store.sweeps.runs(id),
    }),
    statuses: t.field({
      type: [StatusCountRef],
      description: "How many of its runs have each status; those that none has are left out.",
      complexity: { field: queryCost, multiplier: 6 },
      resolve: async ({ id }, _args, { store }) =>
        [...(await store.sweeps.counts(id))].map(([status, count]) => ({ status, count })),
    }),
    best: t.field({
      type: FineTuneRef,
      nullable: true,
      description:
        "The run with the best evaluation of validation rows so far: by its score, or by the loss where no run has a score. Null before the first.",
      complexity: queryCost,
      resolve: ({ id }, _args, { store }) => store.sweeps.best(id),
    }),
    passes: t.field({
      type: "SafeInt",
      description: "Forward passes of the steps of all its runs, as estimateSweep has them.",
      complexity: queryCost,
      resolve: async ({ id }, _args, { store }) =>
        (await store.sweeps.runs(id)).reduce((sum, run) => sum + passesOfRun(settingsOf(run)), 0),
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was created." }),
  }),
});

builder.objectField(FineTuneRef, "sweep", (t) =>
  t.field({
    type: SweepRef,
    nullable: true,
    description: "The sweep that it was created in; null if there is none.",
    resolve: ({ sweepId }) => sweepId,
  }),
);

const idText = "Id of a sweep.";

builder.queryField("sweep", (t) =>
  t.field({
    type: SweepRef,
    nullable: true,
    description: "The sweep with this id; null if there is none.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: SweepRef, required: true, description: idText }) },
    resolve: (_root, { id }, { store }) => store.sweeps.get(id.id),
  }),
);

builder.queryField("sweeps", (t) =>
  t.connection(
    {
      type: SweepRef,
      description: "The sweeps, newest first.",
      complexity: pageCost,
      resolve: (_root, args, { store: { sweeps } }) =>
        pageOf(
          args,
          (page) => sweeps.list(page),
          () => sweeps.count(),
        ),
    },
    { name: "SweepConnection" },
    { name: "SweepEdge" },
  ),
);

builder.mutationField("cancelSweep", (t) =>
  t.field({
    type: SweepRef,
    description:
      "Cancels the runs of a sweep that have not ended, as cancelFineTune does. Cancelling again changes nothing.",
    complexity: 10 * queryCost,
    args: { id: t.arg.globalID({ for: SweepRef, required: true, description: idText }) },
    resolve: async (_root, { id }, { store }) => {
      if (!(await store.sweeps.get(id.id))) notFound("id", "There is no sweep with this id.");
      return store.sweeps.cancel(id.id);
    },
  }),
);

builder.mutationField("deleteSweep", (t) =>
  t.boolean({
    description:
      "Deletes a sweep. Its runs stay, as runs of no sweep, unless `runs` is true: then they are deleted too, all or none, as " +
      "deleteFineTune does. True if there was one: repeating it is safe.",
    complexity: 10 * queryCost,
    args: {
      id: t.arg.globalID({ for: SweepRef, required: true, description: idText }),
      runs: t.arg.boolean({ description: "Whether its runs are deleted too. Default: false." }),
      cancel: t.arg.boolean({
        description:
          "Whether runs that are being trained end thereby; otherwise they refuse it (INVALID_STATE). Default: false.",
      }),
    },
    resolve: (_root, { id, runs, cancel }, { store }) =>
      store.sweeps.delete(id.id, { runs: runs ?? false, cancel: cancel ?? false }),
  }),
);
