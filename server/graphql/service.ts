/** The service: version and limits of this server. */
import { limits } from "../../schema/limits.ts";
import { version } from "../../schema/package.ts";
import { stepLogVersion } from "../../schema/step-log.ts";
import { builder } from "./builder.ts";

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
  }),
});

builder.queryField("service", (t) =>
  t.field({ type: ServiceRef, description: "Version and limits of this server.", resolve: () => limits }),
);
