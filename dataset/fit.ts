/** Checks rows against what a run needs of them: a model's tokenizer and context, label words, an objective. */
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError } from "../schema/errors.ts";
import type { ObjectiveKind } from "../schema/hyperparameters.ts";
import type { RowFindings } from "../schema/row-findings.ts";
import { counted } from "../schema/units.ts";
import type { EncodedRow, ModelBounds } from "./encode.ts";
import { encodeRow, roomIn, wordIssues } from "./encode.ts";
import { FindingsOfRows } from "./findings.ts";
import { IssueList, quote, unfittingRows } from "./issues.ts";
import type { NumberedRow, Row } from "./jsonl.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What an objective needs in every row, besides something to score: candidates to choose from, or a prompt to answer. */
export type Needs = "candidates" | "text";

export function needsOf(objective: ObjectiveKind): Needs | null {
  if (objective === "LOSS") return null;
  return objective === "CLASSIFICATION" || objective === "ACCURACY" ? "candidates" : "text";
}

function needIssues(row: Row, needs: Needs | null, labelWords: readonly string[]): string[] {
  if (needs === null) return [];
  if (!("completion" in row)) return ["the objective needs rows of prompt and completion"];
  if (needs === "text" || row.candidates || labelWords.length > 0) return [];
  return ["the objective needs candidates, in the row or as label words of the run"];
}

interface RowsToFit {
  readonly tokenizer: Tokenizer | null;
  readonly bounds: ModelBounds;
  readonly rows: AsyncIterable<NumberedRow>;
  readonly labelWords: readonly string[];
  readonly needs?: Needs | null;
}

/**
 * Encodes every row.
 * @throws DATASET_INVALID with the lines of rows that have nothing to score, do not fit the model's context, have token ids
 *   outside its vocabulary, or whose completion is not one of the label words (if there are any)
 */
export async function encodeRows(options: RowsToFit): Promise<EncodedRow[]> {
  const encoded: EncodedRow[] = [];
  for await (const row of encodeEach(options)) encoded.push(row.encoded);
  return encoded;
}

/** Checks rows like `encodeRows`, without keeping them; what else there is to say of them. @throws DATASET_INVALID */
export async function checkRowsFit(options: RowsToFit): Promise<RowFindings> {
  const findings = new FindingsOfRows(options);
  for await (const { numbered, encoded } of encodeEach(options)) findings.add(numbered, encoded);
  return findings.found;
}

async function* encodeEach(options: RowsToFit) {
  const issues = new IssueList();
  for await (const numbered of options.rows) {
    const { encoded, issues: found } = fitRow(numbered, options);
    if (encoded) yield { numbered, encoded };
    issues.addRow(found);
  }
  issues.throwIfAny(unfittingRows);
}

interface FittedRow {
  /** Null for a row that cannot be encoded. */
  readonly encoded: EncodedRow | null;
  /** With the row's line. */
  readonly issues: readonly InputIssue[];
}

/** One row, and what does not fit. @throws MODEL_INVALID if no row can be encoded */
export function fitRow(
  { line, row }: NumberedRow,
  { tokenizer, bounds, labelWords, needs }: Omit<RowsToFit, "rows">,
): FittedRow {
  const { encoded, issues } = encodeOrRefuse(tokenizer, row, bounds, labelWords);
  const found = encoded
    ? [
        ...needIssues(row, needs ?? null, labelWords).map((message) => ({ message })),
        ...rowIssues(row, encoded, bounds, labelWords),
        ...candidateIssues(tokenizer, row, encoded, bounds, labelWords),
      ]
    : issues;
  return { encoded, issues: found.map((issue) => ({ line, ...issue })) };
}

/** Null, and the reasons, for a row that cannot be encoded. */
function encodeOrRefuse(
  tokenizer: Tokenizer | null,
  row: Row,
  bounds: ModelBounds,
  labelWords: readonly string[],
): { readonly encoded: EncodedRow | null; readonly issues: readonly InputIssue[] } {
  try {
    const { kind, truncate } = bounds;
    return { encoded: encodeRow(tokenizer, row, kind, { room: roomIn(bounds), truncate, labelWords }), issues: [] };
  } catch (error) {
    if (!(error instanceof SteplogError) || error.issues.length === 0) throw error;
    return { encoded: null, issues: error.issues };
  }
}

function rowIssues(row: Row, encoded: EncodedRow, bounds: ModelBounds, labelWords: readonly string[]): InputIssue[] {
  const messages: string[] = [];
  const { length } = encoded.ids;
  if (length > roomIn(bounds)) messages.push(`the row has ${counted(length, "token")}, but ${contextOf(bounds)}`);
  else if (encoded.targets.length === 0) messages.push("there is nothing to score after tokenising");
  const strange = bounds.vocabulary === undefined ? undefined : encodedTokenAbove(encoded, bounds.vocabulary);
  if (strange !== undefined) messages.push(`token ${strange} is outside the vocabulary of ${bounds.vocabulary}`);
  messages.push(...labelWordIssues(row, labelWords));
  return messages.map((message) => ({ message }));
}

/** More than any tokenizer makes: a candidate that fits even so needs no tokenising. */
const tokensPerByte = 4;

/** The other candidates must fit too: into the context, or into one token for a masked model. */
function candidateIssues(
  tokenizer: Tokenizer | null,
  row: Row,
  encoded: EncodedRow,
  bounds: ModelBounds,
  labelWords: readonly string[],
): InputIssue[] {
  if (!tokenizer || !("completion" in row)) return [];
  const others = (row.candidates ?? labelWords).filter((candidate) => candidate !== row.completion);
  if (bounds.kind === "masked") return others.flatMap((word) => wordIssues(tokenizer, word));
  if (encoded.ids.length > roomIn(bounds)) return [];
  const most = others.reduce((bytes, word) => Math.max(bytes, tokensPerByte * Buffer.byteLength(word)), 0);
  if (encoded.ids.length + most <= roomIn(bounds)) return [];
  const tokens = (text: string) => tokenizer.encodeMore(text).length;
  const longest = others.reduce((a, b) => (tokens(b) > tokens(a) ? b : a), "");
  const length = encoded.ids.length - tokens(row.completion) + tokens(longest);
  if (longest === "" || length <= roomIn(bounds)) return [];
  return [{ message: `the row has ${counted(length, "token")} with ${quote(longest)}, but ${contextOf(bounds)}` }];
}

function contextOf({ contextLength, taken = 0, truncate = "REFUSE" }: ModelBounds): string {
  const prefix = taken > 0 ? `, of which a prefix takes ${taken}` : "";
  const uncut = truncate === "REFUSE" ? "" : ", and its prompt cannot be cut by so much: what is scored stays";
  return `the model's context is ${contextLength}${prefix}${uncut}`;
}

function encodedTokenAbove(encoded: EncodedRow, vocabulary: number): number | undefined {
  return [...encoded.ids, ...encoded.targets].find((id) => id >= vocabulary);
}

function labelWordIssues(row: Row, labelWords: readonly string[]): string[] {
  if (labelWords.length === 0 || ("candidates" in row && row.candidates)) return [];
  if (!("completion" in row)) {
    const what = "messages" in row ? "a conversation" : "a row of tokens";
    return [`label words need rows of prompt and completion, but this is ${what}`];
  }
  if (labelWords.includes(row.completion)) return [];
  const known = labelWords.map(quote).join(", ");
  const near = labelWords.find((word) => word.trim() === row.completion.trim());
  const advice = near === undefined ? "" : `; ${quote(near)} has other spaces around it`;
  return [`the completion ${quote(row.completion)} is not one of the label words (${known})${advice}`];
}
