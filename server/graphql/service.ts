/** What this server is. */
import { limits } from "../../schema/limits.ts";
import { version } from "../../schema/package.ts";
import { stepLogVersion } from "../../schema/step-log.ts";
import { builder } from "./builder.ts";

const ServiceRef = builder.objectRef<typeof limits>("Service").implement({
  description: "What this server is and what it takes.",
  fields: (t) => ({
    version: t.string({ description: "Version of Steplog.", resolve: () => version }),
    stepLogVersion: t.int({ description: "Version of the .steplog files it writes.", resolve: () => stepLogVersion }),
    datasetBytes: t.exposeInt("datasetBytes", { description: "Largest dataset, bytes." }),
    inlineDatasetBytes: t.exposeInt("inlineDatasetBytes", { description: "Largest dataset given inline, bytes." }),
    datasetRows: t.exposeInt("datasetRows", { description: "Most rows of a dataset." }),
    pageSize: t.exposeInt("pageSize", { description: "Most items of a page." }),
  }),
});

builder.queryField("service", (t) =>
  t.field({ type: ServiceRef, description: "What this server is and what it takes.", resolve: () => limits }),
);
