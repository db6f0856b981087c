/** What any text of a row must be. */
import { limits } from "../schema/limits.ts";

/** What is wrong with a text; null for nothing. */
export function textProblem(text: string): string | null {
  if (!text.isWellFormed()) return "contains half of a surrogate pair (\\ud800 to \\udfff), which is no character";
  if (text.length <= limits.wordLength) return null;
  for (const [word] of text.matchAll(/\S+/gu)) {
    if (word.length > limits.wordLength) {
      return `contains a word of ${word.length} characters without white space; the limit is ${limits.wordLength}`;
    }
  }
  return null;
}
