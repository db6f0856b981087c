/** A run's datasets, read and tokenised once: the objective on the training rows, and the rows to evaluate. */
import { createReadStream } from "node:fs";
import { areSameWords } from "../../dataset/findings.ts";
import type { ModelBounds } from "../../dataset/encode.ts";
import { encodeText, promptCut, roomIn } from "../../dataset/encode.ts";
import { encodeRows, needsOf } from "../../dataset/fit.ts";
import { EndsOfTurns } from "../../dataset/ends.ts";
import type { Row } from "../../dataset/jsonl.ts";
import { readRows } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { loadOptionalTokenizer } from "../../dataset/tokenizer.ts";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { PlannedRun, RowTokens } from "../../schema/estimate.ts";
import type { Truncation } from "../../schema/hyperparameter-table.ts";
import { contextTaken } from "../../schema/hyperparameters.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { answerObjective, questionOf } from "../objective/answers.ts";
import { choiceEncoder, choiceObjective } from "../objective/choices.ts";
import type { EvaluationSet, EvaluationSettings, PreparedRow } from "../objective/evaluate.ts";
import { prepareEvaluation } from "../objective/evaluate.ts";
import { InContextExamples } from "../objective/in-context.ts";
import type { Probe } from "../objective/linear-probe.ts";
import type { Objective } from "../objective/objective.ts";
import { tokenLoss } from "../objective/objective.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import { watchedTokenizer } from "../thread/foreign.ts";
import type { StopCheck } from "../thread/stopping.ts";
import { type RowFile, WarmInputs } from "./warm-inputs.ts";

/** What a run's data depends on, but for its model. */
type DataRequest = Omit<PlannedRun, "modelPath">;

export interface RunData {
  readonly objective: Objective;
  readonly validation: EvaluationSet | null;
  readonly test: EvaluationSet | null;
  /** The validation rows with examples before their prompts. */
  readonly inContext: EvaluationSet | null;
  readonly probe: Probe | null;
  /** What the training rows will not teach; null for nothing. */
  readonly endNote: string | null;
  /** Tokens of each training row. */
  readonly lengths: Uint32Array;
  readonly tokens: {
    readonly training: RowTokens;
    readonly validation: RowTokens | null;
    readonly test: RowTokens | null;
  };
}

/** @throws DATASET_INVALID, MODEL_INVALID; INVALID_ARGUMENT for settings that need other rows */
export async function readData(
  request: DataRequest,
  folder: ModelFolder,
  check: Pick<StopCheck, "now">,
  calls: ForeignCalls,
  warm = new WarmInputs(),
): Promise<RunData> {
  const { labelWords, calibrationPrompt, hyperparameters } = request;
  const rules = { ...hyperparameters, labelWords, calibrationPrompt, taken: contextTaken(hyperparameters) };
  const files = rowFilesOf(request);
  const { taken, truncate } = rules;
  const inputs = await warm.open(folder.path, Object.values(files).filter(isGiven), { labelWords, taken, truncate });
  const settings = await rowSettings(rules, folder, calls, (load) => inputs.tokenizer(load));
  const { tokenizer, bounds } = settings;
  const read = (file: RowFile) => inputs.rows(file, () => readPrepared(file, settings, check));
  const training = await read(files.training);
  const validation = files.validation && (await read(files.validation));
  const test = files.test && (await read(files.test));
  const inContext = validation && tokenizer && withExamples(request, bounds, tokenizer, { training, validation });
  return {
    objective: objectiveOf(request, training, settings),
    validation: validation && prepareEvaluation(validation, settings),
    test: test && prepareEvaluation(test, settings),
    inContext: inContext && prepareEvaluation(inContext, settings),
    endNote: endNoteOf(training),
    lengths: Uint32Array.from(training, ({ encoded }) => encoded.ids.length),
    tokens: {
      training: tokensOf(training),
      validation: validation && tokensOf(validation),
      test: test && tokensOf(test),
    },
    probe: validation && hyperparameters.linearProbe ? probeOf(training, validation, labelWords) : null,
  };
}

function rowFilesOf({ datasetPath, validationPath, testPath, hyperparameters }: DataRequest) {
  const evaluated = (path: string | null): RowFile | null => (path === null ? null : { path, needs: null });
  const training: RowFile = { path: datasetPath, needs: needsOf(hyperparameters.objective) };
  return { training, validation: evaluated(validationPath), test: evaluated(testPath) };
}

const isGiven = (file: RowFile | null) => file !== null;

/** How rows are read, and what is measured. */
export interface RowRules extends Pick<EvaluationSettings, "labelWords" | "calibrationPrompt" | "answerTokens"> {
  readonly truncate: Truncation;
  /** Positions of the context that an adapter takes. */
  readonly taken: number;
}

/** Rows to evaluate as a run does. @throws DATASET_INVALID, MODEL_INVALID */
export async function readEvaluation(
  path: string,
  rules: RowRules,
  folder: ModelFolder,
  check: Pick<StopCheck, "now">,
  calls: ForeignCalls,
): Promise<EvaluationSet> {
  const settings = await rowSettings(rules, folder, calls);
  return prepareEvaluation(await readPrepared({ path, needs: null }, settings, check), settings);
}

type LoadTokenizer = () => Promise<Tokenizer | null>;

