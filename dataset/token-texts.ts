/** Tokens as people read them. */
import type { Tokenizer } from "./tokenizer.ts";

/**
 * The text of one token. It is decoded after another one, since decoders drop the space before the first word of a text.
 * Special tokens have their own text.
 */
export function tokenTexts(tokenizer: Tokenizer): (id: number) => string {
  const [first = 0] = tokenizer.encodeMore("a").slice(-1);
  const before = tokenizer.decode([first]);
  const texts = new Map<number, string>();
  return (id) => {
    const known = texts.get(id) ?? tokenizer.specialText(id);
    if (known !== undefined) return known;
    const both = tokenizer.decode([first, id]);
    const text = both.startsWith(before) ? both.slice(before.length) : tokenizer.decode([id]);
    texts.set(id, text);
    return text;
  };
}
