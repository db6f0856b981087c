/** A fine-tune's files, read and tokenised once: rows to learn from, and sets to be judged by. */
import { createReadStream } from "node:fs";
import type { EncodedRow } from "../dataset/encode.ts";
import { encodeRows, encodeText } from "../dataset/encode.ts";
import type { Row } from "../dataset/jsonl.ts";
import { readRows } from "../dataset/jsonl.ts";
import type { Tokenizer } from "../dataset/tokenizer.ts";
import { loadOptionalTokenizer } from "../dataset/tokenizer.ts";
import type { ValidationSet } from "../engine/evaluate.ts";
import { prepareValidation } from "../engine/evaluate.ts";
import { Demonstrations } from "../engine/in-context.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import type { FineTuneRequest } from "./messages.ts";

export interface RunData {
  readonly rows: readonly EncodedRow[];
  readonly validation: ValidationSet | null;
  readonly test: ValidationSet | null;
  /** The validation rows with demonstrations in front of their prompts. */
  readonly inContext: ValidationSet | null;
}

interface ReadRows {
  readonly source: readonly Row[];
  readonly encoded: readonly EncodedRow[];
}

/** @throws DATASET_INVALID, MODEL_INVALID; INVALID_ARGUMENT for in-context rows that are not text */
export async function readData(request: FineTuneRequest, folder: ModelFolder): Promise<RunData> {
  const tokenizer = await loadOptionalTokenizer(folder.path);
  const { labelWords } = request;
  const read = (path: string) => readAndEncode(path, tokenizer, folder, labelWords);
  const setOf = ({ source, encoded }: ReadRows) => prepareValidation(tokenizer, paired(source, encoded), labelWords);
  const training = await read(request.datasetPath);
  const validation = request.validationPath === null ? null : await read(request.validationPath);
  const test = request.testPath === null ? null : await read(request.testPath);
  return {
    rows: training.encoded,
    validation: validation && setOf(validation),
    test: test && setOf(test),
    inContext: validation && tokenizer && inContextSet(request, folder, tokenizer, { training, validation }),
  };
}

async function readAndEncode(
  path: string,
  tokenizer: Tokenizer | null,
  folder: ModelFolder,
  labelWords: readonly string[],
): Promise<ReadRows> {
  const source: Row[] = [];
  const keep = async function* () {
    for await (const numbered of readRows(createReadStream(path))) {
      source.push(numbered.row);
      yield numbered;
    }
  };
  return { source, encoded: await encodeRows({ tokenizer, bounds: folder.architecture, rows: keep(), labelWords }) };
}

function paired(source: readonly Row[], encoded: readonly EncodedRow[]) {
  return encoded.flatMap((value, index) => {
    const row = source[index];
    return row ? [{ row, encoded: value }] : [];
  });
}

function inContextSet(
  { hyperparameters, labelWords }: FineTuneRequest,
  folder: ModelFolder,
  tokenizer: Tokenizer,
  { training, validation }: { training: ReadRows; validation: ReadRows },
): ValidationSet | null {
  const { inContextRows, seed } = hyperparameters;
  if (inContextRows === 0) return null;
  const shown = new Demonstrations(tokenizer, training.source, inContextRows, seed);
  const rows = validation.source.map((row) => {
    const words = "completion" in row ? [row.completion, ...labelWords] : labelWords;
    const longest = Math.max(0, ...words.map((word) => tokenizer.encodeMore(word).length));
    const text = shown.before(row, folder.architecture.contextLength - longest);
    return { row: text, encoded: encodeText(tokenizer, text.prompt, text.completion) };
  });
  return prepareValidation(tokenizer, rows, labelWords);
}
