/** Turns rows into token sequences with scored positions, and checks them against a model's tokenizer and context. */
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError } from "../schema/errors.ts";
import type { ObjectiveKind } from "../schema/hyperparameters.ts";
import type { ModelKind } from "../schema/model-kind.ts";
import { counted } from "../schema/units.ts";
import { labelSpans } from "./chat-labels.ts";
import { invalid, IssueList, quote, unfittingRows } from "./issues.ts";
import type { ChatRow, NumberedRow, Row } from "./jsonl.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A sequence and its scored tokens: at `positions[i]` the model should predict `targets[i]`. */
export interface EncodedRow {
  /** [length] */
  readonly ids: Int32Array;
  /** [scored], ascending */
  readonly positions: Int32Array;
  /** [scored] */
  readonly targets: Int32Array;
  /** Of a conversation: turns whose end is scored too, as a special token. */
  readonly endedTurns?: number;
}

export interface ModelBounds {
  /** Longest sequence, in tokens. */
  readonly contextLength: number;
  /** Tokens of it that a prefix takes; 0 by default. */
  readonly taken?: number;
  /** Size of the vocabulary. If given, token ids in rows are checked against it. */
  readonly vocabulary?: number;
  /** "causal" by default. */
  readonly kind?: ModelKind;
}

/**
 * Encodes a row. Rows of tokens need no tokenizer. A text that is certainly longer than `room`, in tokens, is refused before it
 * is tokenised whole.
 * @throws DATASET_INVALID, MODEL_INVALID, MODEL_UNSUPPORTED
 */
export function encodeRow(
  tokenizer: Tokenizer | null,
  row: Row,
  kind: ModelKind = "causal",
  room: number = Infinity,
): EncodedRow {
  if ("input_ids" in row) return encodeTokens(row.input_ids, row.labels, kind);
  if ("messages" in row) {
    if (kind === "masked") throw chatForMasked();
    return encodeChat(needed(tokenizer), row, room);
  }
  const its = needed(tokenizer);
  for (const text of [row.prompt, row.completion]) refuseLong(its, text, room);
  return encodeText(its, row.prompt, row.completion, kind);
}

/**
 * Renders a conversation with the model's chat template and tokenises it as one text, like apply_chat_template. Scored are the
 * tokens of what the assistant says, including tokens that straddle its borders, and the special token that ends the turn, if
 * there is one.
 */
function encodeChat(tokenizer: Tokenizer, row: ChatRow, room: number): EncodedRow {
  if (!tokenizer.chat) {
    const advice = "Add its chat_template to tokenizer_config.json, or give rows of prompt and completion.";
    throw new SteplogError(
      "MODEL_INVALID",
      `The rows are conversations, but the model has no chat template. ${advice}`,
    );
  }
  const text = tokenizer.chat.write(row);
  refuseLong(tokenizer, text, room);
  const ids = tokenizer.encodeMore(text);
  // The caller refuses it; where its turns are does not matter.
  const spans = ids.length > room ? [] : tokenizer.chat.locate(text, row);
  const { labels, ends } = labelSpans(tokenizer, text, ids, spans);
  return { ...encodeTokens(ids, labels, "causal"), endedTurns: ends };
}

/** Characters a token that a text may have before it is tried whether a beginning of it is too long already. */
const charactersPerToken = 8;
/** Tokens by which a beginning may have more than the whole text. */
const slack = 16;

/** So a text much longer than the context is refused after tokenising little more than fits. */
function refuseLong(tokenizer: Tokenizer, text: string, room: number): void {
  for (let length = charactersPerToken * (room + slack); length < text.length; length *= 4) {
    if (tokenizer.encodeMore(text.slice(0, length).toWellFormed()).length <= room + slack) continue;
    const message = `the row has more than ${counted(room, "token")}, but the model's context has room for ${room}`;
    throw invalid(`A row does not fit the model: ${message}.`, [{ message }]);
  }
}

function chatForMasked(): SteplogError {
  const advice = "Give rows of prompt, with the mask token in place of a word, and completion, that word.";
  return new SteplogError("DATASET_INVALID", `The rows are conversations, which masked models cannot learn. ${advice}`);
}

function needed(tokenizer: Tokenizer | null): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new SteplogError(
    "MODEL_INVALID",
    "The rows are text, but the model folder has no tokenizer.json. Add it, or give rows of input_ids and labels.",
  );
}