/** @param kept a tokenizer that is kept, or else the one that is loaded */
async function rowSettings(
  rules: RowRules,
  { path, architecture }: ModelFolder,
  calls: ForeignCalls,
  kept = (load: LoadTokenizer) => load(),
) {
  const { labelWords, calibrationPrompt, answerTokens, taken, truncate } = rules;
  const loaded = await kept(() => loadMarked(path, calls));
  const tokenizer = loaded && watchedTokenizer(loaded, calls);
  const { kind } = architecture;
  const bounds = { ...architecture, taken, truncate };
  return { tokenizer, kind, labelWords, calibrationPrompt, answerTokens, bounds };
}

async function loadMarked(folder: string, calls: ForeignCalls): Promise<Tokenizer | null> {
  calls.begin();
  try {
    return await loadOptionalTokenizer(folder);
  } finally {
    calls.end();
  }
}

type RunSettings = EvaluationSettings & { readonly bounds: ModelBounds };

async function readPrepared(
  { path, needs }: RowFile,
  { tokenizer, labelWords, bounds }: RunSettings,
  check: Pick<StopCheck, "now">,
): Promise<PreparedRow[]> {
  const source: Row[] = [];
  const keep = async function* () {
    for await (const numbered of readRows(createReadStream(path))) {
      check.now();
      source.push(numbered.row);
      yield numbered;
    }
  };
  const encoded = await encodeRows({ tokenizer, bounds, rows: keep(), labelWords, needs });
  return encoded.flatMap((value, index) => {
    const row = source[index];
    return row ? [{ row, encoded: value }] : [];
  });
}

function tokensOf(rows: readonly PreparedRow[]): RowTokens {
  const lengths = rows.map(({ encoded }) => encoded.ids.length);
  return {
    rows: rows.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    scored: rows.reduce((sum, { encoded }) => sum + encoded.targets.length, 0),
    longest: lengths.reduce((most, length) => Math.max(most, length), 0),
  };
}

function endNoteOf(rows: readonly PreparedRow[]): string | null {
  const ends = new EndsOfTurns();
  for (const { encoded } of rows) ends.add(encoded);
  return ends.note;
}

function objectiveOf(
  { hyperparameters }: DataRequest,
  training: readonly PreparedRow[],
  settings: EvaluationSettings,
): Objective {
  const { objective, answerTokens: maxTokens } = hyperparameters;
  const loss = tokenLoss(training.map(({ encoded }) => encoded));
  if (objective === "LOSS") return loss;
  if (objective === "CLASSIFICATION" || objective === "ACCURACY") {
    const encodeChoice = choiceEncoder(settings);
    const choices = training.map(({ row }) => {
      const choice = encodeChoice(row);
      invariant(choice, "every row was found to have candidates");
      return choice;
    });
    return choiceObjective(choices, objective);
  }
  const { tokenizer } = settings;
  const questions = training.map(({ row }) => questionOf(row, settings));
  const decode = (ids: readonly number[]) => tokenizer?.decode(ids) ?? "";
  return { ...answerObjective(questions, objective, { maxTokens, decode }), smooth: loss };
}

/** @throws INVALID_ARGUMENT if the rows do not share one set of classes */
function probeOf(
  training: readonly PreparedRow[],
  validation: readonly PreparedRow[],
  labelWords: readonly string[],
): Probe {
  const classesOf = (row: Row) => ("completion" in row ? (row.candidates ?? labelWords) : []);
  const words = classesOf(training[0]?.row ?? { prompt: "", completion: "" });
  const odd = [...training, ...validation].some(({ row }) => !areSameWords(classesOf(row), words));
  if (words.length < 2 || odd) {
    const message = "a linear probe needs label words, or the same candidates in every row";
    throw new SteplogError("INVALID_ARGUMENT", `${message}. Leave linearProbe out.`, [
      { field: "hyperparameters.linearProbe", message },
    ]);
  }
  const rowsOf = (prepared: readonly PreparedRow[]) => ({
    rows: prepared.map(({ encoded }) => encoded),
    classes: prepared.map(({ row }) => words.indexOf("completion" in row ? row.completion : "")),
  });
  return { training: rowsOf(training), validation: rowsOf(validation), count: words.length };
}

/** The validation rows with in-context examples; null if the run asks for none. */
function withExamples(
  { hyperparameters, labelWords }: DataRequest,
  bounds: ModelBounds,
  tokenizer: Tokenizer,
  { training, validation }: { training: readonly PreparedRow[]; validation: readonly PreparedRow[] },
): PreparedRow[] | null {
  const { inContextRows, seed } = hyperparameters;
  if (inContextRows === 0) return null;
  const room = roomIn(bounds);
  const rows = training.map(({ row }) => row);
  const examples = new InContextExamples(tokenizer, rows, inContextRows, seed);
  return validation.map(({ row }) => {
    const words = "completion" in row ? [row.completion, ...(row.candidates ?? labelWords)] : [];
    const longest = Math.max(0, ...words.map((word) => tokenizer.encodeMore(word).length));
    const text = examples.before(row, room - longest);
    const cut = promptCut(tokenizer, text, bounds, labelWords);
    return { row: text, encoded: encodeText(tokenizer, text.prompt, text.completion, bounds.kind, cut) };
  });
}
