/** The pre-tokenizers of tokenizer.json: each cuts a text into the words that the model then cuts into tokens. */
import { z } from "zod";
import { numeric, punctuation, spellBytes, whiteSpace, wordsAndSymbols, wordsOfGpt2 } from "./characters.ts";
import { type Kinds, kind, oneCharacter, partOf } from "./kinds.ts";
import { type Finder, finderOf, patternSchema, regexFinder } from "./patterns.ts";
import { type Behaviour, type Piece, behaviours, splitPiece } from "./pieces.ts";

/** Pieces may be empty; no model sees those. */
export type PreTokenizer = (piece: Piece) => Piece[];

const behaviour = z.enum(behaviours);

const metaspaceSchema = z.object({
  replacement: oneCharacter,
  prepend_scheme: z.enum(["always", "first", "never"]).default("always"),
  add_prefix_space: z.boolean().optional(),
  split: z.boolean().default(true),
});

const byteLevelSchema = z.object({ add_prefix_space: z.boolean(), use_regex: z.boolean().default(true) });

const splitSchema = z.object({ pattern: patternSchema, behavior: behaviour, invert: z.boolean() });

const kinds: Kinds<PreTokenizer> = {
  Whitespace: () => splitter(wordsAndSymbols, "Removed", true),
  WhitespaceSplit: () => splitter(whiteSpace, "Removed"),
  BertPreTokenizer: () => inTurn([splitter(whiteSpace, "Removed"), splitter(punctuation, "Isolated")]),
  Punctuation: kind(z.object({ behavior: behaviour.default("Isolated") }), ({ behavior }) =>
    splitter(punctuation, behavior),
  ),
  Digits: kind(z.object({ individual_digits: z.boolean() }), ({ individual_digits }) =>
    splitter(numeric, individual_digits ? "Isolated" : "Contiguous"),
  ),
  CharDelimiterSplit: kind(z.object({ delimiter: oneCharacter }), ({ delimiter }) =>
    splitter(finderOf({ String: delimiter }), "Removed"),
  ),
  FixedLength: kind(z.object({ length: z.int().positive().default(5) }), ({ length }) =>
    splitter(regexFinder(new RegExp(`[^]{1,${length}}`, "gu")), "Isolated"),
  ),
  Split: kind(splitSchema, ({ pattern, behavior, invert }) => splitter(finderOf(pattern), behavior, invert)),
  Sequence: kind(z.object({ pretokenizers: z.array(z.unknown()) }), ({ pretokenizers }) =>
    inTurn(pretokenizers.map(preTokenizerOf)),
  ),
  ByteLevel: kind(byteLevelSchema, byteLevelSplitter),
  Metaspace: kind(metaspaceSchema, metaspaceSplitter),
};

/** @throws if the pre-tokenizer is of another kind or lacks a field */
export const preTokenizerOf = (json: unknown): PreTokenizer => partOf(kinds, json);

const splitter =
  (find: Finder, behavior: Behaviour, invert = false): PreTokenizer =>
  (piece) =>
    splitPiece(piece, find, behavior, invert);

const inTurn =
  (steps: readonly PreTokenizer[]): PreTokenizer =>
  (piece) =>
    steps.reduce((pieces, step) => pieces.filter(notEmpty).flatMap(step), [piece]);

const notEmpty = ({ text }: Piece) => text !== "";

const prefixed = (prefix: string, { text, opening }: Piece): Piece => ({
  text: prefix + text,
  opening: opening === 0 ? 0 : prefix.length + opening,
});

const rewritten = ({ text, opening }: Piece, rewrite: (text: string) => string): Piece => ({
  text: rewrite(text),
  opening: opening === 0 ? 0 : rewrite(text.slice(0, opening)).length,
});

function byteLevelSplitter({ add_prefix_space, use_regex }: z.infer<typeof byteLevelSchema>): PreTokenizer {
  return (piece) => {
    const spaced = add_prefix_space && !piece.text.startsWith(" ") ? prefixed(" ", piece) : piece;
    const words = use_regex ? splitPiece(spaced, wordsOfGpt2, "Isolated") : [spaced];
    return words.map((word) => rewritten(word, spellBytes));
  };
}

/** @throws where the reference refuses contradictory settings */
function metaspaceSplitter({
  replacement,
  prepend_scheme,
  add_prefix_space,
  split,
}: z.infer<typeof metaspaceSchema>): PreTokenizer {
  if (add_prefix_space === false && prepend_scheme !== "never") {
    throw new Error(`add_prefix_space is false, but prepend_scheme is ${JSON.stringify(prepend_scheme)}`);
  }
  const find = finderOf({ String: replacement });
  const mark = (text: string) => text.replaceAll(" ", () => replacement);
  return (piece) => {
    const marked = rewritten(piece, mark);
    const prepends = prepend_scheme === "always" || (prepend_scheme === "first" && piece.opening > 0);
    const whole = prepends && !marked.text.startsWith(replacement) ? prefixed(replacement, marked) : marked;
    return split ? splitPiece(whole, find, "MergedWithNext") : [whole];
  };
}
