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

/** Start and end of each match in a text, in UTF-16 units, in order and without overlap. */
export type Finder = (text: string) => Iterable<readonly [start: number, end: number]>;

export const patternSchema = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);

/** @throws if the expression is not valid or has no equivalent in JavaScript */
export function finderOf(pattern: z.infer<typeof patternSchema>): Finder {
  if ("Regex" in pattern) return regexFinder(translate(pattern.Regex));
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
  traverse(ast, {
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
      const next = skipped ? end + charLength(text, end) : end;
      if (!skipped) {
        previousEnd = end;
        yield [start, end];
      }
      expression.lastIndex = next;
    }
  };
}

const splitsPair = (text: string, at: number) => at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;

const charLength = (text: string, at: number) => ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
