/**
 * Reads and checks what a client wants of a new run. Creating stops at the first refusal, an estimate collects them all: each
 * check is made by an `Attempt`.
 */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { needsOf } from "../../../dataset/fit.ts";
import { quote } from "../../../dataset/issues.ts";
import { SteplogError } from "../../../schema/errors.ts";
import type { Hyperparameters } from "../../../schema/hyperparameters.ts";
import { conflictingHyperparameters, contextTaken } from "../../../schema/hyperparameters.ts";
import { modelKindOf } from "../../../schema/model-kind.ts";
import { type PartNames, unmatchedLayers, unmatchedTensors } from "../../../schema/name-patterns.ts";
import type { BaseModel, Dataset } from "../../../schema/tables.ts";
import { counted } from "../../../schema/units.ts";
import type { NewFineTune, RunNote, ProjectStore } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import { invalidArgument } from "../../errors.ts";
import type { RowSettings } from "../../row-checks.ts";
import { checkRowsFitModel, compareWithTraining } from "../../row-checks.ts";
import { expiryOfInput } from "../expiry.ts";
import { requireBaseModel, requireDataset } from "../lookup.ts";
import type { NewRunInput } from "./create-fine-tune-input.ts";
import type { Parent } from "./fork.ts";
import { checkFork, requireParent } from "./fork.ts";
import { labelsOf } from "./labels.ts";
import { parseHyperparameters } from "./hyperparameters.ts";

/** Makes a check. `about` is the argument that it is about, if the issues of its error do not say so. */
export type Attempt = <T>(check: () => T | Promise<T>, about?: string) => Promise<T | null>;

/** The first refusal ends it. */
export const stopAtFirst: Attempt = async (check) => check();

export const uses = ["dataset", "validationDataset", "testDataset"] as const;
type Use = (typeof uses)[number];

/** Null is what was refused, or depends on it. */
export interface ReadRun {
  readonly parent: Parent | null;
  readonly hyperparameters: Hyperparameters | null;
  readonly baseModel: BaseModel | null;
  readonly datasets: Readonly<Record<Use, Dataset | null>>;
  readonly labelWords: readonly string[];
}

/** Nothing that a run needs was refused. */
export interface CheckedRun extends ReadRun {
  readonly hyperparameters: Hyperparameters;
  readonly baseModel: BaseModel;
  readonly datasets: Readonly<Record<Use, Dataset | null>> & { readonly dataset: Dataset };
}

export function isComplete(run: ReadRun): run is CheckedRun {
  return run.hyperparameters !== null && run.baseModel !== null && run.datasets.dataset !== null;
}

/** Looks up what the input names, and checks all but the rows. @throws NOT_FOUND, INVALID_ARGUMENT, unless `attempt` collects them */
export async function readRun(store: ProjectStore, input: NewRunInput, attempt: Attempt): Promise<ReadRun> {
  const { from, baseModel: name } = input;
  const parent = from ? await attempt(() => requireParent(store, from.id, "input.from")) : null;
  const given = { ...parent?.hyperparameters, ...withoutNulls(input.hyperparameters ?? {}) };
  const hyperparameters = await attempt(() => parseHyperparameters(given, ["input", "hyperparameters"]));
  const named = name == null ? null : await attempt(() => requireBaseModel(store, name, "input.baseModel"));
  if (parent && hyperparameters) await attempt(() => checkFork(parent, hyperparameters, named?.id ?? null));
  // What an unknown checkpoint would have given is not missing as well.
  const inherits = !from || parent !== null;
  const baseModel = named ?? (name == null && inherits ? await attempt(() => parentModel(store, parent)) : null);
  const datasets = await datasetsOf(store, input, parent, attempt);
  if (hyperparameters && baseModel) {
    const parts = await store.baseModels.parts(baseModel.id);
    const validated = datasets.validationDataset !== null || input.validationDataset != null;
    await attempt(() => checkSettings(hyperparameters, validated, baseModel, parts));
  }
  return { parent, hyperparameters, baseModel, datasets, labelWords: input.labelWords ?? parent?.run.labelWords ?? [] };
}

/** The row to store. */
export function newFineTune(input: NewRunInput, { parent, ...run }: CheckedRun): NewFineTune {
  const { dataset, validationDataset, testDataset } = run.datasets;
  return {
    idempotencyKey: input.idempotencyKey ?? null,
    name: input.name,
    baseModelId: run.baseModel.id,
    datasetId: dataset.id,
    validationDatasetId: validationDataset?.id ?? null,
    testDatasetId: testDataset?.id ?? null,
    labelWords: run.labelWords,
    calibrationPrompt:
      input.calibrationPrompt === undefined ? (parent?.run.calibrationPrompt ?? null) : input.calibrationPrompt,
    hyperparameters: run.hyperparameters,
    keepWeights: input.keepWeights ?? false,
    ...labelsOf(input),
    expiry: expiryOfInput(input.expiry, "input.expiry"),
    from: parent && { checkpointId: parent.checkpoint.id, firstStep: 0 },
  };
}

function withoutNulls(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, setting]) => setting != null));
}

