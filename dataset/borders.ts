/**
 * Where a prompt ends and an answer begins, text and tokens may part differently. A tokenizer that puts a space of its own
 * before a text (SentencePiece) makes two tokens of " great", a space and a word, where running text has one; one that does not
 * makes one word of "was" and "great". Rows are trained as they are written; this finds which way of writing them would give
 * the tokens of running text.
 */
import { quote } from "./issues.ts";
import { tokenTexts } from "./token-texts.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Characters on each side of the border that are looked at. */
const near = 256;
/** Tokens that are named. */
const mostNamed = 8;

/** What is wrong with an answer's first tokens after a prompt, as a sentence; null if they are those of running text. */
export function borderProblem(tokenizer: Tokenizer, prompt: string, answer: string): string | null {
  const before = prompt.slice(-near).toWellFormed();
  const after = answer.slice(0, near).toWellFormed();
  const joined = join(tokenizer, before, after);
  const whole = runningText(tokenizer, before, after, joined);
  if (whole === null) return null;
  const shared = joined.findIndex((id, index) => id !== whole[index]);
  const names = namesOf(tokenizer, shared < 0 ? joined.length : shared);
  const seen = `After its prompt, ${quote(answer)} becomes the tokens ${names(joined)}; in running text they are ${names(whole)}.`;
  return `${seen} ${advice(tokenizer, before, after, whole)}.`;
}

/** As a row is encoded. */
function join(tokenizer: Tokenizer, prompt: string, answer: string): number[] {
  return [...tokenizer.encodeStart(prompt), ...tokenizer.encodeMore(answer)];
}

/** The tokens that the tokenizer makes of prompt and answer as one text; null if they are `joined`. */
function runningText(
  tokenizer: Tokenizer,
  prompt: string,
  answer: string,
  joined: readonly number[],
): readonly number[] | null {
  const plain = tokenizer.encodeStart(`${prompt}${answer}`);
  if (prompt === "" || /\s$/u.test(prompt) || /^\s/u.test(answer)) return isSame(plain, joined) ? null : plain;
  const spaced = tokenizer.encodeStart(`${prompt} ${answer}`);
  if (isSame(spaced, joined)) return null;
  if (wordEnds.test(prompt) && wordStarts.test(answer)) return spaced;
  return isSame(plain, joined) ? null : plain;
}

/** Of scripts that put spaces between words. */
const letter = String.raw`[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Devanagari}]`;
const wordEnds = new RegExp(`${letter}$`, "u");
const wordStarts = new RegExp(`^${letter}`, "u");

/** Which other way of writing prompt or answer gives the tokens of running text. */
function advice(tokenizer: Tokenizer, prompt: string, answer: string, whole: readonly number[]): string {
  const words = [answer, answer.trimStart(), ` ${answer.trimStart()}`];
  const word = words.find((one) => isSame(join(tokenizer, prompt, one), whole));
  if (word !== undefined) return `Write ${quote(word)}`;
  const bare = prompt.trimEnd();
  const after = words.find((one) => isSame(join(tokenizer, bare, one), whole));
  if (after !== undefined) return `End the prompt without white space and write ${quote(after)}`;
  return "No other space at its start gives these. End the prompt otherwise, or choose another word";
}

function namesOf(tokenizer: Tokenizer, from: number): (ids: readonly number[]) => string {
  const text = tokenTexts(tokenizer);
  return (ids) => {
    const named = ids.slice(from, from + mostNamed).map((id) => JSON.stringify(text(id)));
    const more = ids.length > from + mostNamed ? " …" : "";
    return named.length > 0 ? `${named.join(" ")}${more}` : "none";
  };
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index]);
}
