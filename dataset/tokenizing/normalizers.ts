/** The normalizers of tokenizer.json: each rewrites the text before it is cut. */
import { z } from "zod";
import { spellBytes } from "./characters.ts";
import { type Kinds, kind, partOf } from "./kinds.ts";
import { finderOf, patternSchema } from "./patterns.ts";
import { precompiled } from "./precompiled.ts";
import { markCharacter, nonspacingMark, normalizeUnicode, uncleanCharacter } from "./unicode.ts";
import type { Piece } from "./pieces.ts";

export type Normalizer = (piece: Piece) => Piece;

const bertSchema = z.object({
  clean_text: z.boolean(),
  handle_chinese_chars: z.boolean(),
  strip_accents: z.boolean().nullish(),
  lowercase: z.boolean(),
});

const replaceSchema = z.object({ pattern: patternSchema, content: z.string() });

const kinds: Kinds<Normalizer> = {
  NFC: () => unicode("NFC"),
  NFD: () => unicode("NFD"),
  NFKC: () => unicode("NFKC"),
  NFKD: () => unicode("NFKD"),
  Lowercase: () => rewriting(lowercase),
  StripAccents: () => removing(markCharacter),
  Nmt: () => inTurn([removing(nmtRemoved), rewriting((text) => text.replace(nmtSpaces, " "))]),
  ByteLevel: () => rewriting(spellBytes),
  Strip: kind(z.object({ strip_left: z.boolean(), strip_right: z.boolean() }), ({ strip_left, strip_right }) =>
    inTurn([...(strip_left ? [removing(/^\p{White_Space}+/u)] : []), ...(strip_right ? [strippingRight] : [])]),
  ),
  Replace: kind(replaceSchema, replacing),
  Prepend: kind(z.object({ prepend: z.string() }), ({ prepend }) =>
    rewriting((text) => (text === "" ? "" : prepend + text)),
  ),
  Precompiled: kind(z.object({ precompiled_charsmap: z.string() }), ({ precompiled_charsmap }) =>
    rewriting(precompiled(precompiled_charsmap)),
  ),
  Sequence: kind(z.object({ normalizers: z.array(z.unknown()) }), ({ normalizers }) =>
    inTurn(normalizers.map(normalizerOf)),
  ),
  BertNormalizer: kind(bertSchema, (config) => inTurn(bertSteps(config))),
};

/** @throws if the normalizer is of another kind or lacks a field */
export const normalizerOf = (json: unknown): Normalizer => partOf(kinds, json);

const unicode = (form: "NFC" | "NFD" | "NFKC" | "NFKD") => rewriting((text) => normalizeUnicode(text, form));

const inTurn =
  (steps: readonly Normalizer[]): Normalizer =>
  (piece) =>
    steps.reduce((before, step) => step(before), piece);

/** Character by character, or nearly so. */
const rewriting =
  (rewrite: (text: string) => string): Normalizer =>
  ({ text, opening }) => ({ text: rewrite(text), opening: opening === 0 ? 0 : rewrite(text.slice(0, opening)).length });

const removing = (expression: RegExp) => rewriting((text) => text.replace(expression, ""));

const strippingRight: Normalizer = ({ text, opening }) => {
  const stripped = text.slice(0, endOf(text));
  return { text: stripped, opening: Math.min(opening, stripped.length) };
};

/** Where the white space at the end of a text begins. A regular expression would take quadratic time to say so. */
function endOf(text: string): number {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text.charAt(end - 1))) end--;
  return end;
}

/** Letter by letter: the reference knows no final sigma. */
const lowercase = (text: string) =>
  text.includes("Σ") ? Array.from(text, (char) => char.toLowerCase()).join("") : text.toLowerCase();

/** NMT's lists of code points. */
// oxlint-disable-next-line no-control-regex -- control characters are what it removes
const nmtRemoved = /[\u0001-\u0008\u000B\u000E-\u001F\u007F\u008F\u009F]/gu;
const nmtSpaces = /[\t\n\f\r\u1680\u200B-\u200F\u2028\u2029\u2581\uFEFF\uFFFD]/gu;

function replacing({ pattern, content }: z.infer<typeof replaceSchema>): Normalizer {
  const find = finderOf(pattern);
  return ({ text, opening }) => {
    const parts: string[] = [];
    let position = 0;
    let opened = 0;
    for (const [start, end] of find(text)) {
      parts.push(text.slice(position, start), content);
      // What replaces several characters counts as coming from the last of them.
      if (end <= opening) opened += start - position + content.length;
      else if (position < opening) opened += Math.min(start, opening) - position;
      position = end;
    }
    parts.push(text.slice(position));
    return { text: parts.join(""), opening: opened + Math.max(0, opening - position) };
  };
}

function bertSteps(config: z.infer<typeof bertSchema>): Normalizer[] {
  const steps: Normalizer[] = [];
  if (config.clean_text) {
    steps.push(
      removing(uncleanCharacter),
      rewriting((text) => text.replace(/\p{White_Space}/gu, " ")),
    );
  }
  if (config.handle_chinese_chars) steps.push(rewriting((text) => text.replace(ideographs, " $& ")));
  if (config.strip_accents ?? config.lowercase) {
    steps.push(
      rewriting((text) => normalizeUnicode(text, "NFD")),
      removing(nonspacingMark),
    );
  }
  if (config.lowercase) steps.push(rewriting(lowercase));
  return steps;
}

/** BERT's idea of a Chinese character. */
const ideographs =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu;
