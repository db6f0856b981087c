/** Classes of characters as the reference library draws them, which is not always where JavaScript's \w, \d and \s do. */
import { finderOfUnicode16, regexFinder } from "./patterns.ts";
import { punctuationCharacter } from "./unicode.ts";

export const whiteSpace = regexFinder(/\p{White_Space}/gu);
export const numeric = regexFinder(/\p{N}/gu);
export const punctuation = regexFinder(punctuationCharacter);
export const wordsAndSymbols = finderOfUnicode16(
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
);

/** The words of GPT-2 (Radford et al. 2019). */
export const wordsOfGpt2 = finderOfUnicode16(
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu,
);

/** GPT-2's letters for bytes: those that print stand for themselves, the others are moved to U+0100 and after. */
export const lettersOfBytes: readonly string[] = byteLetters();
export const bytesOfLetters: ReadonlyMap<string, number> = new Map(
  lettersOfBytes.map((letter, byte) => [letter, byte]),
);

function byteLetters(): string[] {
  let moved = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(prints ? byte : 0x100 + moved++);
  });
}

const utf8 = new TextEncoder();

/** The UTF-8 bytes of a text, each as its letter. */
export function spellBytes(text: string): string {
  return isAscii(text) ? spellAscii(text) : spellAll(text);
}

/** Most words of most texts, for which an encoder costs more than the rest. */
function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

function spellAscii(ascii: string): string {
  let spelled = "";
  for (let i = 0; i < ascii.length; i++) spelled += lettersOfBytes[ascii.charCodeAt(i)] ?? "";
  return spelled;
}

function spellAll(text: string): string {
  let spelled = "";
  for (const byte of utf8.encode(text)) spelled += lettersOfBytes[byte] ?? "";
  return spelled;
}

/** The names of a text's bytes among the tokens of byte fallback, such as <0x0A>. */
export function byteTokens(text: string): string[] {
  return Array.from(utf8.encode(text), (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
}
