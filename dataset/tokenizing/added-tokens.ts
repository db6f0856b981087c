/** Tokens added to the vocabulary: they are found in a text before the model sees it, as a whole. */
import type { Normalizer } from "./normalizers.ts";
import type { Vocabulary } from "./model.ts";
import { asOfUnicode16 } from "./unicode.ts";
import { type Piece, slicePiece, wholeText } from "./pieces.ts";

export interface AddedToken {
  readonly content: string;
  /** Found only where no word goes on before or after it. */
  readonly single_word: boolean;
  /** Takes the white space before it. */
  readonly lstrip: boolean;
  /** Takes the white space after it. */
  readonly rstrip: boolean;
  /** Looked for in its normalised form, in the normalised text. */
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface AddedVocabulary {
  readonly ids: ReadonlyMap<string, number>;
  readonly tokens: ReadonlyMap<number, AddedToken>;
  /** Contents of special tokens. */
  readonly special: ReadonlySet<string>;
}

/**
 * Ids as the reference gives them: a token of the model keeps its id, any other gets the next one; ids in files are not read.
 * A token that comes again has the properties of the last.
 */
export function addTokens(added: readonly AddedToken[], model: Vocabulary): AddedVocabulary {
  const ids = new Map<string, number>();
  const tokens = new Map<number, AddedToken>();
  let next = model.size;
  for (const token of added) {
    if (token.content === "") continue;
    const id = ids.get(token.content) ?? model.idOf(token.content) ?? next;
    next = Math.max(next, id + 1);
    ids.set(token.content, id);
    tokens.set(id, token);
  }
  const special = new Set([...tokens.values()].filter((token) => token.special).map(({ content }) => content));
  return { ids, tokens, special };
}

/** As the reference writes it: a token that is looked for in its normalised form is written in that form, too. */
export const writtenForm = ({ content, normalized }: AddedToken, normalizer: Normalizer | null): string =>
  normalized && normalizer !== null ? normalizer(wholeText(content)).text : content;

/** A part of a text: an added token, or a piece for the model. */
export type Section = { readonly id: number } | { readonly piece: Piece };

/** @throws if a token's normalised form is empty */
export function sectionsOf(
  { ids, tokens }: AddedVocabulary,
  normalizer: Normalizer | null,
  splitSpecial: boolean,
): (text: string) => Section[] {
  const normalize = (piece: Piece) => (normalizer === null ? piece : normalizer(piece));
  const entries = [...ids].flatMap(([content, id]) => {
    const token = tokens.get(id);
    return token && !(splitSpecial && token.special) ? [{ content, id, token }] : [];
  });
  const plain = trieOf(entries.filter(({ token }) => !token.normalized));
  const normalized = trieOf(
    entries
      .filter(({ token }) => token.normalized)
      .map((entry) => ({ ...entry, content: writtenForm(entry.token, normalizer) })),
  );
  return (text) =>
    sectionsIn(wholeText(text), plain).flatMap((section) =>
      "piece" in section ? sectionsIn(normalize(section.piece), normalized) : [section],
    );
}

interface Entry {
  readonly content: string;
  readonly id: number;
  readonly token: AddedToken;
}

interface Trie {
  readonly next: Map<number, Trie>;
  entry?: Entry;
}

function trieOf(entries: readonly Entry[]): Trie {
  const root: Trie = { next: new Map() };
  for (const entry of entries) {
    if (entry.content === "") {
      throw new Error(`the added token ${JSON.stringify(entry.token.content)} is empty once normalised`);
    }
    let node = root;
    for (let i = 0; i < entry.content.length; i++) {
      const unit = entry.content.charCodeAt(i);
      const child = node.next.get(unit) ?? { next: new Map<number, Trie>() };
      node.next.set(unit, child);
      node = child;
    }
    // Of tokens with one normalised form the reference takes any; we take the first.
    node.entry ??= entry;
  }
  return root;
}

/** The longest token that starts at `start`. */
function longestAt(text: string, start: number, root: Trie): Entry | undefined {
  let found: Entry | undefined;
  let node: Trie | undefined = root;
  for (let i = start; node && i <= text.length; i++) {
    found = node.entry ?? found;
    node = node.next.get(text.charCodeAt(i));
  }
  return found;
}

function sectionsIn(piece: Piece, root: Trie): Section[] {
  const { text } = piece;
  if (root.next.size === 0) return text === "" ? [] : [{ piece }];
  const sections: Section[] = [];
  let position = 0;
  const flush = (end: number) => {
    if (end > position) sections.push({ piece: slicePiece(piece, position, end) });
  };
  for (let at = 0; at < text.length;) {
    const entry = longestAt(text, at, root);
    const end = at + (entry?.content.length ?? 1);
    if (entry && (!entry.token.single_word || standsAlone(text, at, end))) {
      const start = entry.token.lstrip ? spacesBefore(text, at, position) : at;
      flush(start);
      sections.push({ id: entry.id });
      position = entry.token.rstrip ? spacesAfter(text, end) : end;
    }
    at = end;
  }
  flush(text.length);
  return sections;
}

const word = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const space = /\p{White_Space}/u;

function standsAlone(text: string, start: number, end: number): boolean {
  return !word.test(asOfUnicode16(charBefore(text, start))) && !word.test(asOfUnicode16(charAt(text, end)));
}

const charAt = (text: string, at: number) => String.fromCodePoint(text.codePointAt(at) ?? 0);

function charBefore(text: string, at: number): string {
  const before = Array.from(text.slice(Math.max(0, at - 2), at));
  return before.at(-1) ?? "";
}

/** Where the white space before `start` begins, at `from` at the earliest. All white space is one unit long. */
function spacesBefore(text: string, start: number, from: number): number {
  let at = start;
  while (at > from && space.test(text.charAt(at - 1))) at--;
  return at;
}

function spacesAfter(text: string, end: number): number {
  let at = end;
  while (at < text.length && space.test(text.charAt(at))) at++;
  return at;
}
