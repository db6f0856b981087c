/** SentencePiece's unigram model (Kudo 2018): of all ways to cut a text, the one whose tokens have the highest sum of scores. */
import { z } from "zod";
import { byteTokens } from "./characters.ts";
import { type Model, type Vocabulary, requireUnknown, vocabularyOf } from "./model.ts";

export const unigramSchema = z.object({
  unk_id: z.int().nonnegative().nullish(),
  byte_fallback: z.boolean().nullish(),
  vocab: z.array(z.tuple([z.string(), z.number()])),
});

type Config = z.infer<typeof unigramSchema>;

/** How much worse an unknown character is than the worst token. */
const unknownPenalty = 10;

/** @throws if the unknown token is outside the vocabulary */
export function unigramOf({ vocab, unk_id, byte_fallback }: Config): Model {
  const vocabulary = vocabularyOf(vocab.map(([token], id) => [token, id] as const));
  const unknown = unk_id ?? null;
  if (unknown !== null && unknown >= vocab.length) throw new Error(`unk_id is ${unknown}, of ${vocab.length} tokens`);
  const scores = Float64Array.from(vocab, ([, score]) => score);
  const lowest = scores.reduce((least, score) => Math.min(least, score), Infinity);
  const lattice: Lattice = {
    scores,
    unknown: unknown ?? -1,
    unknownScore: lowest - unknownPenalty,
    prefixes: prefixSearch(vocabulary, new Set(vocab.map(([token]) => token))),
  };
  return {
    vocabulary,
    encode: (word, ids) => {
      for (const { text, id } of joinUnknown(bestPath(word, lattice), lattice.unknown)) {
        const known = vocabulary.idOf(text);
        const bytes = known === undefined && byte_fallback ? byteTokens(text).map((byte) => vocabulary.idOf(byte)) : [];
        if (known !== undefined) ids.push(known);
        else if (bytes.length > 0 && bytes.every((byte) => byte !== undefined)) ids.push(...bytes);
        else ids.push(id < 0 ? requireUnknown(vocabulary, null) : id);
      }
    },
  };
}

/** The tokens at the start of a stretch of text, by length: shorter first. */
type PrefixSearch = (text: string, start: number, found: (id: number, length: number) => void) => void;

interface Lattice {
  readonly scores: Float64Array;
  /** Negative if there is none. */
  readonly unknown: number;
  readonly unknownScore: number;
  readonly prefixes: PrefixSearch;
}

interface Part {
  readonly text: string;
  readonly id: number;
}

/** Viterbi's algorithm, over the ends of tokens. */
function bestPath(text: string, { scores, unknown, unknownScore, prefixes }: Lattice): Part[] {
  const best = new Float64Array(text.length + 1);
  const from = new Int32Array(text.length + 1).fill(-1);
  const through = new Int32Array(text.length + 1);
  const offer = (start: number, end: number, score: number, id: number) => {
    const sum = score + (best[start] ?? 0);
    if ((from[end] ?? -1) >= 0 && sum <= (best[end] ?? 0)) return;
    best[end] = sum;
    from[end] = start;
    through[end] = id;
  };
  for (let start = 0; start < text.length;) {
    const here = start;
    const char = (text.codePointAt(here) ?? 0) > 0xffff ? 2 : 1;
    let single = false;
    prefixes(text, here, (id, length) => {
      offer(here, here + length, scores[id] ?? 0, id);
      single ||= length === char;
    });
    if (!single) offer(here, here + char, unknownScore, unknown);
    start += char;
  }
  const parts: Part[] = [];
  for (let end = text.length; end > 0; end = from[end] ?? 0) {
    parts.push({ text: text.slice(from[end], end), id: through[end] ?? -1 });
  }
  return parts.toReversed();
}

/** Unknown characters in a row are one part. */
function joinUnknown(parts: Part[], unknown: number): Part[] {
  const joined: Part[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last?.id === unknown && part.id === unknown) {
      joined[joined.length - 1] = { text: last.text + part.text, id: unknown };
    } else joined.push(part);
  }
  return joined;
}

/** A sorted list, narrowed unit by unit: a trie of 256,000 tokens would take a hundred megabytes of small objects. */
function prefixSearch(vocabulary: Vocabulary, tokens: ReadonlySet<string>): PrefixSearch {
  const sorted = [...tokens].filter((token) => token !== "").toSorted((a, b) => (a < b ? -1 : 1));
  const ids = Int32Array.from(sorted, (token) => vocabulary.idOf(token) ?? -1);
  /** The first of sorted[low..high), which agree before `depth`, whose unit there is at least `unit`. */
  const bound = (low: number, high: number, depth: number, unit: number) => {
    while (low < high) {
      const middle = (low + high) >> 1;
      const token = sorted[middle] ?? "";
      if (depth < token.length && token.charCodeAt(depth) >= unit) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return (text, start, found) => {
    let [low, high] = [0, sorted.length];
    for (let depth = 0; low < high && start + depth < text.length; depth++) {
      const unit = text.charCodeAt(start + depth);
      low = bound(low, high, depth, unit);
      high = bound(low, high, depth, unit + 1);
      if (low < high && sorted[low]?.length === depth + 1) found(ids[low] ?? -1, depth + 1);
    }
  };
}
