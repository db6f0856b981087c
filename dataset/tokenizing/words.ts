/** The models of whole words: WordPiece (BERT), which takes the longest token that fits, and WordLevel. */
import { z } from "zod";
import { type Model, requireUnknown, vocabularyOf } from "./model.ts";

const vocab = z.custom<object>((value) => typeof value === "object" && value !== null && !Array.isArray(value));

export const wordPieceSchema = z.object({
  unk_token: z.string(),
  continuing_subword_prefix: z.string(),
  max_input_chars_per_word: z.int().nonnegative(),
  vocab,
});

export function wordPieceOf(config: z.infer<typeof wordPieceSchema>): Model {
  const entries = Object.entries(config.vocab);
  const vocabulary = vocabularyOf(entries);
  const longest = entries.reduce((length, [token]) => Math.max(length, token.length), 0);
  return {
    vocabulary,
    encode: (word, ids) => {
      const chars = Array.from(word);
      const tooLong = chars.length > config.max_input_chars_per_word;
      const tokens = tooLong ? null : longestTokens(chars, config.continuing_subword_prefix, longest, vocabulary.idOf);
      ids.push(...(tokens ?? [requireUnknown(vocabulary, config.unk_token)]));
    },
  };
}

/** Null if a part of the word is no token. */
function longestTokens(
  chars: readonly string[],
  prefix: string,
  longest: number,
  idOf: (token: string) => number | undefined,
): number[] | null {
  const ids: number[] = [];
  for (let start = 0; start < chars.length;) {
    let end = Math.min(chars.length, start + longest);
    let id: number | undefined;
    for (; end > start && id === undefined; end--)
      id = idOf((start > 0 ? prefix : "") + chars.slice(start, end).join(""));
    if (id === undefined) return null;
    ids.push(id);
    start = end + 1;
  }
  return ids;
}

export const wordLevelSchema = z.object({
  unk_token: z.string(),
  vocab,
});

export function wordLevelOf(config: z.infer<typeof wordLevelSchema>): Model {
  const vocabulary = vocabularyOf(Object.entries(config.vocab));
  return {
    vocabulary,
    encode: (word, ids) => ids.push(vocabulary.idOf(word) ?? requireUnknown(vocabulary, config.unk_token)),
  };
}
