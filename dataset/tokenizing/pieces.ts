/** A text on its way from row to tokens, cut into pieces, and the ways to cut it at matches of a pattern. */
import { type Finder, characterLength } from "./patterns.ts";

export interface Piece {
  readonly text: string;
  /**
   * How many of its UTF-16 units, from its start, stem from the first character that the whole text had before any
   * normalisation; Metaspace's scheme "first" asks.
   */
  readonly opening: number;
}

export const wholeText = (text: string): Piece => ({ text, opening: text === "" ? 0 : characterLength(text, 0) });

/** The five behaviours of Split in tokenizer.json. */
export const behaviours = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type Behaviour = (typeof behaviours)[number];

/** A stretch of text, and whether the pattern matched it. */
interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly matched: boolean;
}

/** Cuts `piece` where `find` matches; with `invert`, where it does not. Pieces may be empty. */
export function splitPiece(piece: Piece, find: Finder, behaviour: Behaviour, invert = false): Piece[] {
  const stretches = stretchesOf(piece.text, find, invert);
  return joinBy(behaviour, stretches).map(({ start, end }) => slicePiece(piece, start, end));
}

export function slicePiece(piece: Piece, start: number, end: number): Piece {
  return { text: piece.text.slice(start, end), opening: Math.max(0, Math.min(piece.opening, end) - start) };
}

function stretchesOf(text: string, find: Finder, invert: boolean): Stretch[] {
  const stretches: Stretch[] = [];
  let position = 0;
  for (const [start, end] of find(text)) {
    if (start > position) stretches.push({ start: position, end: start, matched: invert });
    stretches.push({ start, end, matched: !invert });
    position = end;
  }
  if (position < text.length) stretches.push({ start: position, end: text.length, matched: invert });
  return stretches;
}

function joinBy(behaviour: Behaviour, stretches: Stretch[]): Stretch[] {
  if (behaviour === "Isolated") return stretches;
  if (behaviour === "Removed") return stretches.filter(({ matched }) => !matched);
  if (behaviour === "Contiguous") return joinWhere(stretches, (before, here) => before.matched === here.matched);
  // Of several matches in a row, only the one beside other text is joined to it.
  const beside = (other: Stretch, here: Stretch) => here.matched && !other.matched;
  return joinWhere(stretches, (before, here) =>
    behaviour === "MergedWithPrevious" ? beside(before, here) : beside(here, before),
  );
}

/** Joins each stretch to the one before it where `joins` says so of the two as they were. */
function joinWhere(stretches: Stretch[], joins: (before: Stretch, here: Stretch) => boolean): Stretch[] {
  const joined: Stretch[] = [];
  stretches.forEach((here, i) => {
    const before = stretches[i - 1];
    const last = joined.at(-1);
    if (before && last && joins(before, here)) joined[joined.length - 1] = { ...last, end: here.end };
    else joined.push(here);
  });
  return joined;
}
