/** The service: version and limits of this server. */
import { limits } from "../../schema/limits.ts";
import { version } from "../../schema/package.ts";
import { stepLogVersion } from "../../schema/step-log.ts";
import type { QueueEntry } from "../../store/store.ts";
import { builder, queryCost } from "./builder.ts";

const QueuedWorkRef = builder.objectRef<QueueEntry>("QueuedWork").implement({
  description: "Work of one kind that needs the same of a worker.",
  fields: (t) => ({
    kind: t.exposeString("kind", {
      description:
        "FINE_TUNE trains, EVALUATE evaluates, COMPLETE answers, MATERIALISE rebuilds weights, EXPORT does so in another form, " +
        "MEASURE measures for an estimate, REGISTER registers a model that was found, DOWNLOAD brings one from the hub.",
    }),
    model: t.exposeString("model", { nullable: true, description: "Base model that it needs; null if it needs none." }),
    waiting: t.int({ description: "How many wait for a worker.", resolve: ({ free, waiting }) => free + waiting }),
    running: t.exposeInt("held", { description: "How many a worker does." }),
    oldestSeconds: t.exposeFloat("oldestSeconds", {
      nullable: true,
      description: "Seconds since the oldest that waits was created; null if none waits.",
    }),
    lack: t.exposeString("lack", {
      nullable: true,
      description: "What keeps all live workers from it; null if one of them takes it in its turn.",
    }),
  }),
});

const ServiceRef = builder.objectRef<typeof limits>("Service").implement({
  description: "Version and limits of this server.",
  fields: (t) => ({
    version: t.string({ description: "Version of Steplog.", resolve: () => version }),
    stepLogVersion: t.int({
      description: "Version of the .steplog format that it writes.",
      resolve: () => stepLogVersion,
    }),
    datasetBytes: t.exposeInt("datasetBytes", { description: "Largest dataset in bytes." }),
    inlineDatasetBytes: t.exposeInt("inlineDatasetBytes", {
      description: "Largest inline dataset (`jsonl`) in bytes.",
    }),
    datasetRows: t.exposeInt("datasetRows", { description: "Most rows in a dataset." }),
    pageSize: t.exposeInt("pageSize", { description: "Most items on one page of a list." }),
    queue: t.field({
      type: [QueuedWorkRef],
      nullable: true,
      description:
        "What waits for workers and what they do, of all projects, by what it needs: as `steplog queue` shows it. Null for " +
        "whoever is no operator (scope ADMIN in the default project).",
      complexity: queryCost,
      resolve: (_limits, _args, { store }) => store.accounts.queue(),
    }),
  }),
});

builder.queryField("service", (t) =>
  t.field({ type: ServiceRef, description: "Version and limits of this server.", resolve: () => limits }),
);
