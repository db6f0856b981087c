/** A fine-tune's files, read and tokenised once: what to lower, and sets to be judged by. */
import { createReadStream } from "node:fs";
import type { EncodedRow, ModelBounds, Needs } from "../../dataset/encode.ts";
import { encodeRows, encodeText, needsOf } from "../../dataset/encode.ts";
import type { Row } from "../../dataset/jsonl.ts";
import { readRows } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { loadOptionalTokenizer } from "../../dataset/tokenizer.ts";
import { answerTask } from "../objective/answers.ts";
import type { Judging, PreparedRow, ValidationSet } from "../objective/evaluate.ts";
import { chooser, prepareValidation, questionOf } from "../objective/evaluate.ts";
import { Demonstrations } from "../objective/in-context.ts";
import type { Probe } from "../objective/linear-probe.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import type { Task } from "../objective/task.ts";
import { choiceTask, tokenTask } from "../objective/task.ts";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { placesTaken } from "../../schema/hyperparameters.ts";
import type { FineTuneRequest } from "../thread/messages.ts";

export interface RunData {
  readonly task: Task;
  readonly validation: ValidationSet | null;
  readonly test: ValidationSet | null;
  /** The validation rows with demonstrations in front of their prompts. */
  readonly inContext: ValidationSet | null;
  readonly probe: Probe | null;
}

/** @throws DATASET_INVALID, MODEL_INVALID; INVALID_ARGUMENT for settings that need rows of another kind */
export async function readData(request: FineTuneRequest, folder: ModelFolder): Promise<RunData> {
  const { labelWords, calibrationPrompt, hyperparameters } = request;
  const tokenizer = await loadOptionalTokenizer(folder.path);
  const { objective } = folder.architecture;
  const { answerTokens } = hyperparameters;
  const judging: Judging = { tokenizer, objective, labelWords, calibrationPrompt, answerTokens };
  const bounds = { ...folder.architecture, taken: placesTaken(hyperparameters) };
  const read = (path: string, needs: Needs | null) => readPrepared(path, bounds, judging, needs);
  const judged = async (path: string | null) => (path === null ? null : read(path, null));
  const training = await read(request.datasetPath, needsOf(hyperparameters.objective));
  const [validation, test] = [await judged(request.validationPath), await judged(request.testPath)];
  const inContext = validation && tokenizer && withContext(request, folder, tokenizer, { training, validation });
  return {
    task: taskOf(request, training, judging),
    validation: validation && prepareValidation(validation, judging),
    test: test && prepareValidation(test, judging),
    inContext: inContext && prepareValidation(inContext, judging),
    probe: validation && hyperparameters.linearProbe ? probeOf(training, validation, labelWords) : null,
  };
}

async function readPrepared(
  path: string,
  bounds: ModelBounds,
  { tokenizer, labelWords }: Judging,
  needs: Needs | null,
): Promise<PreparedRow[]> {
  const source: Row[] = [];
  const keep = async function* () {
    for await (const numbered of readRows(createReadStream(path))) {
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

function taskOf({ hyperparameters }: FineTuneRequest, training: readonly PreparedRow[], judging: Judging): Task {
  const { objective, answerTokens: maxTokens } = hyperparameters;
  if (objective === "LOSS") return tokenTask(training.map(({ encoded }): EncodedRow => encoded));
  if (objective === "CLASSIFICATION" || objective === "ACCURACY") {
    const choose = chooser(judging);
    const choices = training.map(({ row }) => {
      const choice = choose(row);
      invariant(choice, "every row was found to have candidates");
      return choice;
    });
    return choiceTask(choices, objective);
  }
  const questions = training.map(({ row }) => questionOf(row, judging));
  return answerTask(questions, objective, { maxTokens, decode: (ids) => judging.tokenizer?.decode(ids) ?? "" });
}

/** @throws INVALID_ARGUMENT when the rows are of no one set of classes */
function probeOf(
  training: readonly PreparedRow[],
  validation: readonly PreparedRow[],
  labelWords: readonly string[],
): Probe {
  const classesOf = (row: Row) => ("completion" in row ? (row.candidates ?? labelWords) : []);
  const words = classesOf(training[0]?.row ?? { prompt: "", completion: "" });
  const odd = [...training, ...validation].some(({ row }) => classesOf(row).join("\n") !== words.join("\n"));
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

function withContext(
  { hyperparameters, labelWords }: FineTuneRequest,
  folder: ModelFolder,
  tokenizer: Tokenizer,
  { training, validation }: { training: readonly PreparedRow[]; validation: readonly PreparedRow[] },
): PreparedRow[] | null {
  const { inContextRows, seed } = hyperparameters;
  if (inContextRows === 0) return null;
  const { contextLength, objective } = folder.architecture;
  const room = contextLength - placesTaken(hyperparameters);
  const rows = training.map(({ row }) => row);
  const shown = new Demonstrations(tokenizer, rows, inContextRows, seed);
  return validation.map(({ row }) => {
    const words = "completion" in row ? [row.completion, ...(row.candidates ?? labelWords)] : [];
    const longest = Math.max(0, ...words.map((word) => tokenizer.encodeMore(word).length));
    const text = shown.before(row, room - longest);
    return { row: text, encoded: encodeText(tokenizer, text.prompt, text.completion, objective) };
  });
}
