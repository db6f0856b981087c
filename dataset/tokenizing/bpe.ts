/**
 * Byte-pair encoding (Sennrich et al. 2016): a word starts as its characters, and the pair of the lowest rank is merged, the
 * leftmost first, until no pair has a rank. A heap of pairs keeps that n log n for a word of any length.
 */
import { z } from "zod";
import { byteTokens } from "./characters.ts";
import { type Model, type Vocabulary, requireUnknown, vocabularyOf } from "./model.ts";

export const bpeSchema = z.object({
  dropout: z.number().nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
  vocab: z.custom<object>((value) => typeof value === "object" && value !== null && !Array.isArray(value)),
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
});

type Config = z.infer<typeof bpeSchema>;

/** Texts of words that were seen lately, with their tokens; most words come again. */
const cachedWords = 10_000;
const longestCached = 256;

/** @throws if a merge names a token that the vocabulary lacks, or merges are dropped at random */
export function bpeOf(config: Config): Model {
  if (config.dropout) throw new Error(`BPE with dropout ${config.dropout} cuts a text differently each time`);
  const vocabulary = vocabularyOf(Object.entries(config.vocab));
  const merges = mergesOf(config, vocabulary);
  const cache = new Map<string, readonly number[]>();
  const cut = (word: string): readonly number[] => {
    const whole = config.ignore_merges ? vocabulary.idOf(word) : undefined;
    return whole === undefined ? mergeAll(symbolsOf(word, config, vocabulary), merges) : [whole];
  };
  return {
    vocabulary,
    encode: (word, ids) => {
      const tokens = cache.get(word) ?? cut(word);
      for (const id of tokens) ids.push(id);
      if (word.length > longestCached) return;
      if (cache.size >= cachedWords) cache.clear();
      cache.set(word, tokens);
    },
  };
}

interface Merges {
  /** Rank of a pair, by `left * width + right`. */
  readonly ranks: ReadonlyMap<number, number>;
  readonly width: number;
  /** The token that a merge of a rank makes. */
  readonly made: Int32Array;
}

function mergesOf({ merges, continuing_subword_prefix: prefix }: Config, vocabulary: Vocabulary): Merges {
  const require = (token: string) => {
    const id = vocabulary.idOf(token);
    if (id === undefined) throw new Error(`a merge names ${JSON.stringify(token)}, which the vocabulary lacks`);
    return id;
  };
  const pairs = merges.filter((merge) => typeof merge !== "string" || !merge.startsWith("#version"));
  const ids = pairs.map((merge) => {
    const [left, right, ...more] = typeof merge === "string" ? merge.split(" ") : merge;
    if (left === undefined || right === undefined || more.length > 0) {
      throw new Error(`the merge ${JSON.stringify(merge)} is not of two tokens`);
    }
    return [require(left), require(right), require(left + right.slice(prefix?.length ?? 0))] as const;
  });
  const width = 1 + ids.reduce((highest, [left, right]) => Math.max(highest, left, right), 0);
  return {
    width,
    ranks: new Map(ids.map(([left, right], rank) => [left * width + right, rank])),
    made: Int32Array.from(ids, ([, , made]) => made),
  };
}

/** Tokens of single characters, with unknown ones as bytes or as the unknown token. */
function symbolsOf(word: string, config: Config, vocabulary: Vocabulary): number[] {
  const symbols: number[] = [];
  // The reference holds an unknown token back until a known one comes, and fuses what follows it.
  let held: number | null = null;
  const chars = Array.from(word);
  for (const [i, char] of chars.entries()) {
    const prefix = i > 0 ? (config.continuing_subword_prefix ?? "") : "";
    const suffix = i === chars.length - 1 ? (config.end_of_word_suffix ?? "") : "";
    const text = prefix + char + suffix;
    const id = vocabulary.idOf(text);
    const bytes = id === undefined && config.byte_fallback ? byteTokens(text).map((byte) => vocabulary.idOf(byte)) : [];
    if (id !== undefined) {
      if (held !== null) symbols.push(held);
      held = null;
      symbols.push(id);
    } else if (bytes.length > 0 && bytes.every((byte) => byte !== undefined)) {
      symbols.push(...bytes);
    } else if (config.unk_token !== null && config.unk_token !== undefined) {
      if (held !== null && !config.fuse_unk) symbols.push(held);
      held = requireUnknown(vocabulary, config.unk_token);
    }
  }
  if (held !== null) symbols.push(held);
  return symbols;
}

/** `symbols` is used up: a merged pair lives on in its left place, and its right place is taken out of the chain. */
function mergeAll(symbols: number[], { ranks, width, made }: Merges): number[] {
  const count = symbols.length;
  const next = Int32Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
  const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
  const at = (i: number) => symbols[i] ?? -1;
  const rankAt = (i: number) => {
    const right = next[i] ?? -1;
    return i < 0 || right < 0 ? undefined : ranks.get(at(i) * width + at(right));
  };
  const heap: number[] = [];
  const offer = (i: number) => {
    const rank = rankAt(i);
    if (rank !== undefined) push(heap, rank * count + i);
  };
  for (let i = 0; i + 1 < count; i++) offer(i);
  for (let top = pop(heap); top !== undefined; top = pop(heap)) {
    const place = top % count;
    const token = made[(top - place) / count] ?? -1;
    const rank = rankAt(place);
    // A pair that has since been changed by a merge beside it, or that is gone.
    if (at(place) < 0 || rank === undefined || made[rank] !== token) continue;
    const right = next[place] ?? -1;
    const after = next[right] ?? -1;
    symbols[place] = token;
    symbols[right] = -1;
    next[place] = after;
    if (after >= 0) previous[after] = place;
    offer(previous[place] ?? -1);
    offer(place);
  }
  return symbols.filter((symbol) => symbol >= 0);
}

/** A binary heap with the smallest number on top. */
function push(heap: number[], key: number): void {
  let child = heap.length;
  heap.push(key);
  while (child > 0) {
    const parent = (child - 1) >> 1;
    const above = heap[parent] ?? key;
    if (above <= key) break;
    heap[child] = above;
    child = parent;
  }
  heap[child] = key;
}

function pop(heap: number[]): number | undefined {
  const top = heap[0];
  const key = heap.pop();
  if (key === undefined || heap.length === 0) return top;
  let parent = 0;
  for (;;) {
    let child = 2 * parent + 1;
    if ((heap[child + 1] ?? Infinity) < (heap[child] ?? Infinity)) child++;
    const below = heap[child];
    if (below === undefined || below >= key) break;
    heap[parent] = below;
    parent = child;
  }
  heap[parent] = key;
  return top;
}
