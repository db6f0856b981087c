/** What people write on a run: as input of createFineTune and updateFineTune, and as fields. */
import { z } from "zod";
import { limits } from "../../../schema/limits.ts";
import type { RunLabels } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { requireFineTune } from "../lookup.ts";
import { FineTuneRef } from "../nodes.ts";

interface Entry {
  readonly key: string;
  readonly value: string;
}

const MetadataEntryRef = builder.objectRef<Entry>("MetadataEntry").implement({
  description: "A note for programs.",
  fields: (t) => ({
    key: t.exposeString("key", { description: "What it is about." }),
    value: t.exposeString("value", { description: "What it says." }),
  }),
});

export const MetadataEntryInput = builder.inputType("MetadataEntryInput", {
  description: "A note for programs.",
  fields: (t) => ({
    key: t.string({
      required: true,
      description: `What it is about, 1 to ${limits.metadataKeyLength} characters.`,
      validate: z.string().min(1).max(limits.metadataKeyLength),
    }),
    value: t.string({
      required: true,
      description: `What it says, at most ${limits.metadataValueLength} characters.`,
      validate: z.string().max(limits.metadataValueLength),
    }),
  }),
});

/** Of an input; `what` says what happens without it. */
export const labelRules = {
  tags: z.array(z.string().trim().min(1).max(limits.tagLength)).max(limits.tags).nullish(),
  metadata: z
    .array(z.object({ key: z.string(), value: z.string() }))
    .max(limits.metadata)
    .refine((entries) => new Set(entries.map(({ key }) => key)).size === entries.length, "must not have a key twice")
    .nullish(),
  priority: z.int().min(-limits.priority).max(limits.priority).nullish(),
};

export const labelTexts = {
  tags: `Words to find it by: at most ${limits.tags}, each of 1 to ${limits.tagLength} characters.`,
  metadata: `Notes for programs: at most ${limits.metadata}, each with another key.`,
  priority: `-${limits.priority} to ${limits.priority}: of its project, workers take runs of a higher priority first.`,
};

interface LabelInput {
  readonly tags?: readonly string[] | null | undefined;
  readonly metadata?: readonly Entry[] | null | undefined;
  readonly priority?: number | null | undefined;
}

/** What was given. Equal tags are one. */
export function labelsOf({ tags, metadata, priority }: LabelInput): Pick<RunLabels, "tags" | "metadata" | "priority"> {
  return {
    ...(tags && { tags: [...new Set(tags)] }),
    ...(metadata && { metadata: Object.fromEntries(metadata.map(({ key, value }) => [key, value])) }),
    ...(priority != null && { priority }),
  };
}

builder.objectFields(FineTuneRef, (t) => ({
  tags: t.stringList({ description: "Words to find it by.", resolve: (run) => [...run.tags] }),
  metadata: t.field({
    type: [MetadataEntryRef],
    description: "Notes for programs, in order of their keys.",
    resolve: ({ metadata }) =>
      Object.entries(metadata)
        .map(([key, value]) => ({ key, value }))
        .toSorted((a, b) => (a.key < b.key ? -1 : 1)),
  }),
  priority: t.exposeInt("priority", { description: labelTexts.priority }),
  archivedAt: t.expose("archivedAt", {
    type: "DateTime",
    nullable: true,
    description: "When it was archived: lists leave it out. Null if it is not.",
  }),
}));

const UpdateFineTuneInput = builder.inputType("UpdateFineTuneInput", {
  description: "What to change of a run. What is left out stays as it is.",
  fields: (t) => ({
    name: t.string({
      description: `Name of the run, 1 to ${limits.nameLength} characters.`,
      validate: z.string().trim().min(1).max(limits.nameLength).nullish(),
    }),
    tags: t.stringList({ description: `${labelTexts.tags} In place of those that it has.`, validate: labelRules.tags }),
    addTags: t.stringList({
      description: "Tags that it gets beside those that it has. With `tags`, beside these.",
      validate: labelRules.tags,
    }),
    removeTags: t.stringList({
      description: "Tags that it loses. One that it does not have is no error.",
      validate: labelRules.tags,
    }),
    metadata: t.field({
      type: [MetadataEntryInput],
      description: `${labelTexts.metadata} In place of those that it has.`,
      validate: labelRules.metadata,
    }),
    priority: t.int({
      description: `${labelTexts.priority} A run that a worker has stays with it.`,
      validate: labelRules.priority,
    }),
    archived: t.boolean({ description: "Whether lists leave it out. Nothing of it is deleted." }),
  }),
});

builder.mutationField("updateFineTune", (t) =>
  t.field({
    type: FineTuneRef,
    description:
      "Changes what is written on a run: its name, tags, metadata and priority, and whether it is archived. Nothing of it " +
      "changes what is trained. Repeating it changes nothing.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: FineTuneRef, required: true, description: "Id of a fine-tune." }),
      input: t.arg({ type: UpdateFineTuneInput, required: true, description: "What to change." }),
    },
    resolve: async (_root, { id, input: { name, archived, addTags, removeTags, ...labels } }, { store }) => {
      await requireFineTune(store, id.id, "id");
      return store.fineTunes.label(id.id, {
        ...labelsOf(labels),
        ...(addTags && { addTags }),
        ...(removeTags && { removeTags }),
        ...(name != null && { name }),
        ...(archived != null && { archived }),
      });
    },
  }),
);
