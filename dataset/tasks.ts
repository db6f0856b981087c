/** What is done to foreign files in the sandbox: each function takes and returns plain data, and says how far it is. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { Reporter } from "../sandbox/messages.ts";
import { limits } from "../schema/limits.ts";
import type { RowFindings, RowNote } from "../schema/row-findings.ts";
import type { EncodedRow, ModelBounds } from "./encode.ts";
import type { Needs } from "./fit.ts";
import { checkRowsFit, encodeRows } from "./fit.ts";
import type { RowsFile } from "./files.ts";
import { objectsOf, openRows } from "./files.ts";
import type { NumberedRow, ParsedRow } from "./jsonl.ts";
import { checkDataset, parseRows, readRows } from "./jsonl.ts";
import { loadAndTry, tokenizerOf } from "./kept-tokenizers.ts";
import { blameModel } from "./model-text.ts";
import type { Preparation } from "./prepare.ts";
import { prepare, preparedLines } from "./prepare.ts";
import type { Preview } from "./preview.ts";
import { previewRows } from "./preview.ts";
import { SharedRows } from "./repeats.ts";

export interface DatasetFile {
  /** JSON Lines, CSV or parquet. */
  readonly path: string;
  readonly preparation: Preparation | null;
  /** Where to write the rows as JSON Lines, unless `path` has them as they are to be stored. */
  readonly to: string;
}

/** Checks every row of a dataset; the file to store. @throws DATASET_INVALID */
export async function makeDataset(
  { path, preparation, to }: DatasetFile,
  { progress }: Reporter,
): Promise<{ rows: number; stored: string }> {
  const { lines, asIs } = await rowsOf(path, preparation, progress);
  if (asIs) return { ...(await checkDataset(counted(lines, progress))), stored: path };
  return { ...(await checkDataset(written(counted(lines, progress), to))), stored: to };
}

async function rowsOf(
  path: string,
  preparation: Preparation | null,
  progress: Reporter["progress"],
): Promise<RowsFile> {
  if (!preparation) return openRows(path);
  return { lines: preparedLines(counted(objectsOf(path), progress), preparation), asIs: false };
}

/** Passes the bytes on once they are in the file. */
async function* written(source: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, "wx");
  try {
    for await (const chunk of source) {
      await file.writeFile(chunk);
      yield chunk;
    }
  } finally {
    await file.close();
  }
}

export interface PreparedFile {
  readonly path: string;
  readonly preparation: Preparation;
  readonly to: string;
  /** With more distinct completions than this, they are not counted. */
  readonly mostClasses: number;
}

/** Prepares the rows of a file; how many there are, in all and of each completion. @throws DATASET_INVALID */
export async function prepareFile(
  { path, preparation, to, mostClasses }: PreparedFile,
  { progress }: Reporter,
): Promise<{ rows: number; classes: Readonly<Record<string, number>> | null }> {
  const classes = new Map<string, number>();
  let rows = 0;
  const file = await open(to, "w");
  try {
    for await (const row of prepare(counted(objectsOf(path), progress), preparation)) {
      await file.writeFile(`${JSON.stringify(row)}\n`);
      rows += 1;
      progress();
      const completion = "completion" in row ? row.completion : null;
      if (completion !== null && classes.size <= mostClasses)
        classes.set(completion, (classes.get(completion) ?? 0) + 1);
    }
  } finally {
    await file.close();
  }
  const few = classes.size > 0 && classes.size <= mostClasses;
  return { rows, classes: few ? Object.fromEntries(classes) : null };
}

export interface RowsToCheck {
  /** Folder of the model, whose tokenizer is used if it has one, and its name. */
  readonly folder: string;
  readonly model: string;
  /** Changes when the folder's tokenizer does. */
  readonly tokenizerKey: string;
  readonly bounds: ModelBounds;
  /** A checked dataset, as stored. */
  readonly path: string;
  readonly labelWords: readonly string[];
  readonly needs: Needs | null;
}

/** Checks that every row of a dataset fits a model; what else there is to say of the rows. @throws DATASET_INVALID, MODEL_INVALID, MODEL_UNSUPPORTED */
export async function checkRows(
  { folder, model, tokenizerKey, path, ...settings }: RowsToCheck,
  { begin, progress }: Reporter,
): Promise<RowFindings> {
  begin(blameModel(`Loading the tokenizer and chat template of ${model}`));
  const tokenizer = await tokenizerOf(folder, tokenizerKey);
  begin(blameModel(`Tokenising rows with the tokenizer and chat template of ${model}`));
  return checkRowsFit({ ...settings, tokenizer, rows: numbered(readRows(createReadStream(path)), progress) });
}

export interface RowsToCompare {
  /** Two checked datasets, as stored: training rows, and rows to evaluate. */
  readonly training: string;
  readonly path: string;
}

