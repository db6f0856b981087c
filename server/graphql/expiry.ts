/** When things end by themselves: as an input of what creates them, as fields of what there is, and for a project. */
import { z } from "zod";
import {
  type ExpiringKind,
  type Expiry,
  type Keep,
  type KeptName,
  keptNames,
  longestTtl,
} from "../../schema/expiry.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { Ending } from "../../store/store.ts";
import { builder, queryCost } from "./builder.ts";
import { CheckpointRef, DatasetRef, FineTuneRef, ModelEvaluationRef, ProjectRef } from "./nodes.ts";

const seconds = z.number().positive().max(longestTtl).nullish();

export const ExpiryInput = builder.inputType("ExpiryInput", {
  description: "When something ends by itself, and is deleted unless it is in use then. Give one of these.",
  isOneOf: true,
  fields: (t) => ({
    at: t.field({ type: "DateTime", description: "At this time." }),
    ttl: t.float({ description: "So many seconds from now, at most ten years.", validate: seconds }),
    never: t.boolean({ description: "Not by itself, whatever the project says. Give true. Not for completions." }),
  }),
});

export const expiryText = "When it ends by itself. Left out, as setProjectKeep says, and otherwise never.";

/** Null for none given. @throws INVALID_ARGUMENT for `never: false`, which says nothing */
export function expiryOfInput(input: typeof ExpiryInput.$inferInput | null | undefined, field: string): Expiry | null {
  if (!input) return null;
  if (input.at != null) return { at: input.at };
  if (input.ttl != null) return { ttl: input.ttl };
  if (input.never) return { never: true };
  const message = "give true, or a time";
  throw new SteplogError("INVALID_ARGUMENT", `${field}.never: ${message}.`, [{ field: `${field}.never`, message }]);
}

// Of what there is

for (const ref of [FineTuneRef, CheckpointRef, DatasetRef, ModelEvaluationRef] as const) {
  builder.objectField(ref, "expiresAt", (t) =>
    t.field({
      type: "DateTime",
      nullable: true,
      description: "When it ends by itself, and is deleted unless it is in use then; null for never.",
      resolve: ({ expiresAt }: { readonly expiresAt: Date | null }) => expiresAt,
    }),
  );
  builder.objectField(ref, "expiryHeldBy", (t) =>
    t.field({
      type: "String",
      nullable: true,
      description:
        "What it was held by when it was due, so that it is still there. It is tried again every ten minutes.",
      resolve: ({ expiryHeldBy }: { readonly expiryHeldBy: string | null }) => expiryHeldBy,
    }),
  );
}

const kinds: Readonly<Record<string, ExpiringKind>> = {
  FineTune: "FINE_TUNE",
  Checkpoint: "CHECKPOINT",
  Dataset: "DATASET",
  ModelEvaluation: "EVALUATION",
  Completion: "COMPLETION",
};

const EndingRef = builder.objectRef<Ending>("Ending").implement({
  description: "When something ends.",
  fields: (t) => ({
    expiresAt: t.expose("expiresAt", {
      type: "DateTime",
      nullable: true,
      description: "When it ends by itself; null for never.",
    }),
  }),
});

builder.mutationField("setExpiry", (t) =>
  t.field({
    type: EndingRef,
    description:
      "Sets, moves or clears the time at which something ends by itself: a run, a checkpoint, a dataset, an evaluation or a " +
      "completion. Needs the scope that creates such things. What is due is deleted within about a minute, as by its " +
      "delete mutation; what is in use or shared stays until it no longer is. Repeating it is safe.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ required: true, description: "Id of what is to end." }),
      expiry: t.arg({ type: ExpiryInput, required: true, description: "When." }),
    },
    resolve: async (_root, { id, expiry }, { store }) => {
      const kind = kinds[id.typename];
      const given = expiryOfInput(expiry, "expiry");
      if (kind && given) return store.expiries.set(kind, id.id, given);
      const message = `${id.typename} has no time at which it ends; ${Object.keys(kinds).join(", ")} have one`;
      throw new SteplogError("INVALID_ARGUMENT", `id: ${message}.`, [{ field: "id", message }]);
    },
  }),
);

// Of projects

const kept: Readonly<Record<KeptName, string>> = {
  fineTunes: "Runs, with all that is theirs.",
  checkpoints: "Checkpoints, the best and the last one too. While their run may still need them they stay.",
  datasets: "Datasets.",
  evaluations: "Evaluations that were asked for.",
  completions: "Completions. Without it, as the operator says.",
  weights:
    "Rebuilt weights and exports of checkpoints, since they were last asked for or downloaded. 0 keeps them. Without it, as " +
    "the operator says.",
};
const keptFields = Object.keys(keptNames) as KeptName[];

const ProjectKeepRef = builder.objectRef<Keep>("ProjectKeep").implement({
  description: "Seconds that a project keeps what it creates; null for no limit.",
  fields: (t) =>
    Object.fromEntries(
      keptFields.map((name) => {
        const resolve = (keep: Keep) => keep[keptNames[name]] ?? null;
        return [name, t.float({ nullable: true, description: kept[name], resolve })];
      }),
    ),
});

builder.objectField(ProjectRef, "keep", (t) =>
  t.field({
    type: ProjectKeepRef,
    description: "How long it keeps what it creates, unless a request says otherwise.",
    resolve: ({ keep }) => keep,
  }),
);

const ProjectKeepInput = builder.inputType("ProjectKeepInput", {
  description:
    "Seconds that a project keeps what it creates. Null takes a limit away; what is left out stays as it is.",
  fields: (t) => ({
    fineTunes: t.float({ description: kept.fineTunes, validate: seconds }),
    checkpoints: t.float({ description: kept.checkpoints, validate: seconds }),
    datasets: t.float({ description: kept.datasets, validate: seconds }),
    evaluations: t.float({ description: kept.evaluations, validate: seconds }),
    completions: t.float({ description: kept.completions, validate: seconds }),
    weights: t.float({ description: kept.weights, validate: z.number().min(0).max(longestTtl).nullish() }),
  }),
});

builder.mutationField("setProjectKeep", (t) =>
  t.field({
    type: ProjectKeepRef,
    description:
      "Sets how long a project keeps what it creates from now on, and returns all that holds. What is there stays as it is. " +
      "Needs the scope ADMIN of the project. Repeating it is safe.",
    complexity: queryCost,
    args: {
      project: t.arg.globalID({
        for: ProjectRef,
        description: "Id of the project. The key's own if left out; an operator may give any.",
      }),
      keep: t.arg({ type: ProjectKeepInput, required: true, description: "What to change." }),
    },
    resolve: (_root, { project, keep }, { store }) => {
      const changes = keptFields.flatMap((name) => (keep[name] === undefined ? [] : [[keptNames[name], keep[name]]]));
      return store.accounts.setKeep(Object.fromEntries(changes) as object, project?.id);
    },
  }),
);
