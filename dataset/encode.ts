/** Turns rows into token sequences with scored positions, and checks them against a model's tokenizer and context. */
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError } from "../schema/errors.ts";
import type { ObjectiveKind } from "../schema/hyperparameters.ts";
import type { ModelKind } from "../schema/model-kind.ts";
import type { ChatRow, NumberedRow, Row } from "./jsonl.ts";
import { IssueList } from "./jsonl.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A sequence and its scored tokens: at `positions[i]` the model should predict `targets[i]`. */
export interface EncodedRow {
  /** [length] */
  readonly ids: Int32Array;
  /** [scored], ascending */
  readonly positions: Int32Array;
  /** [scored] */
  readonly targets: Int32Array;
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

/** Encodes a row. Rows of tokens need no tokenizer. @throws DATASET_INVALID, MODEL_INVALID */
export function encodeRow(tokenizer: Tokenizer | null, row: Row, kind: ModelKind = "causal"): EncodedRow {
  if ("input_ids" in row) return encodeTokens(row.input_ids, row.labels, kind);
  if ("messages" in row) {
    if (kind === "masked") throw chatForMasked();
    return encodeChat(needed(tokenizer), row);
  }
  return encodeText(needed(tokenizer), row.prompt, row.completion, kind);
}

/**
 * Renders a conversation with the model's chat template and tokenises it as one text, like apply_chat_template. Scored are the
 * tokens of what the assistant says, including tokens that straddle its borders, and the special token that ends the turn, if
 * there is one.
 */
function encodeChat(tokenizer: Tokenizer, { messages }: ChatRow): EncodedRow {
  if (!tokenizer.chat) {
    const advice = "Add its chat_template to tokenizer_config.json, or give rows of prompt and completion.";
    throw new SteplogError(
      "MODEL_INVALID",
      `The rows are conversations, but the model has no chat template. ${advice}`,
    );
  }
  const { text, spans } = tokenizer.chat.render(messages);
  const ids = tokenizer.encodeMore(text);
  const labels = ids.map(() => -100);
  for (const { start, end } of spans) {
    const first = tokensBefore(tokenizer, ids, text.slice(0, start)).shared;
    const { shared, whole } = tokensBefore(tokenizer, ids, text.slice(0, end));
    const after = whole ? shared : shared + 1;
    const last = tokenizer.isSpecial(ids[after] ?? -1) ? after + 1 : after;
    for (let i = first; i < last; i++) labels[i] = ids[i] ?? -100;
  }
  return encodeTokens(ids, labels, "causal");
}

/** How many tokens a text shares with its beginning tokenised alone, and whether these are all tokens of the beginning. */
function tokensBefore(tokenizer: Tokenizer, ids: readonly number[], beginning: string) {
  const alone = tokenizer.encodeMore(beginning);
  const differs = alone.findIndex((id, i) => id !== ids[i]);
  return { shared: differs < 0 ? alone.length : differs, whole: differs < 0 };
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
  if (word.length !== 1) {
    const seen = `${JSON.stringify(completion)} has ${word.length}`;
    issues.push({
      message: `the word that replaces ${mask.text} must be one token, and ${seen} (a leading space may be missing)`,
    });
  }
  const [first] = issues;
  if (first) throw new SteplogError("DATASET_INVALID", `A row does not fit the model: ${first.message}.`, issues);
  const labels = ids.map((id) => (id === mask.id ? (word[0] ?? -100) : -100));
  return encodeTokens(ids, labels, "masked");
}

/**
 * Labels as in transformers: label i is the expected token at position i, which a causal model predicts at i - 1 and a masked
 * model at i; -100 is not scored.
 */
function encodeTokens(ids: readonly number[], labels: readonly number[], kind: ModelKind): EncodedRow {
  const ahead = kind === "causal" ? 1 : 0;
  const scored = labels.flatMap((label, index) => (label >= 0 && index >= ahead ? [index] : []));
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

/**
 * Encodes every row.
 * @throws DATASET_INVALID with the lines of rows that have nothing to score, do not fit the model's context, have token ids
 *   outside its vocabulary, or whose completion is not one of the label words (if there are any)
 */
export async function encodeRows(options: {
  tokenizer: Tokenizer | null;
  bounds: ModelBounds;
  rows: AsyncIterable<NumberedRow>;
  labelWords: readonly string[];
  needs?: Needs | null;
}): Promise<EncodedRow[]> {
  const issues = new IssueList();
  const encoded: EncodedRow[] = [];
  for await (const { line, row } of options.rows) {
    const sequence = encodeOrRefuse(options.tokenizer, { line, row }, options.bounds.kind, issues);
    if (!sequence) continue;
    issues.add(...needIssues(row, options.needs ?? null, options.labelWords).map((message) => ({ line, message })));
    issues.add(...rowIssues(line, row, sequence, options.bounds, options.labelWords));
    issues.add(...candidateIssues(options.tokenizer, { line, row }, options.bounds, options.labelWords));
    encoded.push(sequence);
  }
  issues.throwIfAny("rows do not fit the model");
  return encoded;
}

/** Checks rows like `encodeRows`, without keeping them. @throws DATASET_INVALID */
export async function checkRowsFit(options: {
  tokenizer: Tokenizer | null;
  bounds: ModelBounds;
  rows: AsyncIterable<NumberedRow>;
  labelWords: readonly string[];
  needs?: Needs | null;
}): Promise<void> {
  const issues = new IssueList();
  for await (const { line, row } of options.rows) {
    const sequence = encodeOrRefuse(options.tokenizer, { line, row }, options.bounds.kind, issues);
    if (!sequence) continue;
    issues.add(...needIssues(row, options.needs ?? null, options.labelWords).map((message) => ({ line, message })));
    issues.add(...rowIssues(line, row, sequence, options.bounds, options.labelWords));
    issues.add(...candidateIssues(options.tokenizer, { line, row }, options.bounds, options.labelWords));
  }
  issues.throwIfAny("rows do not fit the model");
}

/** Null, and another issue, for a conversation that the chat template refuses. */
function encodeOrRefuse(
  tokenizer: Tokenizer | null,
  { line, row }: NumberedRow,
  kind: ModelKind | undefined,
  issues: IssueList,
): EncodedRow | null {
  try {
    return encodeRow(tokenizer, row, kind);
  } catch (error) {
    if (!(error instanceof SteplogError) || error.issues.length === 0) throw error;
    issues.add(...error.issues.map(({ message }) => ({ line, message })));
    return null;
  }
}

function rowIssues(
  line: number,
  row: Row,
  encoded: EncodedRow,
  bounds: ModelBounds,
  labelWords: readonly string[],
): InputIssue[] {
  const messages: string[] = [];
  const { length } = encoded.ids;
  if (encoded.targets.length === 0) messages.push("there is nothing to score after tokenising");
  if (length > roomIn(bounds)) messages.push(`the row has ${length} tokens, but ${contextOf(bounds)}`);
  const strange = bounds.vocabulary === undefined ? undefined : encodedTokenAbove(encoded, bounds.vocabulary);
  if (strange !== undefined) messages.push(`token ${strange} is outside the vocabulary of ${bounds.vocabulary}`);
  messages.push(...labelWordIssues(row, labelWords));
  return messages.map((message) => ({ line, message }));
}

/** The other candidates must fit the context too. */
function candidateIssues(
  tokenizer: Tokenizer | null,
  { line, row }: NumberedRow,
  bounds: ModelBounds,
  labelWords: readonly string[],
): InputIssue[] {
  if (!tokenizer || !("completion" in row)) return [];
  const candidates = (row.candidates ?? labelWords).filter((candidate) => candidate !== row.completion);
  const masked = bounds.kind === "masked";
  // Only the longest can be too long; for a masked model, each must be one token.
  const longest = candidates.toSorted((a, b) => b.length - a.length).slice(0, masked ? undefined : 1);
  const issues = new IssueList();
  const found: InputIssue[] = [];
  for (const candidate of longest) {
    const other = { line, row: { prompt: row.prompt, completion: candidate } };
    const sequence = encodeOrRefuse(tokenizer, other, bounds.kind, issues);
    if (sequence && sequence.ids.length > roomIn(bounds)) {
      const seen = `${sequence.ids.length} tokens with ${JSON.stringify(candidate)}`;
      found.push({ line, message: `the row has ${seen}, but ${contextOf(bounds)}` });
    }
  }
  return [...found, ...issues.list];
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
  const known = labelWords.map((word) => JSON.stringify(word)).join(", ");
  return [`the completion ${JSON.stringify(row.completion)} is not one of the label words (${known})`];
}
