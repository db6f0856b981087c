/** estimateFineTune: what a run would take, and everything that would be refused. It creates nothing. */
import { z } from "zod";
import { SteplogError, asSteplogError } from "../../../schema/errors.ts";
import type { ErrorCode } from "../../../schema/errors.ts";
import type { PlannedRun } from "../../../schema/estimate.ts";
import { toldToClients } from "../../../schema/folders-in-messages.ts";
import { measureWait } from "../../../schema/limits.ts";
import type { Dataset } from "../../../schema/tables.ts";
import { lackedBy, trainingNeeds, withFiles } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import { withModelFolder } from "../../model-folder.ts";
import { countRun } from "../../run-counts.ts";
import type { Asked, WorkerSeconds } from "../../run-seconds.ts";
import { secondsByWorker } from "../../run-seconds.ts";
import { rowsOf } from "../../stored-rows.ts";
import { builder, queryCost } from "../builder.ts";
import { CreateFineTuneInput } from "./create-fine-tune-input.ts";
import type { NewRunInput } from "./create-fine-tune-input.ts";
import type { FineTuneEstimate, Refusal } from "./estimate-types.ts";
import { FineTuneEstimateRef } from "./estimate-types.ts";
import type { Attempt, CheckedRun } from "./read-run.ts";
import { checkAllRows, isComplete, newFineTune, readRun } from "./read-run.ts";

builder.queryField("estimateFineTune", (t) =>
  t.field({
    type: FineTuneEstimateRef,
    description:
      "What a run would take, and everything for which createFineTune would refuse it. Creates nothing, and leaves nothing " +
      "in the queue.",
    complexity: queryCost * 10,
    args: {
      input: t.arg({ type: CreateFineTuneInput, required: true, description: "The run." }),
      waitSeconds: t.arg.int({
        defaultValue: measureWait.usualS,
        description:
          `How long idle workers may measure, 0 to ${measureWait.mostS} seconds; default ${measureWait.usualS}. 0 asks none of ` +
          "them. What they measured before is known at once.",
        validate: z.int().min(0).max(measureWait.mostS).nullish(),
      }),
    },
    resolve: (_root, { input, waitSeconds }, context) => estimateRun(context, input, waitSeconds ?? measureWait.usualS),
  }),
);

async function estimateRun(context: Context, input: NewRunInput, waitS: number): Promise<FineTuneEstimate> {
  const { store } = context;
  const { attempt, refusals } = collecting();
  const run = await readRun(store, input, attempt);
  if (!isComplete(run)) return { refusals, notes: [], ...unknown };
  await attempt(() => store.fineTunes.refuseUsedKey(newFineTune(input, run)), "input.idempotencyKey");
  const notes = (await checkAllRows(context, run, attempt)).map(({ message }) => message);
  // Whatever is refused by now would be refused again.
  const { counts, uncounted } = refusals.length === 0 ? await counted(context, input, run, attempt) : notCounted;
  const needs = trainingNeeds(run.hyperparameters, run.baseModel, await store.baseModels.parts(run.baseModel.id));
  const all = (await store.workers.list()).map((worker) => ({ worker, lacks: lackedBy(worker, "FINE_TUNE", needs) }));
  const able = all.flatMap(({ worker, lacks }) => (lacks.length === 0 ? [worker] : []));
  const measurement = measurementOf(input, run);
  const { baseModel } = run;
  const times = counts
    ? await secondsByWorker(context, able, { counts, baseModel, needs, measurement, waitS })
    : new Map<string, WorkerSeconds>();
  const workers = all.map(({ worker, lacks }) => ({
    worker,
    lacks,
    ...(times.get(worker.name) ?? { seconds: null, unmeasured: null }),
  }));
  const storedWeightsBytes = counts && (input.keepWeights ? counts.weightsBytes : 0);
  const memoryBytes = needs.memoryBytes ?? null;
  return { refusals, notes, counts, uncounted, memoryBytes, storedWeightsBytes, workers };
}

const notCounted = { counts: null, uncounted: null };
const unknown = { ...notCounted, memoryBytes: null, storedWeightsBytes: null, workers: [] };

/** Checks whose refusals are kept. Failures that are not the client's end it all the same. */
export function collecting(): { readonly attempt: Attempt; readonly refusals: readonly Refusal[] } {
  const refusals: Refusal[] = [];
  const attempt: Attempt = async (check, about) => {
    try {
      return await check();
    } catch (error) {
      const { code, message, issues } = toldToClients(asSteplogError(error));
      if (!(error instanceof SteplogError) || !refusing.has(code)) throw error;
      refusals.push({ code, message, issues, argument: about ?? null });
      return null;
    }
  };
  return { attempt, refusals };
}

/** Codes of what the input causes. */
const refusing = new Set<ErrorCode>([
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "CONFLICT",
  "DATASET_INVALID",
  "MODEL_INVALID",
  "MODEL_UNSUPPORTED",
]);

/**
 * What a worker would refuse before the first step is refused here too. What this gateway cannot read, such as a model that
 * only workers have, is not: then nothing is counted.
 */
async function counted(context: Context, input: NewRunInput, run: CheckedRun, attempt: Attempt) {
  try {
    const counts = await withModelFolder(context, run.baseModel, (folder) =>
      withFiles(rowsOf(context.store), async (pathOf) =>
        countRun(context, await plannedRun(folder, pathOf, input, run)),
      ),
    );
    return { counts, uncounted: null };
  } catch (error) {
    if (!(error instanceof SteplogError) || error.code === "UNAVAILABLE") throw error;
    const { code, message, issues } = error;
    if (issues.length === 0 || !blamed.has(code)) return { counts: null, uncounted: `${code}: ${message}` };
    // The engine's fields start at the run.
    const named = issues.map((issue) =>
      issue.field === undefined ? issue : { ...issue, field: `input.${issue.field}` },
    );
    await attempt(() => Promise.reject(new SteplogError(code, message, named, { cause: error })));
    return notCounted;
  }
}

const blamed = new Set<ErrorCode>(["INVALID_ARGUMENT", "DATASET_INVALID"]);

function measurementOf(input: NewRunInput, run: CheckedRun): Asked["measurement"] {
  const { dataset, validationDataset, testDataset } = run.datasets;
  const { labelWords, calibrationPrompt, hyperparameters } = newFineTune(input, run);
  return {
    training: dataset.sha256,
    validation: validationDataset?.sha256 ?? null,
    test: testDataset?.sha256 ?? null,
    labelWords: [...labelWords],
    calibrationPrompt: calibrationPrompt ?? null,
    hyperparameters,
  };
}

async function plannedRun(
  modelPath: string,
  pathOf: (dataset: Dataset) => Promise<string>,
  input: NewRunInput,
  run: CheckedRun,
): Promise<PlannedRun> {
  const { dataset, validationDataset, testDataset } = run.datasets;
  const { labelWords, calibrationPrompt, hyperparameters } = newFineTune(input, run);
  return {
    modelPath,
    datasetPath: await pathOf(dataset),
    validationPath: validationDataset && (await pathOf(validationDataset)),
    testPath: testDataset && (await pathOf(testDataset)),
    labelWords,
    calibrationPrompt: calibrationPrompt ?? null,
    hyperparameters,
  };
}
