/** Turns rows into token sequences with scored positions. */
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError } from "../schema/errors.ts";
import type { Truncation } from "../schema/hyperparameters.ts";
import type { ModelKind } from "../schema/model-kind.ts";
import { counted } from "../schema/units.ts";
import { historyOf } from "./chat-cut.ts";
import { labelSpans } from "./chat-labels.ts";
import type { CutSide, Labelled } from "./cut.ts";
import { withoutTokens } from "./cut.ts";
import { invalid, quote } from "./issues.ts";
import type { ChatRow, Row, TextRow } from "./jsonl.ts";
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
  /** Tokens by which its prompt was cut, if it was. */
  readonly cutTokens?: number;
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
  /** What happens to longer sequences; "REFUSE" by default. */
  readonly truncate?: Truncation;
}

interface EncodeOptions {
  /** Tokens that fit; all by default. */
  readonly room?: number;
  /** What happens to rows that do not fit; "REFUSE", by default, leaves that to the caller. */
  readonly truncate?: Truncation | undefined;
  /** Candidates of rows that list none: a prompt is cut until it fits with the longest one. */
  readonly labelWords?: readonly string[];
}

/**
 * Encodes a row. Rows of tokens need no tokenizer. A text that is certainly longer than `room`, in tokens, is refused before it
 * is tokenised whole, unless its prompt may be cut. A row that is too long and cannot be cut enough is not cut.
 * @throws DATASET_INVALID, MODEL_INVALID, MODEL_UNSUPPORTED
 */
export function encodeRow(
  tokenizer: Tokenizer | null,
  row: Row,
  kind: ModelKind = "causal",
  { room = Infinity, truncate = "REFUSE", labelWords = [] }: EncodeOptions = {},
): EncodedRow {
  if ("input_ids" in row) {
    const side = truncate === "REFUSE" ? null : truncate;
    return encodeTokens({ ids: row.input_ids, labels: row.labels }, kind, side && { side, most: room, tokenizer });
  }
  if ("messages" in row) {
    if (kind === "masked") throw chatForMasked();
    return encodeChat(needed(tokenizer), row, room, truncate);
  }
  const its = needed(tokenizer);
  const cut = promptCut(its, row, { kind, contextLength: room, truncate }, labelWords);
  for (const text of cut ? [row.completion] : [row.prompt, row.completion]) refuseLong(its, text, room);
  return encodeText(its, row.prompt, row.completion, kind, cut);
}

/** A conversation as it is, or without so much of its history that it fits. */
function encodeChat(tokenizer: Tokenizer, row: ChatRow, room: number, truncate: Truncation): EncodedRow {
  if (truncate === "REFUSE") return encodeConversation(tokenizer, row, room);
  const whole = tokenizer.encodeMore(templateOf(tokenizer).write(row)).length;
  const shorter = whole > room ? shortened(tokenizer, row, room, truncate) : null;
  const encoded = encodeConversation(tokenizer, shorter ?? row, room);
  return shorter ? { ...encoded, cutTokens: whole - encoded.ids.length } : encoded;
}

/** Without as few exchanges as possible; null if it is too long without all that may go. */
function shortened(tokenizer: Tokenizer, row: ChatRow, room: number, side: CutSide): ChatRow | null {
  const history = historyOf(row);
  const fits = (left: number) => !isLonger(tokenizer, templateOf(tokenizer).write(history.without(left, side)), room);
  if (history.exchanges === 0 || !fits(history.exchanges)) return null;
  let [tooFew, enough] = [0, history.exchanges];
  while (enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2);
    if (fits(middle)) enough = middle;
    else tooFew = middle;
  }
  return history.without(enough, side);
}

/**
 * Renders a conversation with the model's chat template and tokenises it as one text, like apply_chat_template. Scored are the
 * tokens of what the assistant says, including tokens that straddle its borders, and the special token that ends the turn, if
 * there is one.
 */
function encodeConversation(tokenizer: Tokenizer, row: ChatRow, room: number): EncodedRow {
  const template = templateOf(tokenizer);
  const text = template.write(row);
  refuseLong(tokenizer, text, room);
  const ids = tokenizer.encodeMore(text);
  // The caller refuses it; where its turns are does not matter.
  const spans = ids.length > room ? [] : template.locate(text, row);
  const { labels, ends } = labelSpans(tokenizer, text, ids, spans);
  return { ...encodeTokens({ ids, labels }, "causal"), endedTurns: ends };
}

function templateOf({ chat }: Tokenizer): NonNullable<Tokenizer["chat"]> {
  if (chat) return chat;
  const advice = "Add its chat_template to tokenizer_config.json, or give rows of prompt and completion.";
  throw new SteplogError("MODEL_INVALID", `The rows are conversations, but the model has no chat template. ${advice}`);
}

