/** How often datasets and base models are used, counted for a whole list at once. */
import type { Uses } from "../../store/store.ts";
import type { Context } from "../context.ts";
import { builder, queryCost } from "./builder.ts";
import { BaseModelRef, DatasetRef } from "./nodes.ts";

const UsesRef = builder.objectRef<Uses>("Uses").implement({
  description: "How often something is used in this project.",
  fields: (t) => ({
    fineTunes: t.exposeInt("fineTunes", { description: "Runs, archived ones too." }),
    evaluations: t.exposeInt("evaluations", { description: "Evaluations that were asked for." }),
    unfinished: t.exposeInt("unfinished", { description: "Of these together, those that have not ended." }),
  }),
});

builder.objectField(DatasetRef, "uses", (t) =>
  t.loadable({
    type: UsesRef,
    description:
      "How many runs train, validate or test on it, and how many evaluations measure on it. `fineTunes` with the filter " +
      "`dataset` lists the runs.",
    complexity: queryCost,
    load: (ids: string[], { store }: Context) => store.datasets.uses(ids),
    resolve: ({ id }) => id,
  }),
);

builder.objectField(BaseModelRef, "uses", (t) =>
  t.loadable({
    type: UsesRef,
    description: "How many runs start from it, and how many evaluations there are of it and of their checkpoints.",
    complexity: queryCost,
    load: (ids: string[], { store }: Context) => store.baseModels.uses(ids),
    resolve: ({ id }) => id,
  }),
);
