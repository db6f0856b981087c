/**
 * What is to be known of the words that a model chooses between, or answers with: tokens that running text would not have,
 * unknown ones, shared first ones, many, or different numbers of them.
 */
import type { ModelKind } from "../schema/model-kind.ts";
import type { RowNote } from "../schema/row-findings.ts";
import { borderProblem } from "./borders.ts";
import { listOf, quote } from "./issues.ts";
import type { TextRow } from "./jsonl.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Rows whose borders between prompt and answer are looked at, and answers that are told of. */
const rowsTried = 20;
const mostTold = 5;
/** More tokens than this are many. */
const fewTokens = 3;

interface Settings {
  readonly tokenizer: Tokenizer;
  readonly kind: ModelKind;
  /** Of rows that list no candidates. */
  readonly labelWords: readonly string[];
}

export class LabelWords {
  readonly #settings: Settings;
  readonly #problems = new Map<string, string | null>();
  #tried = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** The first rows are looked at. */
  add({ prompt, completion, candidates }: TextRow): void {
    const { tokenizer, kind, labelWords } = this.#settings;
    if (kind === "masked" || this.#tried >= rowsTried) return;
    this.#tried += 1;
    const words = candidates ?? labelWords;
    for (const word of words.length > 0 ? words : [completion]) {
      if (this.#problems.get(word) == null) this.#problems.set(word, borderProblem(tokenizer, prompt, word));
    }
  }

  /**
   * One note on tokens after a prompt, and one on the words themselves.
   * @param words that all rows have to choose from; null if they differ
   */
  notes(words: readonly string[] | null): RowNote[] {
    const problems = [...this.#problems.values()].filter((problem) => problem !== null);
    const messages = [problems.slice(0, mostTold), words === null ? [] : this.#ofWords(words)];
    return messages.flatMap((sentences) =>
      sentences.length > 0 ? [{ type: "LABEL_WORDS", message: sentences.join(" ") }] : [],
    );
  }

  #ofWords(words: readonly string[]): string[] {
    const { tokenizer } = this.#settings;
    const tokens = new Map(words.map((word) => [word, tokenizer.encodeMore(word)]));
    const those = (wanted: (ids: readonly number[]) => boolean) =>
      listOf(
        [...tokens].flatMap(([word, ids]) => (wanted(ids) ? [quote(word)] : [])),
        mostTold,
      );
    const unknown = those((ids) => tokenizer.unknown !== null && ids.includes(tokenizer.unknown));
    const many = those(({ length }) => length > fewTokens);
    const lengths = [...tokens].map(([word, { length }]) => `${quote(word)} ${length}`);
    const differ = new Set([...tokens.values()].map(({ length }) => length)).size > 1;
    return [
      ...(unknown === ""
        ? []
        : [
            `The tokenizer does not know all characters of ${unknown} and makes unknown tokens of them. Choose other words.`,
          ]),
      ...this.#sharedStarts(tokens),
      ...(many === "" ? [] : [`More than ${fewTokens} tokens: ${many}. Words of one token are learned best.`]),
      ...(differ
        ? [
            `The label words differ in their number of tokens (${listOf(lengths, mostTold)}), over which scores are means.`,
          ]
        : []),
    ];
  }

  #sharedStarts(tokens: ReadonlyMap<string, readonly number[]>): string[] {
    const starts = new Map<number, string[]>();
    for (const [word, [first]] of tokens) {
      if (first !== undefined) starts.set(first, [...(starts.get(first) ?? []), quote(word)]);
    }
    return [...starts.values()]
      .filter((words) => words.length > 1)
      .map((words) => `The same first token: ${listOf(words, mostTold)}. Only later ones tell them apart.`);
  }
}
