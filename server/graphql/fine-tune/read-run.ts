/**
 * Reads and checks what a client wants of a new run. Creating stops at the first refusal, an estimate collects them all: each
 * check is made by an `Attempt`.
 */
import { encodeGlobalID } from "@pothos/plugin-relay";
import { needsOf } from "../../../dataset/fit.ts";
import { quote } from "../../../dataset/issues.ts";
import { SteplogError } from "../../../schema/errors.ts";
import type { HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import type { HyperparameterIssue, Hyperparameters } from "../../../schema/hyperparameters.ts";
import { conflictingHyperparameters, contextTaken } from "../../../schema/hyperparameters.ts";
import { modelKindOf } from "../../../schema/model-kind.ts";
import { type PartNames, unmatchedLayers, unmatchedTensors } from "../../../schema/name-patterns.ts";
import type { BaseModel, Dataset } from "../../../schema/tables.ts";
import { counted } from "../../../schema/units.ts";
import type { Choices, RowFindings } from "../../../schema/row-findings.ts";
import { unusedSettings } from "../../../schema/unused-settings.ts";
import type { NewFineTune, RunNote, ProjectStore } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import { invalidArgument } from "../../errors.ts";
import type { RowSettings } from "../../row-checks.ts";
import { checkRowsFitModel, compareWithTraining } from "../../row-checks.ts";
import { expiryOfInput } from "../expiry.ts";
import { requireBaseModel, requireDataset } from "../lookup.ts";
import { refuseCalibration, refuseProbe } from "./check-choices.ts";
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
  /** As it is given: that of a fork's run is not judged. */
  readonly givenCalibration: string | null;
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

/**
 * Looks up what the input names, and checks all but the rows.
 * @param shared settings that the run may do without, as other runs of its sweep use them
 * @throws NOT_FOUND, INVALID_ARGUMENT, unless `attempt` collects them
 */
export async function readRun(
  store: ProjectStore,
  input: NewRunInput,
  attempt: Attempt,
  shared: ReadonlySet<HyperparameterName> = new Set(),
): Promise<ReadRun> {
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
    const rows = {
      validated: hasRows("validationDataset", input, datasets),
      tested: hasRows("testDataset", input, datasets),
    };
    const unused = unusedSettings(Object.keys(withoutNulls(input.hyperparameters ?? {})), { hyperparameters, ...rows });
    const wrong = unused.filter(({ path: [one] }) => !shared.has(one));
    await attempt(() => checkSettings(hyperparameters, rows.validated, baseModel, parts, wrong));
  }
  const labelWords = input.labelWords ?? parent?.run.labelWords ?? [];
  return {
    parent,
    hyperparameters,
    baseModel,
    datasets,
    labelWords,
    givenCalibration: input.calibrationPrompt ?? null,
  };
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

/** Also if what the input names was refused: that is told by itself. */
export function hasRows(use: Use, input: NewRunInput, datasets?: ReadRun["datasets"]): boolean {
  return (datasets?.[use] ?? null) !== null || input[use] != null;
}

/**
 * @param unused what is wrong with settings that the run does not use
 * @throws INVALID_ARGUMENT for these, and for settings that do not go together, or not with the base model
 */
function checkSettings(
  settings: Hyperparameters,
  validated: boolean,
  { family, contextLength }: BaseModel,
  names: PartNames | null,
  unused: readonly HyperparameterIssue[],
): void {
  const { objective, answerTokens } = settings;
  const issues = [...unused, ...conflictingHyperparameters(settings, validated), ...unmatchedPatterns(settings, names)];
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
 * Whether every row fits the base model, classes are learned from more than one, and rows have the candidates that the run
 * wants to use; what else there is to say of the rows.
 * @throws DATASET_INVALID, MODEL_INVALID, INVALID_ARGUMENT, unless `attempt` collects them
 */
export async function checkAllRows(context: Context, run: CheckedRun, attempt: Attempt): Promise<RunNote[]> {
  const { truncate, objective } = run.hyperparameters;
  const taken = contextTaken(run.hyperparameters);
  const notes: RunNote[] = [];
  const choices: Partial<Record<Use, Choices>> = {};
  for (const use of uses) {
    const needs = use === "dataset" ? needsOf(objective) : null;
    const settings = { labelWords: run.labelWords, needs, taken, truncate };
    const found = await attempt(() => checkRowsOf(context, run, use, settings), `input.${use}`);
    if (found) choices[use] = found.choices;
    for (const { type, message } of found?.notes ?? []) {
      // Label words are the same for all rows.
      const known = type === "LABEL_WORDS" && notes.some((note) => note.message.endsWith(`: ${message}`));
      if (!known) notes.push({ type, message: `${roles[use]} rows: ${message}` });
    }
  }
  await attempt(() => refuseProbe(run.hyperparameters, choices));
  await attempt(() => refuseCalibration(run.givenCalibration, Object.values(choices)));
  return notes;
}

type FoundRows = Pick<RowFindings, "notes" | "choices">;

async function checkRowsOf(
  context: Context,
  { baseModel, hyperparameters, datasets }: CheckedRun,
  use: Use,
  settings: RowSettings,
): Promise<FoundRows | null> {
  const dataset = datasets[use];
  if (!dataset) return null;
  const { notes, oneClass, choices } = await checkRowsFitModel(context, baseModel, dataset, settings);
  if (settings.needs === "candidates" && oneClass !== null) throw refusedClass(oneClass, hyperparameters);
  const shared = use === "dataset" ? [] : await compareWithTraining(context, datasets.dataset, dataset);
  return { notes: [...notes, ...shared], choices };
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