/** Characters a token that a text may have before it is tried whether a beginning of it is too long already. */
const charactersPerToken = 8;
/** Tokens by which a beginning may have more than the whole text. */
const slack = 16;

/** So a text much longer than the context is refused after tokenising little more than fits. */
function refuseLong(tokenizer: Tokenizer, text: string, room: number): void {
  if (!isMuchLonger(tokenizer, text, room)) return;
  const message = `the row has more than ${counted(room, "token")}, but the model's context has room for ${room}`;
  throw invalid(`A row does not fit the model: ${message}.`, [{ message }]);
}

/** Whether a text is certain to have more than `room` tokens, without tokenising it whole. */
export function isMuchLonger(tokenizer: Tokenizer, text: string, room: number): boolean {
  for (let length = charactersPerToken * (room + slack); length < text.length; length *= 4) {
    if (tokenizer.encodeMore(text.slice(0, length).toWellFormed()).length > room + slack) return true;
  }
  return false;
}

function isLonger(tokenizer: Tokenizer, text: string, room: number): boolean {
  return isMuchLonger(tokenizer, text, room) || tokenizer.encodeMore(text).length > room;
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

/** How many tokens a prompt may have, and which end of it goes otherwise. */
export interface PromptCut {
  readonly side: CutSide;
  /** With the special tokens; for a masked model, of the whole text. */
  readonly most: number;
}

/** How the prompt of a row is cut if it is too long, so that the longest candidate fits after it; null for not at all. */
export function promptCut(
  tokenizer: Tokenizer,
  { completion, candidates }: TextRow,
  bounds: ModelBounds,
  labelWords: readonly string[],
): PromptCut | null {
  const { truncate: side = "REFUSE", kind } = bounds;
  if (side === "REFUSE") return null;
  const room = roomIn(bounds);
  if (kind === "masked") return { side, most: room };
  const words = [completion, ...(candidates ?? labelWords)];
  const longest = words.reduce((most, word) => Math.max(most, tokenizer.encodeMore(word).length), 0);
  return { side, most: room - longest };
}

/** Tokens of a prompt by itself, cut like that of its row. */
export function encodeStartOf(tokenizer: Tokenizer, prompt: string, cut: PromptCut | null): Int32Array {
  const ids = tokenizer.encodeStart(prompt);
  return encodeTokens({ ids, labels: ids.map(() => -100) }, "causal", cut && { ...cut, tokenizer }).ids;
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
  cut: PromptCut | null = null,
): EncodedRow {
  if (kind === "masked") return encodeCloze(tokenizer, prompt, completion, cut);
  const start = tokenizer.encodeStart(prompt);
  const more = tokenizer.encodeMore(completion);
  const row = { ids: [...start, ...more], labels: [...start.map(() => -100), ...more] };
  return encodeTokens(row, "causal", cut && { side: cut.side, most: cut.most + more.length, tokenizer });
}

function encodeCloze(tokenizer: Tokenizer, prompt: string, completion: string, cut: PromptCut | null): EncodedRow {
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
  return encodeTokens({ ids, labels }, "masked", cut && { ...cut, tokenizer });
}

/** What is wrong with the word in place of a masked model's mask. */
export function wordIssues(tokenizer: Tokenizer, word: string): InputIssue[] {
  const { length } = tokenizer.encodeMore(word);
  if (length === 1) return [];
  const seen = `${quote(word)} has ${length}`;
  return [
    {
      message: `the word that replaces ${tokenizer.mask?.text ?? "the mask"} must be one token, and ${seen} (a leading space may be missing)`,
    },
  ];
}

/** The most tokens that a row may have before its prompt is cut. */
type RowCut = PromptCut & { readonly tokenizer: Tokenizer | null };

/**
 * Labels as in transformers: label i is the expected token at position i, which a causal model predicts at i - 1 and a masked
 * model at i; -100 is not scored.
 */
function encodeTokens(row: Labelled, kind: ModelKind, cut: RowCut | null = null): EncodedRow {
  const excess = cut ? row.ids.length - cut.most : 0;
  const isSpecial = (id: number) => cut?.tokenizer?.isSpecial(id) ?? false;
  const shorter = cut && excess > 0 ? withoutTokens(row, excess, { side: cut.side, kind, isSpecial }) : null;
  const { ids, labels } = shorter ?? row;
  const ahead = kind === "causal" ? 1 : 0;
  const scored: number[] = [];
  for (let index = ahead; index < labels.length; index++) if ((labels[index] ?? -100) >= 0) scored.push(index);
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(scored, (index) => index - ahead),
    targets: Int32Array.from(scored, (index) => labels[index] ?? 0),
    ...(shorter && { cutTokens: excess }),
  };
}

/** Tokens that a row may have. */
export function roomIn({ contextLength, taken = 0 }: ModelBounds): number {
  return contextLength - taken;
}
