/** Workers: the processes that train runs and rebuild weights, as they report themselves. */
import type { LiveWorker } from "../../store/store.ts";
import type { NamedModel } from "../../schema/jobs.ts";
import { exportOfJob } from "../../store/store.ts";
import type { ServingReport } from "../../schema/tables.ts";
import { liveMs, reportMs } from "../../schema/limits.ts";
import type { Context } from "../context.ts";
import { builder, queryCost } from "./builder.ts";
import { Precision } from "./fine-tune/hyperparameters.ts";
import { BaseModelRef, CheckpointRef, FineTuneRef } from "./nodes.ts";

const WorkerModelRef = builder.objectRef<NamedModel>("WorkerModel").implement({
  description: "A model that a worker has, or could copy.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name of the folder." }),
    hash: t.exposeString("hash", { description: "Base hash of its weights, 64 hex digits." }),
  }),
});

type HeldJob = NonNullable<LiveWorker["job"]>;

const WorkerJobRef = builder.objectRef<HeldJob>("WorkerJob").implement({
  description: "What a worker is working on.",
  fields: (t) => ({
    kind: t.exposeString("kind", {
      description:
        "FINE_TUNE trains a run, MATERIALISE rebuilds weights, EXPORT rebuilds them in another form, EVALUATE " +
        "evaluates a model, MEASURE measures for an estimate.",
    }),
    fineTune: t.field({
      type: FineTuneRef,
      nullable: true,
      description: "The run that it trains; null for other kinds.",
      resolve: ({ kind, subject }) => (kind === "FINE_TUNE" ? subject : null),
    }),
    checkpoint: t.field({
      type: CheckpointRef,
      nullable: true,
      description: "The checkpoint whose weights it rebuilds; null for other kinds.",
      resolve: ({ kind, subject }) => {
        if (kind === "EXPORT") return exportOfJob(subject).checkpointId;
        return kind === "MATERIALISE" ? subject : null;
      },
    }),
  }),
});

const WarmModelRef = builder.objectRef<ServingReport["warm"][number]>("WarmModel").implement({
  description: "A model that a worker holds ready.",
  fields: (t) => ({
    base: t.exposeString("base", { description: "Base hash of its base model." }),
    chain: t.exposeString("chain", {
      nullable: true,
      description: "Chain hash of the checkpoint's log; null for the base itself.",
    }),
  }),
});

const WorkerServingRef = builder.objectRef<ServingReport>("WorkerServing").implement({
  description: "How a worker answers requests.",
  fields: (t) => ({
    memoryBytes: t.expose("memoryBytes", {
      type: "SafeInt",
      description: "Memory for weights and caches, in bytes; less while it trains.",
    }),
    usedBytes: t.expose("usedBytes", { type: "SafeInt", description: "Of these, what it uses." }),
    places: t.exposeInt("places", { description: "Texts that it writes at once, at most." }),
    requests: t.exposeInt("requests", { description: "Requests that it answers now." }),
    warm: t.field({
      type: [WarmModelRef],
      description: "Models that it holds ready.",
      resolve: ({ warm }) => warm,
    }),
  }),
});

export const WorkerRef = builder.objectRef<LiveWorker>("Worker").implement({
  description: "A running worker. It claims only what it can do.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Host name and process id." }),
    device: t.exposeString("device", { description: "Compute device, and why the worker chose it." }),
    kinds: t.stringList({ description: "Kinds of jobs that it accepts.", resolve: ({ kinds }) => [...kinds] }),
    families: t.stringList({
      description: "Model families that it can train, as config.json names them.",
      resolve: ({ families }) => [...families],
    }),
    precisions: t.field({
      type: [Precision],
      description: "Number formats that its device can multiply in.",
      resolve: ({ precisions }) => [...precisions],
    }),
    memoryBytes: t.expose("memoryBytes", {
      type: "SafeInt",
      description: "Memory of its machine, or of its container, in bytes.",
    }),
    models: t.field({
      type: [WorkerModelRef],
      description: "Models in its models folder, and those that it could copy from the storage.",
      resolve: ({ models }) => models,
    }),
    serving: t.field({
      type: WorkerServingRef,
      nullable: true,
      description: "How it answers requests; null if it does not.",
      resolve: ({ serving }) => serving,
    }),
    job: t.field({
      type: WorkerJobRef,
      nullable: true,
      description: "The job that it holds; null while it is idle.",
      resolve: ({ job }) => job,
    }),
    asleep: t.exposeBoolean("asleep", {
      description: "Whether its process has ended for lack of work. It starts again when there is some that it can do.",
    }),
    version: t.exposeString("version", { description: "Version of Steplog that it runs." }),
    startedAt: t.expose("startedAt", { type: "DateTime", description: "When it first reported." }),
    lastSeenAt: t.expose("lastSeenAt", {
      type: "DateTime",
      description: `When it last reported; it reports every ${reportMs / 1_000} seconds.`,
    }),
  }),
});

/** Number of workers that the cost of an operation is computed with. */
const expectedWorkers = 20;

builder.queryField("workers", (t) =>
  t.field({
    type: [WorkerRef],
    description:
      "The running workers, the longest running first. A worker that is stopped disappears immediately, one that crashes " +
      `after ${liveMs / 1_000} seconds.`,
    complexity: { field: queryCost, multiplier: expectedWorkers },
    resolve: (_root, _args, { store }) => store.workers.list(),
  }),
);

builder.objectField(BaseModelRef, "workers", (t) =>
  t.loadableList({
    type: WorkerRef,
    description: "The running workers that have it in their models folder, or could copy it from the storage.",
    complexity: { field: queryCost, multiplier: expectedWorkers },
    load: async (hashes: string[], { store }: Context) => {
      const workers = await store.workers.list();
      return hashes.map((hash) => workers.filter(({ models }) => models.some((model) => model.hash === hash)));
    },
    resolve: ({ hash }) => hash,
  }),
);
