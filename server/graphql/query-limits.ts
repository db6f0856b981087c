/**
 * Limits on what one GraphQL request may contain, each checked in one pass before anything slower reads it. Parsing,
 * validating and executing are recursive or quadratic in parts, so a request of 4 MB could otherwise hold up everybody.
 */
import { Kind, Lexer, Source, TokenKind, visit, type DocumentNode, type Token } from "graphql";
import { requestError } from "../errors.ts";

const most = {
  /** UTF-16 units of a query. Rows up to a mebibyte may be in it as a string, with escapes. */
  characters: 2 * 1024 * 1024,
  /** Each error's position is found by counting lines from the start. */
  lines: 50_000,
  tokens: 4_000,
  /** UTF-16 units of a name. An unknown one is compared with those of the schema. */
  name: 200,
  /** Brackets of any kind within each other. */
  nesting: 50,
  /** Selected fields, before fragments are expanded. */
  fields: 1_000,
  /** Fields with the same name in the answer; validation compares each with each. */
  sameName: 200,
  /** Uses of fragments; validation compares each with each as well. */
  spreads: 100,
  /** Values in the variables. */
  values: 10_000,
};

/** @throws GraphQLError INVALID_ARGUMENT */
export function checkQuery(query: string): void {
  if (query.length > most.characters)
    throw tooLarge(`has ${query.length} characters`, most.characters, "Send long text in the variables.");
  checkLines(query);
  const lexer = new Lexer(new Source(query));
  let tokens = 0;
  let nesting = 0;
  for (let token = next(lexer); token; token = next(lexer)) {
    const { kind, value, start, end } = token;
    if ((tokens += 1) > most.tokens) throw tooLarge(`has more than ${most.tokens} tokens`, most.tokens);
    if (kind === TokenKind.NAME && end - start > most.name) throw tooLarge("has a name that is too long", most.name);
    if (opening.has(kind)) nesting += 1;
    if (closing.has(kind)) nesting -= 1;
    if (nesting > most.nesting) throw tooLarge("is nested too deeply", most.nesting);
    if (kind === TokenKind.STRING || kind === TokenKind.BLOCK_STRING) checkText(value, "the query");
  }
}

/** Null at the end, and at what is no token; the parser says what is wrong there. */
function next(lexer: Lexer): Token | null {
  try {
    const token = lexer.advance();
    return token.kind === TokenKind.EOF ? null : token;
  } catch {
    return null;
  }
}

const opening: ReadonlySet<string> = new Set([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const closing: ReadonlySet<string> = new Set([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

function checkLines(query: string): void {
  for (const end of ["\n", "\r"]) {
    let lines = 0;
    for (let at = query.indexOf(end); at >= 0; at = query.indexOf(end, at + 1))
      if ((lines += 1) > most.lines)
        throw tooLarge(`has more than ${most.lines} lines`, most.lines, "Send long text in the variables.");
  }
}

/** @throws GraphQLError INVALID_ARGUMENT */
export function checkDocument(document: DocumentNode): void {
  const names = new Map<string, number>();
  const uses = new Map<string, Set<string>>();
  let [fields, spreads, inside] = [0, 0, ""];
  visit(document, {
    [Kind.FRAGMENT_DEFINITION]: { enter: ({ name }) => void (inside = name.value), leave: () => void (inside = "") },
    [Kind.FIELD]: ({ alias, name }) => {
      const shown = (alias ?? name).value;
      const same = (names.get(shown) ?? 0) + 1;
      names.set(shown, same);
      if ((fields += 1) > most.fields) throw tooLarge(`selects more than ${most.fields} fields`, most.fields);
      if (same > most.sameName) throw tooLarge("selects one name too often", most.sameName);
    },
    [Kind.FRAGMENT_SPREAD]: ({ name }) => {
      if ((spreads += 1) > most.spreads) throw tooLarge(`uses fragments more than ${most.spreads} times`, most.spreads);
      uses.set(inside, (uses.get(inside) ?? new Set()).add(name.value));
    },
  });
  checkCycles(uses);
}

/** Before validation, which finds cycles too, but overflows the stack in long ones. */
function checkCycles(uses: ReadonlyMap<string, ReadonlySet<string>>): void {
  const done = new Set<string>();
  const walk = (fragment: string, above: ReadonlySet<string>): void => {
    if (above.has(fragment)) throw requestError("A fragment contains itself. Remove the cycle.");
    if (done.has(fragment)) return;
    for (const used of uses.get(fragment) ?? []) walk(used, new Set([...above, fragment]));
    done.add(fragment);
  };
  for (const fragment of uses.keys()) walk(fragment, new Set());
}

/** @throws GraphQLError INVALID_ARGUMENT */
export function checkVariables(variables: unknown): void {
  const open = [{ value: variables, depth: 0 }];
  let values = 0;
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, depth } = next;
    if (typeof value === "string") checkText(value, "the variables");
    if (typeof value !== "object" || value === null) continue;
    const inner = Object.values(value) as unknown[];
    if ((values += inner.length) > most.values)
      throw requestError(`The variables have more than ${most.values} values. Send fewer; rows can be uploaded.`);
    if (depth >= most.nesting) throw requestError(`The variables are nested deeper than ${most.nesting}.`);
    for (const one of inner) open.push({ value: one, depth: depth + 1 });
  }
}

/** Text is stored in Postgres and hashed as UTF-8, which have no place for these. @throws GraphQLError INVALID_ARGUMENT */
export function checkText(text: string, where: string): void {
  if (text.isWellFormed() && !text.includes("\0")) return;
  throw requestError(`A text in ${where} has half of a surrogate pair or a zero character. Send valid Unicode.`);
}

/** Whether JSON is nested deeper than any request needs. Its parser takes seconds for millions of brackets. */
export function isTooDeep(json: Uint8Array): boolean {
  let [depth, quoted] = [0, false];
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === quote) quoted = !quoted;
    else if (quoted) at += byte === backslash ? 1 : 0;
    else if (byte === bracket || byte === brace) depth += 1;
    else if (byte === bracket + 2 || byte === brace + 2) depth -= 1;
    if (depth > most.nesting * 2) return true;
  }
  return false;
}

const [quote, backslash, bracket, brace] = [0x22, 0x5c, 0x5b, 0x7b];

function tooLarge(seen: string, limit: number, advice = "Send several smaller ones.") {
  return requestError(`The query ${seen}; the limit is ${limit}. ${advice}`);
}
