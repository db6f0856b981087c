/**
 * Runs that start from a checkpoint: forks, with other data or settings, and continuations, which are as if the run had
 * been longer. Both continue the log of the checkpoint's run, so they train the same tensors with the same noise.
 */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import { hyperparameterEntries } from "../../../schema/hyperparameter-table.ts";
import type { Hyperparameters } from "../../../schema/hyperparameters.ts";
import { settingsOf, warmupAfter } from "../../../schema/hyperparameters.ts";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import { isFinal } from "../../../schema/states.ts";
import type { Checkpoint, FineTune } from "../../../schema/tables.ts";
import type { NewFineTune, ProjectStore } from "../../../store/store.ts";
import { invalidArgument } from "../../errors.ts";
import { builder, queryCost } from "../builder.ts";
import { CreateFineTunePayload } from "./create-fine-tune-payload.ts";
import { notFound, requireCheckpoint, requireFineTune } from "../lookup.ts";
import { FineTuneRef } from "../nodes.ts";

export interface Parent {
  readonly checkpoint: Checkpoint;
  readonly run: FineTune;
  readonly hyperparameters: Hyperparameters;
}

export async function requireParent(store: ProjectStore, id: string, field: string): Promise<Parent> {
  const checkpoint = await requireCheckpoint(store, id, field);
  const run = await store.checkpoints.runOf(checkpoint);
  if (!run) return notFound(field, "The run of this checkpoint is gone.");
  return { checkpoint, run, hyperparameters: settingsOf(run) };
}

/** @throws INVALID_ARGUMENT naming each setting that a run from this checkpoint cannot have */
export function checkFork(parent: Parent, hyperparameters: Hyperparameters, baseModelId: string | null): void {
  const issues = hyperparameterEntries
    .filter(([name, { fixedByLog }]) => fixedByLog && !isSame(hyperparameters[name], parent.hyperparameters[name]))
    .map(([name]) => {
      const was = JSON.stringify(parent.hyperparameters[name]);
      return { path: ["hyperparameters", name], message: `is ${was} in the log that the fork continues; leave it out` };
    });
  const other = baseModelId !== null && baseModelId !== parent.run.baseModelId;
  const base = { path: ["baseModel"], message: "differs from that of the checkpoint's run; leave it out" };
  if (other || issues.length > 0) throw invalidArgument(other ? [base, ...issues] : issues, ["input"]);
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const ContinueFineTuneInput = builder.inputType("ContinueFineTuneInput", {
  description: "More steps for a run that has ended.",
  fields: (t) => ({
    fineTune: t.globalID({ for: FineTuneRef, required: true, description: "The run." }),
    steps: t.int({
      required: true,
      description: `Number of further steps, 1 to ${limits.steps}.`,
      validate: z.int().min(1).max(limits.steps),
    }),
    maxSeconds: t.int({
      description:
        "Seconds of its own training after which the new run ends, as the setting of that name; 0 for no limit. Default: " +
        "that of the run.",
      validate: z.int().min(0).max(limits.trainingSeconds).nullish(),
    }),
    name: t.string({
      description: `Name of the new run, 1 to ${limits.nameLength} characters. Default: the same name.`,
      validate: z.string().trim().min(1).max(limits.nameLength).nullish(),
    }),
    idempotencyKey: t.string({
      description: "As in createFineTune.",
      validate: z.string().min(1).max(limits.idempotencyKeyLength).nullish(),
    }),
  }),
});

builder.mutationField("continueFineTune", (t) =>
  t.field({
    type: CreateFineTunePayload,
    description:
      "Queues a run that continues another from its last checkpoint, with its data and settings, and the rows that come " +
      "next. With a constant schedule, the learning rate stays too, and the result is what one longer run would have " +
      "been, bit for bit, if its warm-up was over and its number of estimates does not change (estimatesAtEnd). What was " +
      "not over starts anew, and so does a rate that has fallen to 0 by another schedule: AUTO chooses it anew. " +
      "INVALID_STATE if the run has not ended, or has no checkpoint.",
    complexity: queryCost,
    args: { input: t.arg({ type: ContinueFineTuneInput, required: true, description: "The run." }) },
    resolve: async (_root, { input }, { store }) => {
      const run = await requireFineTune(store, input.fineTune.id, "input.fineTune");
      const [checkpoint] = await store.checkpoints.list(run.id, { limit: 1 });
      if (!isFinal(run.status) || !checkpoint) throw notEnded(run);
      return store.fineTunes.create({
        ...continuation(run, checkpoint, {
          steps: input.steps,
          ...(input.maxSeconds != null && { maxSeconds: input.maxSeconds }),
        }),
        idempotencyKey: input.idempotencyKey ?? null,
        name: input.name ?? run.name,
      });
    },
  }),
);

/** It repeats no baselines, and no warm-up that was over. */
function continuation(
  run: FineTune,
  checkpoint: Checkpoint,
  more: Pick<Hyperparameters, "steps"> & Partial<Pick<Hyperparameters, "maxSeconds">>,
): Omit<NewFineTune, "idempotencyKey" | "name"> {
  const { baseModelId, datasetId, validationDatasetId, testDatasetId, labelWords, calibrationPrompt, keepWeights } =
    run;
  const hyperparameters = settingsOf(run);
  // A rate that AUTO chose for a number of steps, in which it fell to 0, says nothing of further ones.
  const picked = hyperparameters.schedule === "CONSTANT" ? run.pickedRate : null;
  const learningRate = picked ?? hyperparameters.learningRate;
  return {
    baseModelId,
    datasetId,
    validationDatasetId,
    testDatasetId,
    labelWords,
    calibrationPrompt,
    keepWeights,
    hyperparameters: {
      ...hyperparameters,
      learningRate,
      warmupSteps: warmupAfter(checkpoint.step, hyperparameters, more.steps),
      inContextRows: 0,
      linearProbe: false,
      ...more,
    },
    from: { checkpointId: checkpoint.id, firstStep: run.firstStep + checkpoint.step },
  };
}

function notEnded(run: FineTune): SteplogError {
  const seen = isFinal(run.status) ? "has no checkpoint" : `is ${run.status}`;
  const advice = isFinal(run.status)
    ? "Create a new run."
    : "Wait until it ends, or cancel it. A fork (createFineTune with `from`) can start from one of its checkpoints now.";
  return new SteplogError(
    "INVALID_STATE",
    `Fine-tune ${encodeGlobalID("FineTune", run.id)} ${seen}, so it cannot be continued. ${advice}`,
  );
}
