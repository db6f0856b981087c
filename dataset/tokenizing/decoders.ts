/** The decoders of tokenizer.json: from the texts of tokens back to a text. */
import { z } from "zod";
import { bytesOfLetters } from "./characters.ts";
import { type Kinds, kind, oneCharacter, partOf } from "./kinds.ts";
import { finderOf, patternSchema } from "./patterns.ts";

/** Tokens' texts, rewritten; together they are the text. */
export type Decoder = (tokens: readonly string[]) => string[];

const stripSchema = z.object({ content: oneCharacter, start: z.int().nonnegative(), stop: z.int().nonnegative() });

const ctcSchema = z.object({ pad_token: z.string(), word_delimiter_token: z.string(), cleanup: z.boolean() });

const replaceSchema = z.object({ pattern: patternSchema, content: z.string() });

const wordPieceSchema = z.object({ prefix: z.string(), cleanup: z.boolean() });

const metaspaceSchema = z.object({
  replacement: oneCharacter,
  prepend_scheme: z.enum(["always", "first", "never"]).default("always"),
});

const kinds: Kinds<Decoder> = {
  ByteLevel: () => (tokens) => [decodeLetters(tokens)],
  ByteFallback: () => decodeByteTokens,
  Fuse: () => (tokens) => [tokens.join("")],
  BPEDecoder: kind(z.object({ suffix: z.string() }), ({ suffix }) => (tokens) => {
    const last = tokens.length - 1;
    return tokens.map((token, i) => replaceAll(token, suffix, i === last ? "" : " "));
  }),
  WordPiece: kind(wordPieceSchema, joinWordPieces),
  Metaspace: kind(
    metaspaceSchema,
    ({ replacement, prepend_scheme }) =>
      (tokens) =>
        tokens.map((token, i) => replaceAll(token, replacement, i === 0 && prepend_scheme !== "never" ? "" : " ")),
  ),
  Replace: kind(replaceSchema, replacing),
  Strip: kind(stripSchema, (config) => (tokens) => tokens.map((token) => strip(token, config))),
  CTC: kind(ctcSchema, collapse),
  Sequence: kind(z.object({ decoders: z.array(z.unknown()) }), ({ decoders }) => {
    const steps = decoders.map(decoderOf);
    return (tokens) => steps.reduce((before, step) => step(before), [...tokens]);
  }),
};

/** @throws if the decoder is of another kind or lacks a field */
export const decoderOf = (json: unknown): Decoder => partOf(kinds, json);

/** The bytes that a token's text stands for, in a decoder that joins bytes to characters; null for other tokens. */
export function bytesReaderOf(json: unknown): (token: string) => readonly number[] | null {
  const names = kindsIn(json);
  return (token) => {
    const byte = names.includes("ByteFallback") ? byteOf(token) : null;
    if (byte !== null) return [byte];
    return names.includes("ByteLevel") ? lettersToBytes(token) : null;
  };
}

/** Of a decoder and those inside it. */
function kindsIn(json: unknown): string[] {
  const { data } = z.looseObject({ type: z.string(), decoders: z.array(z.unknown()).optional() }).safeParse(json);
  return data ? [data.type, ...(data.decoders ?? []).flatMap(kindsIn)] : [];
}

const replaceAll = (text: string, searched: string, content: string) =>
  searched === "" ? ["", ...Array.from(text), ""].join(content) : text.replaceAll(searched, () => content);

const utf8 = new TextEncoder();
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** A token with other characters than letters of bytes stands for itself. */
function decodeLetters(tokens: readonly string[]): string {
  return lossy.decode(Uint8Array.from(tokens.flatMap(lettersToBytes)));
}

function lettersToBytes(token: string): number[] {
  const letters = Array.from(token, (letter) => bytesOfLetters.get(letter));
  return letters.every((byte) => byte !== undefined) ? letters : [...utf8.encode(token)];
}

/** Byte tokens in a row are decoded together: as UTF-8, or else as one U+FFFD a byte. */
function decodeByteTokens(tokens: readonly string[]): string[] {
  const decoded: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) decoded.push(decodeBytes(Uint8Array.from(bytes)));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = byteOf(token);
    if (byte !== null) bytes.push(byte);
    else {
      flush();
      decoded.push(token);
    }
  }
  flush();
  return decoded;
}

/** Of a token like <0xE2>; null for other tokens. */
function byteOf(token: string): number | null {
  const groups = /^<0x(?:\+(?<digit>[\dA-Fa-f])|(?<digits>[\dA-Fa-f]{2}))>$/u.exec(token)?.groups;
  return groups ? Number.parseInt(groups["digits"] ?? groups["digit"] ?? "", 16) : null;
}

function decodeBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return "\ufffd".repeat(bytes.length);
  }
}

function replacing({ pattern, content }: z.infer<typeof replaceSchema>): Decoder {
  const find = finderOf(pattern);
  return (tokens) =>
    tokens.map((token) => {
      const parts: string[] = [];
      let position = 0;
      for (const [start, end] of find(token)) {
        parts.push(token.slice(position, start), content);
        position = end;
      }
      return parts.join("") + token.slice(position);
    });
}

function joinWordPieces({ prefix, cleanup }: z.infer<typeof wordPieceSchema>): Decoder {
  const joined = (token: string) => (token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`);
  return (tokens) =>
    tokens.map((token, i) => (i === 0 ? token : joined(token))).map((token) => (cleanup ? cleanUp(token) : token));
}

/** Up to `start` times the character from the start, and up to `stop` times from the end. */
function strip(token: string, { content, start, stop }: z.infer<typeof stripSchema>): string {
  const chars = Array.from(token);
  let first = 0;
  while (first < start && chars[first] === content) first++;
  let end = chars.length;
  while (chars.length - end < stop && end > first && chars[end - 1] === content) end--;
  return chars.slice(first, end).join("");
}

/** Repeated tokens count once (connectionist temporal classification). */
function collapse({ pad_token, word_delimiter_token, cleanup }: z.infer<typeof ctcSchema>): Decoder {
  return (tokens) =>
    tokens
      .filter((token, i) => token !== tokens[i - 1])
      .map((token) => replaceAll(token, pad_token, ""))
      .map((token) => (cleanup ? replaceAll(cleanUp(token), word_delimiter_token, " ") : token))
      .filter((token) => token !== "");
}

/** Takes back the spaces that splitting at punctuation has left in English. */
const cleanUp = (text: string) =>
  spacing.reduce((before, [searched, content]) => before.replaceAll(searched, content), text);

const spacing = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;