/**
 * The prompt, then the completion, whose tokens are scored; nothing is added between or after them. For a masked model, the
 * prompt contains the mask token once, and the completion is the single token it replaces.
 * @throws DATASET_INVALID if a masked model's prompt or completion has another form
 */
export function encodeText(
  tokenizer: Tokenizer,
  prompt: string,
  completion: string,
  kind: ModelKind = "causal",
): EncodedRow {
  if (kind === "masked") return encodeCloze(tokenizer, prompt, completion);
  const start = tokenizer.encodeStart(prompt);
  const more = tokenizer.encodeMore(completion);
  const labels = [...start.map(() => -100), ...more];
  return encodeTokens([...start, ...more], labels, "causal");
}

function encodeCloze(tokenizer: Tokenizer, prompt: string, completion: string): EncodedRow {
  const { mask } = tokenizer;
  if (!mask) throw new SteplogError("MODEL_INVALID", "The model's tokenizer_config.json names no mask_token.");
  const ids = tokenizer.encodeWhole(prompt);
  const masks = ids.filter((id) => id === mask.id).length;
  const word = tokenizer.encodeMore(completion);
  const issues: InputIssue[] = [];
  if (masks !== 1) {
    issues.push({
      message: `the prompt of a masked model must contain ${mask.text} once, in place of the word, and this one contains it ${masks} times`,
    });
  }
  issues.push(...wordIssues(tokenizer, completion));
  const [first] = issues;
  if (first) throw new SteplogError("DATASET_INVALID", `A row does not fit the model: ${first.message}.`, issues);
  const labels = ids.map((id) => (id === mask.id ? (word[0] ?? -100) : -100));
  return encodeTokens(ids, labels, "masked");
}

function wordIssues(tokenizer: Tokenizer, word: string): InputIssue[] {
  const { length } = tokenizer.encodeMore(word);
  if (length === 1) return [];
  const seen = `${quote(word)} has ${length}`;
  return [
    {
      message: `the word that replaces ${tokenizer.mask?.text ?? "the mask"} must be one token, and ${seen} (a leading space may be missing)`,
    },
  ];
}

/**
 * Labels as in transformers: label i is the expected token at position i, which a causal model predicts at i - 1 and a masked
 * model at i; -100 is not scored.
 */
function encodeTokens(ids: readonly number[], labels: readonly number[], kind: ModelKind): EncodedRow {
  const ahead = kind === "causal" ? 1 : 0;
  const scored: number[] = [];
  for (let index = ahead; index < labels.length; index++) if ((labels[index] ?? -100) >= 0) scored.push(index);
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(scored, (index) => index - ahead),
    targets: Int32Array.from(scored, (index) => labels[index] ?? 0),
  };
}

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
  for await (const row of encodeEach(options)) encoded.push(row);
  return encoded;
}

/** Checks rows like `encodeRows`, without keeping them. @throws DATASET_INVALID */
export async function checkRowsFit(options: RowsToFit): Promise<void> {
  for await (const _ of encodeEach(options));
}

async function* encodeEach(options: RowsToFit): AsyncGenerator<EncodedRow> {
  const issues = new IssueList();
  for await (const row of options.rows) {
    const fitted = fitRow(row, options);
    if (fitted.encoded) yield fitted.encoded;
    issues.add(fitted.issues);
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
  const { encoded, issues } = encodeOrRefuse(tokenizer, row, bounds);
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
): { readonly encoded: EncodedRow | null; readonly issues: readonly InputIssue[] } {
  try {
    return { encoded: encodeRow(tokenizer, row, bounds.kind, roomIn(bounds)), issues: [] };
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
  const longest = others.reduce((a, b) => (b.length > a.length ? b : a), "");
  const tokens = (text: string) => tokenizer.encodeMore(text).length;
  const length = encoded.ids.length - tokens(row.completion) + tokens(longest);
  if (longest === "" || length <= roomIn(bounds)) return [];
  return [{ message: `the row has ${counted(length, "token")} with ${quote(longest)}, but ${contextOf(bounds)}` }];
}

function roomIn({ contextLength, taken = 0 }: ModelBounds): number {
  return contextLength - taken;
}

function contextOf({ contextLength, taken = 0 }: ModelBounds): string {
  return `the model's context is ${contextLength}${taken > 0 ? `, of which a prefix takes ${taken}` : ""}`;
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
  return [`the completion ${quote(row.completion)} is not one of the label words (${known})`];
}
