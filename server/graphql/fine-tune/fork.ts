/**
 * Runs that go on from a checkpoint: forks, with data or settings of their own, and continuations, which go on as if the run
 * had been longer. They train what the checkpoint's run trained, with its noise, since they go on with its log.
 */
import { z } from "zod";
import type { Hyperparameters } from "../../../schema/hyperparameters.ts";
import { hyperparametersSchema } from "../../../schema/hyperparameters.ts";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import { isFinal } from "../../../schema/states.ts";
import type { Checkpoint, FineTune } from "../../../schema/tables.ts";
import type { NewFineTune, Store } from "../../../store/store.ts";
import { invalidArgument } from "../../errors.ts";
import { builder, queryCost } from "../builder.ts";
import { CreateFineTunePayload } from "./create-fine-tune-payload.ts";
import { requireCheckpoint, requireFineTune } from "../lookup.ts";
import { FineTuneRef } from "../nodes.ts";

export interface Parent {
  readonly checkpoint: Checkpoint;
  readonly run: FineTune;
  readonly hyperparameters: Hyperparameters;
}

export async function requireParent(store: Store, id: string, field: string): Promise<Parent> {
  const checkpoint = await requireCheckpoint(store, id, field);
  const run = await requireFineTune(store, checkpoint.fineTuneId, field);
  return { checkpoint, run, hyperparameters: hyperparametersSchema.parse(run.hyperparameters) };
}

/** What a log's header fixes. */
const fixed = ["method", "tensors", "loraRank", "loraAlpha", "loraTargets", "prefixLength", "noise"] as const;

/** @throws INVALID_ARGUMENT naming each setting that a run from this checkpoint cannot have */
export function checkFork(parent: Parent, hyperparameters: Hyperparameters, baseModelId: string | null): void {
  const issues = fixed
    .filter((name) => JSON.stringify(hyperparameters[name]) !== JSON.stringify(parent.hyperparameters[name]))
    .map((name) => {
      const was = JSON.stringify(parent.hyperparameters[name]);
      return { path: ["hyperparameters", name], message: `is ${was} in the log that is gone on with; leave it out` };
    });
  const other = baseModelId !== null && baseModelId !== parent.run.baseModelId;
  const base = { path: ["baseModel"], message: "is another than the checkpoint's; leave it out" };
  if (other || issues.length > 0) throw invalidArgument(other ? [base, ...issues] : issues, ["input"]);
}

const ContinueFineTuneInput = builder.inputType("ContinueFineTuneInput", {
  description: "More steps for a run that has ended.",
  fields: (t) => ({
    fineTune: t.globalID({ for: FineTuneRef, required: true, description: "The run." }),
    steps: t.int({
      required: true,
      description: `Steps more, 1 to ${limits.steps}.`,
      validate: z.int().min(1).max(limits.steps),
    }),
    name: t.string({
      description: `Name for people, 1 to ${limits.nameLength} characters; the run's own when left out.`,
      validate: z.string().trim().min(1).max(limits.nameLength).nullish(),
    }),
    idempotencyKey: t.string({
      description: "As of createFineTune.",
      validate: z.string().min(1).max(limits.idempotencyKeyLength).nullish(),
    }),
  }),
});

builder.mutationField("continueFineTune", (t) =>
  t.field({
    type: CreateFineTunePayload,
    description:
      "Queues a run that goes on where another has ended, from its last checkpoint: with its data, settings and learning " +
      "rate, and the rows that come next. With a constant schedule it is what the longer run would have been, bit for bit. " +
      "A run that has not ended, or has no checkpoint, is INVALID_STATE.",
    complexity: queryCost,
    args: { input: t.arg({ type: ContinueFineTuneInput, required: true, description: "The run." }) },
    resolve: async (_root, { input }, { store }) => {
      const run = await requireFineTune(store, input.fineTune.id, "input.fineTune");
      const [checkpoint] = await store.checkpoints.list(run.id, { limit: 1 });
      if (!isFinal(run.status) || !checkpoint) throw notEnded(run);
      return store.fineTunes.create({
        ...continuation(run, checkpoint, input.steps),
        idempotencyKey: input.idempotencyKey ?? null,
        name: input.name ?? run.name,
      });
    },
  }),
);

/** The rate that AUTO picked stays, and what was warm needs no warm-up. */
function continuation(
  run: FineTune,
  checkpoint: Checkpoint,
  steps: number,
): Omit<NewFineTune, "idempotencyKey" | "name"> {
  const { baseModelId, datasetId, validationDatasetId, testDatasetId, labelWords, calibrationPrompt, keepWeights } =
    run;
  const hyperparameters = hyperparametersSchema.parse(run.hyperparameters);
  const learningRate = run.pickedRate ?? hyperparameters.learningRate;
  return {
    baseModelId,
    datasetId,
    validationDatasetId,
    testDatasetId,
    labelWords,
    calibrationPrompt,
    keepWeights,
    hyperparameters: { ...hyperparameters, learningRate, warmupSteps: 0, inContextRows: 0, linearProbe: false, steps },
    from: { checkpointId: checkpoint.id, firstStep: run.firstStep + checkpoint.step },
  };
}

function notEnded(run: FineTune): SteplogError {
  const seen = isFinal(run.status) ? "has no checkpoint" : `is ${run.status}`;
  const advice = isFinal(run.status)
    ? "Create it anew."
    : "Wait for its end, or cancel it; a fork (createFineTune with `from`) can begin at a checkpoint of it now.";
  return new SteplogError("INVALID_STATE", `Fine-tune ${run.id} ${seen}, so it cannot be continued. ${advice}`);
}
