/** Rows as a model sees them: their tokens, which of them are scored, and why a row would be refused. */
import type { InputIssue } from "../schema/errors.ts";
import type { EncodedRow, ModelBounds } from "./encode.ts";
import type { Needs } from "./fit.ts";
import { fitRow } from "./fit.ts";
import { EndsOfTurns } from "./ends.ts";
import type { Cuts } from "./findings.ts";
import { FindingsOfRows } from "./findings.ts";
import { IssueList } from "./issues.ts";
import type { NumberedRow, ParsedRow, Row } from "./jsonl.ts";
import { tokenTexts } from "./token-texts.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface PreviewToken {
  readonly id: number;
  /** Together the texts of a row's tokens are its text. Null without a tokenizer. A part of a character is U+FFFD. */
  readonly text: string | null;
  /** Whether the loss counts how well this token is predicted. */
  readonly scored: boolean;
  /** What is predicted here, where that is not the token itself: the word in place of a masked model's mask. */
  readonly target: string | null;
}

export interface PreviewRow {
  readonly line: number;
  /** The text as the model gets it: a conversation as the chat template writes it. Null for rows of tokens. */
  readonly text: string | null;
  /** The first tokens. */
  readonly tokens: readonly PreviewToken[];
  /** Number of tokens, and of those scored; 0 for a row that cannot be encoded. */
  readonly length: number;
  readonly scored: number;
  /** Tokens by which its prompt is cut, so that it fits. */
  readonly cutTokens: number;
  /** Why the row is refused; empty for one that fits. */
  readonly issues: readonly InputIssue[];
}

export interface Preview {
  /** The first rows. */
  readonly rows: readonly PreviewRow[];
  /** Rows that were counted, and those of them that are refused, with the first reasons. */
  readonly counted: number;
  readonly refused: number;
  readonly issues: readonly InputIssue[];
  /** Tokens of the rows that fit. */
  readonly tokens: {
    readonly total: number;
    readonly scored: number;
    readonly min: number;
    readonly max: number;
    readonly mean: number;
  };
  /** Rows whose prompts are cut, and tokens that are left out of them. */
  readonly cuts: Cuts;
  /** What is to be known of the rows, such as what they will not teach. */
  readonly notes: readonly string[];
}

export interface PreviewOptions {
  readonly tokenizer: Tokenizer | null;
  readonly bounds: ModelBounds;
  readonly rows: AsyncIterable<ParsedRow>;
  readonly labelWords: readonly string[];
  readonly needs?: Needs | null;
  /** Rows to show. */
  readonly show: number;
  /** Rows to count. */
  readonly count: number;
}

/** Tokens, and characters of the text, that are shown of a row. */
const mostTokens = 1_024;
const mostCharacters = 16_384;

/** @throws MODEL_INVALID if no row can be encoded */
export async function previewRows(options: PreviewOptions): Promise<Preview> {
  const counts = new Counts(new FindingsOfRows(options));
  const shown: PreviewRow[] = [];
  for await (const parsed of options.rows) {
    const { encoded, issues } = "row" in parsed ? fitRow(parsed, options) : { encoded: null, issues: parsed.issues };
    if ("row" in parsed && encoded && issues.length === 0) counts.addFitting(parsed, encoded);
    else counts.addRefused(issues);
    if (shown.length < options.show) shown.push(show(options, parsed, encoded, issues));
    if (counts.rows >= options.count) break;
  }
  return { rows: shown, ...counts.summary() };
}

class Counts {
  rows = 0;
  readonly #issues = new IssueList();
  readonly #ends = new EndsOfTurns();
  readonly #findings: FindingsOfRows;
  #refused = 0;
  #total = 0;
  #scored = 0;
  #min = Infinity;
  #max = 0;

  constructor(findings: FindingsOfRows) {
    this.#findings = findings;
  }

  addRefused(issues: readonly InputIssue[]): void {
    this.rows += 1;
    this.#issues.addRow(issues);
    this.#refused += 1;
  }

  addFitting(row: NumberedRow, encoded: EncodedRow): void {
    this.rows += 1;
    const { length } = encoded.ids;
    this.#ends.add(encoded);
    this.#findings.add(row, encoded);
    this.#total += length;
    this.#scored += encoded.targets.length;
    this.#min = Math.min(this.#min, length);
    this.#max = Math.max(this.#max, length);
  }

  summary(): Omit<Preview, "rows"> {
    const fitting = this.rows - this.#refused;
    return {
      counted: this.rows,
      refused: this.#refused,
      issues: this.#issues.list,
      tokens: {
        total: this.#total,
        scored: this.#scored,
        min: fitting > 0 ? this.#min : 0,
        max: this.#max,
        mean: fitting > 0 ? this.#total / fitting : 0,
      },
      cuts: this.#findings.cuts,
      notes: [
        ...this.#findings.found.notes.map(({ message }) => message),
        ...(this.#ends.note === null ? [] : [this.#ends.note]),
      ],
    };
  }
}

function show(
  { tokenizer, bounds }: PreviewOptions,
  parsed: ParsedRow,
  encoded: EncodedRow | null,
  issues: readonly InputIssue[],
): PreviewRow {
  const { line } = parsed;
  const tokens = encoded ? tokensOf(tokenizer, encoded, bounds.kind === "masked") : [];
  const cutTokens = encoded?.cutTokens ?? 0;
  const whole = "row" in parsed && cutTokens === 0 ? textOf(tokenizer, parsed.row) : null;
  const text = cutTokens > 0 && tokenizer ? tokens.map((token) => token.text).join("") : whole;
  return {
    line,
    text: text === null ? null : text.slice(0, mostCharacters).toWellFormed(),
    tokens,
    length: encoded?.ids.length ?? 0,
    scored: encoded?.targets.length ?? 0,
    cutTokens,
    issues,
  };
}

/** Null for rows of tokens, and for a conversation that the template refuses. */
function textOf(tokenizer: Tokenizer | null, row: Row): string | null {
  if ("prompt" in row) return `${row.prompt}${row.completion}`;
  if (!("messages" in row)) return null;
  try {
    return tokenizer?.chat?.write(row) ?? null;
  } catch {
    return null;
  }
}

function tokensOf(tokenizer: Tokenizer | null, { ids, positions, targets }: EncodedRow, masked: boolean) {
  const write = tokenizer ? tokenTexts(tokenizer) : () => null;
  // A causal model predicts a token from the position before it, a masked one at its own.
  const scored = new Map(Array.from(positions, (at, i) => [masked ? at : at + 1, targets[i] ?? 0] as const));
  return Array.from(ids.subarray(0, mostTokens), (id, at): PreviewToken => {
    const target = scored.get(at);
    const other = target === undefined || target === id ? null : write(target);
    return { id, text: write(id), scored: target !== undefined, target: other };
  });
}
