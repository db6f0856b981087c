/**
 * Where a pattern of a tokenizer.json matches. The reference library searches with Oniguruma, whose syntax and classes are not
 * JavaScript's; oniguruma-to-es translates an expression, or refuses it.
 */
import { toOnigurumaAst } from "oniguruma-parser";
import { generate } from "oniguruma-parser/generator";
import type { Node } from "oniguruma-parser/parser";
import { traverse } from "oniguruma-parser/traverser";
import { toRegExp } from "oniguruma-to-es";
import { z } from "zod";
import { invariant } from "../../schema/errors.ts";
import { asOfUnicode16 } from "./unicode.ts";

/** Start and end of each match in a text, in UTF-16 units, in order and without overlap. */
export type Finder = (text: string) => Iterable<readonly [start: number, end: number]>;

export const patternSchema = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);

/** @throws if the expression is not valid or has no equivalent in JavaScript */
export function finderOf(pattern: z.infer<typeof patternSchema>): Finder {
  if ("Regex" in pattern) return finderOfUnicode16(translate(pattern.Regex));
  return pattern.String === "" ? regexFinder(/(?:)/gu) : stringFinder(pattern.String);
}

/** @throws with the expression and the reason */
function translate(expression: string): RegExp {
  try {
    return toRegExp(withExactWords(expression), { global: true, rules: { captureGroup: true } });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the regular expression ${JSON.stringify(expression)} cannot be translated (${reason})`, { cause });
  }
}

/**
 * Spells out \\w and \\b, whose characters oniguruma-to-es only approximates: to Oniguruma, letters in circles are word
 * characters and letters' numbers are none, but outside brackets the numbers of Latin-1 are.
 */
function withExactWords(expression: string): string {
  const ast = toOnigurumaAst(expression, { rules: { captureGroup: true } });
  const ignoresCase = /\(\?[a-z]*i/u.test(expression);
  traverse(ast, {
    Alternative: ({ node }) => {
      const literal = node.body
        .map((part) => (part.type === "Character" ? String.fromCodePoint(part.value) : " "))
        .join("");
      if (ignoresCase) refuseLongFolds(literal);
    },
    CharacterClass: ({ node }) => {
      const chars = node.body.map((part) => (part.type === "Character" ? String.fromCodePoint(part.value) : ""));
      if (ignoresCase) chars.forEach(refuseLongFolds);
    },
    CharacterSet: ({ node, parent, replaceWith }) => {
      if (node.kind !== "word" && !(node.kind === "posix" && node.value === "word")) return;
      const inBrackets = parent.type === "CharacterClass" || parent.type === "CharacterClassRange";
      replaceWith(nodeOf(`[${node.negate ? "^" : ""}${wordCharacters}${inBrackets ? "" : latinNumbers}]`));
    },
    Assertion: ({ node, replaceWith }) => {
      if (node.kind !== "word_boundary") return;
      const word = `[${wordCharacters}${latinNumbers}]`;
      const [inside, outside] = node.negate ? ["=", "!"] : ["!", "="];
      replaceWith(nodeOf(`(?:(?<=${word})(?${inside}${word})|(?<!${word})(?${outside}${word}))`));
    },
  });
  return generate(ast).pattern;
}

/** To Oniguruma "ss" and U+00DF are one letter in two cases, and "fi" and its ligature; no JavaScript does that. */
function refuseLongFolds(literal: string): void {
  const longer = Array.from(literal).some((char) => char.toUpperCase().length > char.length);
  if (longer || /ss|ff|fi|fl|st/iu.test(literal)) throw new Error("it ignores the case of letters that have ligatures");
}

const wordCharacters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
const latinNumbers = "\u00b2\u00b3\u00b9\u00bc-\u00be";

function nodeOf(expression: string): Node {
  const node = toOnigurumaAst(expression).body[0]?.body[0];
  invariant(node, "an expression has a node");
  return node;
}

function stringFinder(searched: string): Finder {
  return function* find(text) {
    for (let at = text.indexOf(searched); at >= 0; at = text.indexOf(searched, at + searched.length)) {
      yield [at, at + searched.length];
    }
  };
}

/** Finds each match as Unicode 16 has its classes. */
export function finderOfUnicode16(expression: RegExp): Finder {
  const find = regexFinder(expression);
  return (text) => find(asOfUnicode16(text));
}

/** Finds each match of an expression with the flags g and u or v. */
export function regexFinder(expression: RegExp): Finder {
  return function* find(text) {
    let previousEnd = -1;
    expression.lastIndex = 0;
    for (let match = expression.exec(text); match; match = expression.exec(text)) {
      const [start, end] = [match.index, match.index + match[0].length];
      // Unlike JavaScript, the reference finds no empty match where another has just ended, nor does it look inside a pair
      // of surrogates, where V8 finds lookarounds.
      const skipped = start === end && (end === previousEnd || splitsPair(text, end));
      const next = skipped ? end + characterLength(text, end) : end;
      if (!skipped) {
        previousEnd = end;
        yield [start, end];
      }
      expression.lastIndex = next;
    }
  };
}

const splitsPair = (text: string, at: number) => at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;

/** In UTF-16 units. */
export const characterLength = (text: string, at: number) => ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
