/**
 * From characters to tokens: which tokens of a rendered conversation are scored. A border between characters is found by
 * tokenising the text before it, but only from the last cut before it: a special token, or the end of an earlier span, at which
 * text and tokens part cleanly. So a conversation is tokenised about twice, however many turns it has.
 */
import { invalid } from "./issues.ts";
import type { Span } from "./chat-spans.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A position in the text, and the number of tokens before it. */
interface Cut {
  readonly at: number;
  readonly token: number;
}

interface ScoredTokens {
  /** [tokens]; -100 for tokens that are not scored */
  readonly labels: readonly number[];
  /** Spans that a scored special token ends. */
  readonly ends: number;
}

/**
 * Labels of the tokens of spans, including tokens that straddle their borders, and of the special token that ends a span, if
 * there is one. `ids` are the tokens of the text.
 * @throws DATASET_INVALID for a conversation too long to be tokenised turn by turn, if there are no cuts
 */
export function labelSpans(
  tokenizer: Tokenizer,
  text: string,
  ids: readonly number[],
  spans: readonly Span[],
): ScoredTokens {
  const borders = new Borders(tokenizer, text, ids);
  const labels = ids.map(() => -100);
  let ends = 0;
  for (const { start, end } of spans) {
    const first = borders.tokensBefore(start).shared;
    const { shared, whole } = borders.tokensBefore(end);
    const after = whole ? shared : shared + 1;
    const ended = tokenizer.isSpecial(ids[after] ?? -1);
    if (ended) ends += 1;
    for (let i = first; i < (ended ? after + 1 : after); i++) labels[i] = ids[i] ?? -100;
    if (whole) borders.cutAt({ at: end, token: shared });
  }
  return { labels, ends };
}

/** Characters that may be tokenised for the borders of one conversation, for each of its characters. */
const mostTimes = 16;
const alwaysAllowed = 1_000_000;

class Borders {
  readonly #tokenizer: Tokenizer;
  readonly #text: string;
  readonly #ids: readonly number[];
  readonly #specials: readonly Cut[];
  #next = 0;
  /** The last cut that is sure, and one at the end of a span, which the next border tries. */
  #cut: Cut = { at: 0, token: 0 };
  #tried: Cut | null = null;
  #tokenised = 0;

  constructor(tokenizer: Tokenizer, text: string, ids: readonly number[]) {
    this.#tokenizer = tokenizer;
    this.#text = text;
    this.#ids = ids;
    this.#specials = specialCuts(tokenizer, text, ids);
  }

  /** How many tokens the text shares with its beginning tokenised alone, and whether these are all tokens of the beginning. */
  tokensBefore(border: number): { shared: number; whole: boolean } {
    for (let next = this.#specials[this.#next]; next && next.at <= border; next = this.#specials[++this.#next]) {
      this.#cut = next;
    }
    const tried = this.#tried;
    this.#tried = null;
    if (tried && tried.at > this.#cut.at) {
      const { shared, whole } = this.#compare(tried, border);
      // White space added at the start of a text, for example, makes another first token: the cut is not clean.
      if (whole || shared > tried.token) {
        this.#cut = tried;
        return { shared, whole };
      }
    }
    return this.#compare(this.#cut, border);
  }

  cutAt(cut: Cut): void {
    this.#tried = cut;
  }

  #compare({ at, token }: Cut, border: number): { shared: number; whole: boolean } {
    this.#tokenised += border - at;
    if (this.#tokenised > mostTimes * this.#text.length + alwaysAllowed) throw tooSlow();
    const alone = this.#tokenizer.encodeMore(this.#text.slice(at, border));
    const differs = alone.findIndex((id, i) => id !== this.#ids[token + i]);
    return { shared: token + (differs < 0 ? alone.length : differs), whole: differs < 0 };
  }
}

function tooSlow() {
  const message =
    "the conversation is too long for a chat template that writes no special tokens between turns. Give shorter conversations";
  return invalid(`${message}.`, [{ field: "messages", message }]);
}

/** Kinds of special tokens that are looked for; a template has few. */
const mostKinds = 16;

/**
 * Where special tokens are in the text, ascending. Only tokens whose text occurs exactly as often as the token: then each
 * occurrence is the token.
 */
function specialCuts(tokenizer: Tokenizer, text: string, ids: readonly number[]): Cut[] {
  const tokens = new Map<number, number[]>();
  for (const [token, id] of ids.entries()) {
    if (!tokenizer.isSpecial(id)) continue;
    const its = tokens.get(id);
    if (its) its.push(token);
    else tokens.set(id, [token]);
  }
  const cuts = [...tokens].slice(0, mostKinds).flatMap(([id, its]) => {
    const places = occurrences(text, tokenizer.specialText(id) ?? "");
    return places.length === its.length ? places.map((at, index) => ({ at, token: its[index] ?? 0 })) : [];
  });
  return cuts.toSorted((a, b) => a.at - b.at);
}

function occurrences(text: string, part: string): number[] {
  const places: number[] = [];
  if (part === "") return places;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) places.push(at);
  return places;
}
