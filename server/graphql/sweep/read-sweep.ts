/** Reads and checks what a client wants of a new sweep: every run of it is checked as createFineTune checks one. */
import { SteplogError, withIssues } from "../../../schema/errors.ts";
import type { InputIssue } from "../../../schema/errors.ts";
import { type HyperparameterName, hyperparameterEntries } from "../../../schema/hyperparameter-table.ts";
import { hyperparametersSchema } from "../../../schema/hyperparameters.ts";
import { limits } from "../../../schema/limits.ts";
import { passesOfRun } from "../../../schema/passes.ts";
import { type GivenSettings, combinationsOf, sizeOfGrid, variedIn, variedInWords } from "../../../schema/sweep.ts";
import { unusedSettings } from "../../../schema/unused-settings.ts";
import type { NewFineTune, NewSweep, RunNote } from "../../../store/store.ts";
import type { Context } from "../../context.ts";
import type { NewRunInput } from "../fine-tune/create-fine-tune-input.ts";
import {
  type Attempt,
  type CheckedRun,
  checkAllRows,
  hasRows,
  isComplete,
  newFineTune,
  readRun,
} from "../fine-tune/read-run.ts";
import type { NewSweepInput } from "./inputs.ts";

/** The runs that were not refused, and which settings vary. */
export interface ReadSweep {
  readonly varied: readonly HyperparameterName[];
  readonly runs: readonly { readonly input: NewRunInput; readonly run: CheckedRun }[];
  /** How many there are to be. */
  readonly wanted: number;
}

/** Checks all but the rows. @throws as createFineTune, with the run that is wrong, unless `attempt` collects it */
export async function readSweep(context: Context, input: NewSweepInput, attempt: Attempt): Promise<ReadSweep> {
  const given = (await attempt(() => givenIn(input))) ?? [];
  const varied = variedIn(given);
  const shared = usedByAny(input.run, given);
  const runs: ReadSweep["runs"][number][] = [];
  for (const [index, settings] of given.entries()) {
    const words = variedInWords(settings, varied);
    const one = inputOf(input.run, settings, words);
    const about: Attempt = (check, argument) => attempt(() => ofRun(index, words, check), argument);
    const run = await readRun(context.store, one, about, new Set(shared.filter((name) => settings[name] == null)));
    if (isComplete(run)) runs.push({ input: one, run });
  }
  return { varied, runs, wanted: given.length };
}

/** What the runs share and one of them uses at least: a rank of adapters, say, where the method varies. */
function usedByAny(run: NewRunInput, given: readonly GivenSettings[]): HyperparameterName[] {
  const common = withoutNulls(run.hyperparameters ?? {});
  const names = hyperparameterEntries.flatMap(([name]) => (common[name] === undefined ? [] : [name]));
  const rows = { validated: hasRows("validationDataset", run), tested: hasRows("testDataset", run) };
  const used = given.flatMap((settings) => {
    const { data } = hyperparametersSchema.safeParse({ ...common, ...settings });
    const unused = new Set(
      data && unusedSettings(names, { hyperparameters: data, ...rows }).map(({ path: [name] }) => name),
    );
    return names.filter((name) => data === undefined || !unused.has(name));
  });
  return [...new Set(used)];
}

/** The settings of each run that are not those of all. @throws INVALID_ARGUMENT */
function givenIn({ run, vary: { grid, list } }: NewSweepInput): readonly GivenSettings[] {
  if (run.idempotencyKey != null)
    throw refused("input.run.idempotencyKey", "must be left out: the sweep has one for all of its runs");
  const field = grid ? "input.vary.grid" : "input.vary.list";
  const size = grid ? sizeOfGrid(grid) : (list?.length ?? 0);
  if (size === 0) throw refused(field, "must have one run at least");
  if (size > limits.sweepRuns)
    throw refused(field, `has ${size} runs, and a sweep has ${limits.sweepRuns} at most; leave out values`);
  const given = grid ? combinationsOf(grid) : (list ?? []).map(withoutNulls);
  const seen = new Map<string, number>();
  for (const [index, one] of given.entries()) {
    const key = JSON.stringify(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const first = seen.get(key);
    if (first !== undefined) throw refused(field, `gives the runs ${first + 1} and ${index + 1} the same settings`);
    seen.set(key, index);
  }
  return given;
}

function refused(field: string, message: string): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", `${field} ${message}.`, [{ field, message }]);
}

const withoutNulls = (settings: object): GivenSettings =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value != null));

function inputOf(run: NewRunInput, settings: GivenSettings, words: string): NewRunInput {
  const name = words === "" ? run.name : `${run.name}: ${words}`;
  return {
    ...run,
    name: name.slice(0, limits.nameLength),
    hyperparameters: { ...run.hyperparameters, ...settings } as NewRunInput["hyperparameters"],
  };
}

/** What is refused says of which run. */
async function ofRun<Value>(index: number, words: string, check: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof SteplogError)) throw error;
    const which = words === "" ? "" : `Run ${index + 1} (${words}): `;
    throw withIssues(error, error.issues.map(underRun), `${which}${error.message}`);
  }
}

const underRun = (issue: InputIssue): InputIssue =>
  issue.field === undefined ? issue : { ...issue, field: issue.field.replace(/^input\b/u, "input.run") };

/** Rows are checked once for all runs that read them alike. @throws DATASET_INVALID, MODEL_INVALID, unless collected */
export async function checkRowsOfSweep(context: Context, { runs }: ReadSweep, attempt: Attempt): Promise<RunNote[][]> {
  const checked = new Map<string, RunNote[]>();
  const notes: RunNote[][] = [];
  for (const [index, { run }] of runs.entries()) {
    const { truncate, objective, method, prefixLength, linearProbe } = run.hyperparameters;
    const key = JSON.stringify([truncate, objective, method, prefixLength, linearProbe]);
    const about: Attempt = (check, argument) =>
      attempt(() => ofRun(index, "", check), argument?.replace("input", "input.run"));
    const found = checked.get(key) ?? (await checkAllRows(context, run, about));
    checked.set(key, found);
    notes.push(found);
  }
  return notes;
}

export function newSweep(input: NewSweepInput, { varied, runs }: ReadSweep, notes: readonly RunNote[][]): NewSweep {
  const made = runs.map(({ input: one, run }, index): NewFineTune => ({
    ...newFineTune(one, run),
    notes: notes[index] ?? [],
  }));
  return { idempotencyKey: input.idempotencyKey ?? null, name: input.name, varied, runs: made };
}

/** Forward passes of the steps of all runs. */
export function passesOfSweep(runs: ReadSweep["runs"]): number {
  return runs.reduce((sum, { run }) => sum + passesOfRun(run.hyperparameters), 0);
}
