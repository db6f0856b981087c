/** A model may write U+0000, the only character that Postgres cannot store, or half a character. */
import type { TokenLogprob } from "../../schema/completion.ts";

export function storable(text: string): string {
  return text.replaceAll("\0", "\uFFFD").toWellFormed();
}

export function storableLogprob(chance: TokenLogprob): TokenLogprob {
  const top = chance.top.map((other) => ({ ...other, text: storable(other.text) }));
  return { ...chance, text: storable(chance.text), top };
}
