/** The list of runs: filtered, sorted, counted. */
import { z } from "zod";
import { limits } from "../../../schema/limits.ts";
import type { Page, RunFilter, RunSort } from "../../../store/store.ts";
import { decoded } from "../../targets.ts";
import { builder } from "../builder.ts";
import { DatasetRef, FineTuneRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";
import { FineTuneStatus } from "./fine-tune.ts";
import { MetadataEntryInput } from "./labels.ts";

const FineTuneSort = builder.enumType("FineTuneSort", {
  description: "An order of runs.",
  values: {
    CREATED: { description: "By when they were created, the last one first." },
    FINISHED: { description: "By when they ended, the last one first. Only runs that have ended." },
    NAME: { description: "By name, in the order of the database." },
    STEPS: { description: "By the number of steps done, the most first." },
    SCORE: {
      description:
        "By the score of their best evaluation of validation rows, the highest first: F1, accuracy or exact match, by the " +
        "setting bestMetric. Only runs that have one.",
    },
    LOSS: {
      description:
        "By the loss of their best evaluation of validation rows, the least first. Only runs that have one. Losses compare " +
        "where runs have the same rows.",
    },
  } satisfies Record<RunSort, { description: string }>,
});

const FineTuneFilter = builder.inputType("FineTuneFilter", {
  description: "Which runs to list: those that meet all of it.",
  fields: (t) => ({
    statuses: t.field({ type: [FineTuneStatus], description: "They have one of these statuses." }),
    tags: t.stringList({
      description: "They have all of these tags.",
      validate: z.array(z.string()).max(limits.tags).nullish(),
    }),
    metadata: t.field({
      type: [MetadataEntryInput],
      description: "They have all of these notes, each with this value.",
      validate: z.array(z.unknown()).max(limits.metadata).nullish(),
    }),
    baseModel: t.string({ description: "The name of their base model." }),
    dataset: t.globalID({ for: DatasetRef, description: "They train, validate or test on this dataset." }),
    name: t.string({
      description: "Their name contains this, in upper or lower case.",
      validate: z.string().max(limits.nameLength).nullish(),
    }),
    search: t.string({
      description:
        "Their name or one of their tags contains this, in upper or lower case, or it is their id, or 4 or more of the first " +
        "hexadecimal digits of the UUID that their id is the base64 of.",
      validate: z.string().trim().max(limits.nameLength).nullish(),
    }),
    archived: t.boolean({
      defaultValue: false,
      description: "False for those that are not archived, true for those that are, null for both.",
    }),
    createdFrom: t.field({ type: "DateTime", description: "They were created then or later." }),
    createdBefore: t.field({ type: "DateTime", description: "They were created earlier." }),
  }),
});

function filterOf(filter: typeof FineTuneFilter.$inferInput | null | undefined): RunFilter {
  if (!filter) return { archived: false };
  const { statuses, tags, metadata, baseModel, dataset, name, search, archived, createdFrom, createdBefore } = filter;
  return {
    statuses: statuses ?? undefined,
    tags: tags ?? undefined,
    metadata: metadata ?? undefined,
    baseModel: baseModel ?? undefined,
    dataset: dataset?.id,
    name: name ?? undefined,
    search: search == null ? undefined : searched(search),
    archived: archived ?? undefined,
    createdFrom: createdFrom ?? undefined,
    createdBefore: createdBefore ?? undefined,
  };
}

/** An id of this API stands for the one that it is made of. */
function searched(text: string): string {
  const { typename, id } = decoded(text);
  return typename === "FineTune" ? id : text;
}

builder.queryField("fineTunes", (t) =>
  t.connection(
    {
      type: FineTuneRef,
      description: "The fine-tunes that are not archived, newest first, unless `filter` and `sort` say otherwise.",
      complexity: pageCost,
      args: {
        status: t.arg({ type: FineTuneStatus, description: "Return fine-tunes with this status." }),
        filter: t.arg({ type: FineTuneFilter, description: "Return fine-tunes that meet this." }),
        sort: t.arg({ type: FineTuneSort, defaultValue: "CREATED", description: "In this order." }),
        reverse: t.arg.boolean({ defaultValue: false, description: "From the other end of that order." }),
      },
      resolve: (_root, { status, filter, sort: order, reverse, ...args }, { store }) => {
        const query = { ...filterOf(filter), status: status ?? undefined, sort: order ?? "CREATED" };
        const list = (page: Page) => store.fineTunes.list({ ...page, ...query, reverse: reverse ?? false });
        return pageOf(args, list, () => store.fineTunes.count(query));
      },
    },
    { name: "FineTuneConnection" },
    { name: "FineTuneEdge" },
  ),
);
