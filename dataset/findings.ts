/** What rows that can be trained are told about: found while they are read, in memory that grows by a few numbers a row. */
import type { Choices, RowFindings, RowNote } from "../schema/row-findings.ts";
import { counted } from "../schema/units.ts";
import type { EncodedRow, ModelBounds } from "./encode.ts";
import { quote } from "./issues.ts";
import type { NumberedRow, Row } from "./jsonl.ts";
import { LabelWords } from "./label-words.ts";
import { Repeats } from "./repeats.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Rows whose prompts were cut, and tokens that were left out of them. */
export interface Cuts {
  readonly rows: number;
  readonly tokens: number;
}

interface Settings {
  readonly tokenizer: Tokenizer | null;
  readonly bounds: ModelBounds;
  readonly labelWords: readonly string[];
}

export class FindingsOfRows {
  readonly #settings: Settings;
  readonly #repeats = new Repeats();
  readonly #labels: LabelWords | null;
  readonly #classes: Classes;
  #cuts: Cuts = { rows: 0, tokens: 0 };

  constructor(settings: Settings) {
    const { tokenizer, bounds, labelWords } = settings;
    this.#settings = settings;
    this.#labels = tokenizer && new LabelWords({ tokenizer, kind: bounds.kind ?? "causal", labelWords });
    this.#classes = new Classes(labelWords);
  }

  get cuts(): Cuts {
    return this.#cuts;
  }

  get found(): RowFindings {
    const { words, only, choices } = this.#classes;
    const notes = [
      ...cutNotes(this.#cuts, this.#settings.bounds),
      ...(this.#labels?.notes(words) ?? []),
      ...this.#repeats.notes,
      ...this.#classes.notes,
    ];
    return { notes, oneClass: only, choices };
  }

  /** @param encoded the row as it is trained */
  add({ line, row }: NumberedRow, { cutTokens = 0 }: EncodedRow): void {
    const { rows, tokens } = this.#cuts;
    if (cutTokens > 0) this.#cuts = { rows: rows + 1, tokens: tokens + cutTokens };
    this.#repeats.add(line, row);
    this.#classes.add(row);
    if ("completion" in row) this.#labels?.add(row);
  }
}

function cutNotes({ rows, tokens }: Cuts, { truncate }: ModelBounds): RowNote[] {
  if (rows === 0) return [];
  const [are, side] = [rows === 1 ? "is" : "are", truncate === "END" ? "end" : "start"];
  const message = `${counted(rows, "row")} ${are} longer than the context and ${are} cut at the ${side} of the prompt, by ${counted(tokens, "token")} in all.`;
  return [{ type: "ROWS_CUT", message }];
}

/** What all rows have to choose from, and whether one answer is right in all of them. */
class Classes {
  readonly #labelWords: readonly string[];
  #rows = 0;
  #choose = false;
  /** Of the first row; null once a row has others, or none. */
  #words: readonly string[] | null = null;
  #completion: string | null = null;

  constructor(labelWords: readonly string[]) {
    this.#labelWords = labelWords;
  }

  add(row: Row): void {
    const words = "completion" in row ? (row.candidates ?? this.#labelWords) : [];
    const completion = "completion" in row ? row.completion : null;
    if (this.#rows === 0) [this.#words, this.#completion] = [words.length > 0 ? words : null, completion];
    this.#rows += 1;
    this.#choose ||= words.length > 0;
    if (this.#words && this.#words !== words && !areSameWords(this.#words, words)) this.#words = null;
    if (this.#completion !== completion) this.#completion = null;
  }

  /** Null if rows differ in them, or have none. */
  get words(): readonly string[] | null {
    return this.#words;
  }

  get choices(): Choices {
    if (!this.#choose) return "NONE";
    return this.#words ? "SAME" : "SOME";
  }

  /** The answer of all rows that choose between the same words. */
  get only(): string | null {
    return this.#words && this.#completion;
  }

  get notes(): RowNote[] {
    const { only } = this;
    if (only === null || this.#rows < 2) return [];
    const message = `All ${this.#rows} rows have the answer ${quote(only)}, so accuracy on them says little.`;
    return [{ type: "ONE_CLASS", message }];
  }
}

/** The same words, in whatever order. */
export function areSameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, index) => word === b[index] || b.includes(word));
}
