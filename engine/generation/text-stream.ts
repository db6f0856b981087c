/**
 * Tokens to text as it becomes certain. The pieces together are the text of all tokens, decoded at once, wherever they are cut,
 * and each piece is whole code points. A decoder reads a token by those around it: it drops the space before the first word,
 * joins bytes to characters, and a tokenizer with byte fallback takes a whole run of bytes for U+FFFD if one of them is wrong.
 * So a few earlier tokens are decoded again with each new one, and text is held back while a later token could still change it.
 */

export interface Decoding {
  /** The text of tokens, without special ones. */
  readonly decode: (tokens: readonly number[]) => string | Promise<string>;
  /** A token that is the start of a character (`startsCharacter`); null if there is none. */
  readonly halfCharacter: number | null;
}

/** Some characters that hardly any vocabulary has whole. */
const rareCharacters = "\u{10000}\u{1204a}\u{1f02b}\u{10fffd}";

/** A token that is only some bytes of a character; null for a tokenizer without such tokens. */
export async function findHalfCharacter(
  encode: (text: string) => readonly number[] | Promise<readonly number[]>,
  decode: Decoding["decode"],
): Promise<number | null> {
  for (const token of await encode(rareCharacters)) if ((await decode([token])) === "\ufffd") return token;
  return null;
}

/** While so many tokens are held back, or more, only every so many are tried: a run of bytes without end costs no more. */
const triedEach = 32;

export class TextStream {
  readonly #decoding: Decoding;
  /** Tokens to decode: some whose text was given already, then those that are held back. */
  #tokens: number[] = [];
  #given = 0;
  #givenText = "";

  constructor(decoding: Decoding) {
    this.#decoding = decoding;
  }

  /** The text that becomes certain with this token. */
  async push(token: number): Promise<string> {
    this.#tokens.push(token);
    const held = this.#tokens.length - this.#given;
    if (held > triedEach && held % triedEach !== 0) return "";
    const text = await this.#decoding.decode(this.#tokens);
    return (await this.#isCertain(text)) ? this.#give(text) : "";
  }

  /** The text that was held back. No token follows. */
  async end(): Promise<string> {
    return this.#give(await this.#decoding.decode(this.#tokens));
  }

  async #isCertain(text: string): Promise<boolean> {
    if (/[\ufffd\ud800-\udbff]$/.test(text)) return false;
    const { decode, halfCharacter } = this.#decoding;
    return halfCharacter === null || (await decode([...this.#tokens, halfCharacter])).startsWith(text);
  }

  async #give(text: string): Promise<string> {
    const fresh = text.slice(this.#givenText.length);
    const last = this.#tokens.slice(this.#given);
    const lastText = await this.#decoding.decode(last);
    // Tokens without a text of their own, such as special ones, do not tell a decoder that the text has begun.
    if (lastText !== "") [this.#tokens, this.#givenText] = [last, lastText];
    else this.#givenText = text;
    this.#given = this.#tokens.length;
    return fresh.toWellFormed();
  }
}