async function parentModel(store: ProjectStore, parent: Parent | null): Promise<BaseModel> {
  const model = parent && (await store.baseModels.get(parent.run.baseModelId));
  return model ?? missing("baseModel");
}

function missing(name: string): never {
  throw invalidArgument([{ path: [name], message: "is required unless `from` names a checkpoint" }], ["input"]);
}

/** The datasets by their ids. A fork inherits those left out; null means none. */
async function datasetsOf(store: ProjectStore, input: NewRunInput, parent: Parent | null, attempt: Attempt) {
  const idOf = (use: Use, inherited: string | null | undefined) =>
    (input[use] === undefined ? inherited : input[use]?.id) ?? null;
  const find = async (use: Use, id: string | null) =>
    id === null ? null : attempt(() => requireDataset(store, id, `input.${use}`, datasetId));
  const trained = idOf("dataset", parent?.run.datasetId);
  if (trained === null && (parent !== null || !input.from)) await attempt(() => missing("dataset"));
  return {
    dataset: await find("dataset", trained),
    validationDataset: await find("validationDataset", idOf("validationDataset", parent?.run.validationDatasetId)),
    testDataset: await find("testDataset", idOf("testDataset", parent?.run.testDatasetId)),
  };
}

/** @throws INVALID_ARGUMENT for settings that do not go together, or not with the base model */
function checkSettings(
  settings: Hyperparameters,
  validated: boolean,
  { family, contextLength }: BaseModel,
  names: PartNames | null,
): void {
  const { objective, answerTokens } = settings;
  const issues = [...conflictingHyperparameters(settings, validated), ...unmatchedPatterns(settings, names)];
  if (contextTaken(settings) >= contextLength) {
    issues.push({
      path: ["prefixLength"],
      message: `leaves no room in the model's context of ${counted(contextLength, "token")}`,
    });
  }
  const answers = objective === "F1" || objective === "EXACT_MATCH";
  if (modelKindOf(family) === "masked" && (answers || answerTokens > 0)) {
    const message = `${family} is a masked language model, which cannot generate answers`;
    issues.push({ path: [answers ? "objective" : "answerTokens"], message });
  }
  if (issues.length > 0) throw invalidArgument(issues, ["input", "hyperparameters"]);
}

/** Patterns of the run's method that select nothing. Without names, the worker refuses them before the first step. */
function unmatchedPatterns({ method, tensors, loraTargets }: Hyperparameters, names: PartNames | null) {
  if (!names) return [];
  const found = {
    tensors: method === "FULL" ? unmatchedTensors(tensors, names) : null,
    loraTargets: method === "LORA" ? unmatchedLayers(loraTargets, names) : null,
  };
  return Object.entries(found).flatMap(([name, one]) =>
    one ? [{ path: [name, String(one.index)], message: `${one.seen}. ${one.advice}` }] : [],
  );
}

const roles = { dataset: "Training", validationDataset: "Validation", testDataset: "Test" } as const;

/**
 * Whether every row fits the base model, and classes are learned from more than one; what else there is to say of the rows.
 * @throws DATASET_INVALID, MODEL_INVALID, unless `attempt` collects them
 */
export async function checkAllRows(context: Context, run: CheckedRun, attempt: Attempt): Promise<RunNote[]> {
  const { truncate, objective } = run.hyperparameters;
  const taken = contextTaken(run.hyperparameters);
  const notes: RunNote[] = [];
  for (const use of uses) {
    const needs = use === "dataset" ? needsOf(objective) : null;
    const settings = { labelWords: run.labelWords, needs, taken, truncate };
    const found = (await attempt(() => checkRowsOf(context, run, use, settings), `input.${use}`)) ?? [];
    for (const { type, message } of found) {
      // Label words are the same for all rows.
      const known = type === "LABEL_WORDS" && notes.some((note) => note.message.endsWith(`: ${message}`));
      if (!known) notes.push({ type, message: `${roles[use]} rows: ${message}` });
    }
  }
  return notes;
}

async function checkRowsOf(
  context: Context,
  { baseModel, hyperparameters, datasets }: CheckedRun,
  use: Use,
  settings: RowSettings,
): Promise<readonly RunNote[]> {
  const dataset = datasets[use];
  if (!dataset) return [];
  const { notes, oneClass } = await checkRowsFitModel(context, baseModel, dataset, settings);
  if (settings.needs === "candidates" && oneClass !== null) throw refusedClass(oneClass, hyperparameters);
  return use === "dataset" ? notes : [...notes, ...(await compareWithTraining(context, datasets.dataset, dataset))];
}

function refusedClass(answer: string, { objective }: Hyperparameters): SteplogError {
  const message = `has the right answer ${quote(answer)} in every row, which leaves nothing to tell apart`;
  const advice = `${objective} needs rows of two or more classes; give such rows, or use the objective LOSS`;
  return new SteplogError("DATASET_INVALID", `The training dataset ${message}. ${advice}.`, [
    { field: "input.dataset", message: `${message}. ${advice}` },
  ]);
}

function datasetId(id: string): string {
  return encodeGlobalID("Dataset", id);
}