/** What there is to say of rows that are training rows too. @throws DATASET_INVALID */
export async function compareRows({ training, path }: RowsToCompare, { progress }: Reporter): Promise<RowNote[]> {
  const shared = new SharedRows();
  const rowsOfFile = (file: string) => numbered(readRows(createReadStream(file)), progress);
  for await (const { line, row } of rowsOfFile(training)) shared.addTraining(line, row);
  for await (const { line, row } of rowsOfFile(path)) shared.add(line, row);
  return shared.notes;
}

/** The tokens of every row of a file. @throws DATASET_INVALID, MODEL_INVALID */
export async function encodeRowsOf(
  { folder, model, tokenizerKey, path, ...settings }: Omit<RowsToCheck, "needs">,
  { begin, progress }: Reporter,
): Promise<EncodedRow[]> {
  begin(blameModel(`Loading the tokenizer and chat template of ${model}`));
  const tokenizer = await tokenizerOf(folder, tokenizerKey);
  begin(blameModel(`Tokenising rows with the tokenizer and chat template of ${model}`));
  const { lines } = await openRows(path);
  return encodeRows({ ...settings, tokenizer, rows: numbered(readRows(lines), progress) });
}

/** Whether a model has a chat template. @throws MODEL_INVALID, MODEL_UNSUPPORTED */
export async function takesMessages({ folder, tokenizerKey }: ModelOfTexts, { progress }: Reporter): Promise<boolean> {
  const tokenizer = await tokenizerOf(folder, tokenizerKey);
  progress();
  return tokenizer?.chat != null;
}

type ModelOfTexts = Pick<RowsToCheck, "folder" | "tokenizerKey">;

/** The tokens of a prompt; null without a tokenizer. @throws MODEL_INVALID */
export async function encodePrompt(
  { folder, tokenizerKey, prompt }: ModelOfTexts & { readonly prompt: string },
  { progress }: Reporter,
): Promise<number[] | null> {
  const tokenizer = await tokenizerOf(folder, tokenizerKey);
  progress();
  return tokenizer?.encodeStart(prompt) ?? null;
}

/** The text of tokens; null without a tokenizer. @throws MODEL_INVALID */
export async function decodeTokens(
  { folder, tokenizerKey, tokens }: ModelOfTexts & { readonly tokens: readonly number[] },
  { progress }: Reporter,
): Promise<string | null> {
  const tokenizer = await tokenizerOf(folder, tokenizerKey);
  progress();
  return tokenizer?.decode(tokens) ?? null;
}

export interface RowsToPreview extends Omit<RowsToCheck, "needs"> {
  readonly preparation: Preparation | null;
  /** Rows to show. */
  readonly show: number;
  /** Where in a file of JSON Lines to start: bytes, and lines, before it. */
  readonly from?: { readonly offset: number; readonly lines: number } | null;
}

/** The first rows of a file, or of what follows a place in it, as a model sees them. @throws DATASET_INVALID, MODEL_INVALID */
export async function preview(
  { folder, model, tokenizerKey, path, preparation, from = null, ...settings }: RowsToPreview,
  { begin, progress }: Reporter,
): Promise<Preview> {
  begin(blameModel(`Loading the tokenizer of ${model}`));
  const tokenizer = await tokenizerOf(folder, tokenizerKey);
  begin(blameModel(`Tokenising rows with the tokenizer and chat template of ${model}`));
  const lines = from
    ? createReadStream(path, { start: from.offset })
    : (await rowsOf(path, preparation, progress)).lines;
  const rows = linesLater(parseRows(counted(lines, progress)), from?.lines ?? 0);
  return previewRows({ ...settings, tokenizer, rows, count: limits.previewCounted });
}

/** Rows, and what is wrong with them, with the lines that they have in a file of which only the end was read. */
async function* linesLater(rows: AsyncIterable<ParsedRow>, by: number): AsyncGenerator<ParsedRow> {
  for await (const row of rows) {
    const line = row.line + by;
    if ("row" in row) yield { ...row, line };
    else yield { line, issues: row.issues.map((issue) => ({ ...issue, line })) };
  }
}

/** Whether a model folder has a tokenizer, which works. @throws MODEL_INVALID, MODEL_UNSUPPORTED */
export async function checkTokenizer({ folder }: { readonly folder: string }, { begin }: Reporter): Promise<boolean> {
  begin(blameModel(`Trying the tokenizer and chat template in ${folder}`));
  return (await loadAndTry(folder)) !== null;
}

/** Reports each item. */
async function* counted<T>(source: AsyncIterable<T>, progress: Reporter["progress"]): AsyncGenerator<T> {
  for await (const item of source) {
    progress();
    yield item;
  }
}

/** Reports each row's line once it was handled. */
async function* numbered(
  source: AsyncIterable<NumberedRow>,
  progress: Reporter["progress"],
): AsyncGenerator<NumberedRow> {
  for await (const item of source) {
    yield item;
    progress(item.line);
  }
}
